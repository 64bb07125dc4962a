"""Checks the messaging credentials: each channel is made as the server makes it, and its platform is asked who we are.

Nothing is sent to anybody. A block none of whose variables is set counts as "not used".
"""

import argparse
import asyncio
import itertools
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

from rasa.core.channels.slack import SlackInput
from rasa.shared.exceptions import RasaException
from rasa.shared.utils.common import class_from_module_path
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from addons.channels.client import SendingFailed
from addons.channels.connector import Connector
from addons.configuration import ROOT, ConfigurationError, read_mapping
from commands.terminal import CommandFailed, run_command, say

_VARIABLE = re.compile(r"\$\{(\w+)\}")
_SLACK_SECONDS = 10
_SLACK = "slack"
_WIDTH = 12


def check_channels(path: Path) -> list[str]:
    """Check every block of a credentials file.

    Args:
        path: the file; its `${VARIABLES}` come from the environment.

    Returns:
        What is wrong, a line each; empty when everything in use works.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    problems: list[str] = []
    blocks = read_mapping(path)
    named = {name: set(_VARIABLE.findall(str(block))) for name, block in blocks.items()}
    blocks_of = Counter(itertools.chain.from_iterable(named.values()))
    for name, block in blocks.items():
        missing = sorted(variable for variable in named[name] if not os.environ.get(variable))
        # What several blocks share says nothing about which of them is used.
        own = {variable for variable in named[name] if blocks_of[variable] == 1}
        if own and own <= set(missing):
            say(f"{_short(name):{_WIDTH}} not used: none of its variables is set")
        elif missing:
            problems.append(f"{path.name}, block {name}: {', '.join(missing)} not set. Set them, or take out what is not used.")
        else:
            problems += asyncio.run(_check(name, _expanded(block)))
    return problems


async def _check(name: str, block: Any) -> list[str]:
    """Make one channel, and ask its platform."""
    try:
        if name == _SLACK:
            SlackInput.from_credentials(block)
            return await _check_slack(block["slack_token"])
        channel = class_from_module_path(name).from_credentials(block)
    except (ConfigurationError, RasaException, ImportError, AttributeError) as error:
        return [str(error)]
    if not isinstance(channel, Connector):
        say(f"{_short(name):{_WIDTH}} ready: asks no platform")
        return []
    problems = []
    for account, check in channel.checks().items():
        try:
            say(f"{account:{_WIDTH}} ready: {await check()}")
        except SendingFailed as error:
            problems.append(f"{error}. Look at its values in the block {name}.")
    await channel.close()
    return problems


async def _check_slack(token: str) -> list[str]:
    try:
        answer = await AsyncWebClient(token, timeout=_SLACK_SECONDS).auth_test()
    except SlackApiError as error:
        return [f"slack did not take a request: {error.response.get('error')}. Look at its values in the block slack."]
    except (OSError, asyncio.TimeoutError):
        return ["slack cannot be reached."]
    say(f"{_SLACK:{_WIDTH}} ready: {answer.get('user')} in {answer.get('team')}")
    return []


def _expanded(value: Any) -> Any:
    """The block with its variables filled in."""
    if isinstance(value, dict):
        return {name: _expanded(inner) for name, inner in value.items()}
    return _VARIABLE.sub(lambda match: os.environ[match.group(1)], value) if isinstance(value, str) else value


def _short(name: str) -> str:
    return name.split(".")[2] if name.startswith("addons.channels.") else name


def main() -> int:
    """The `make channels-check` command.

    Raises:
        CommandFailed: a channel in use does not work.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", default="credentials.production.yml", help="the credentials file")
    problems = check_channels(ROOT / parser.parse_args().file)
    if problems:
        raise CommandFailed("\n".join(["these channels are not ready:", *problems]))
    say("Every channel in use is ready.")
    return 0


if __name__ == "__main__":
    run_command(main)
