"""What every command says to the person at the terminal."""

import sys
from collections.abc import Callable

from addons.configuration import ConfigurationError


class CommandFailed(Exception):
    """The command cannot go on; the message is one line that says what to do."""


def say(message: str) -> None:
    """Print a line at once, so that it is seen while the work goes on."""
    print(message, flush=True)


def run_command(command: Callable[[], int]) -> None:
    """Run a command and leave the process with its exit code; known troubles become one line, not a stack trace."""
    try:
        sys.exit(command())
    except (CommandFailed, ConfigurationError) as error:
        print(f"Stopped. {error}", file=sys.stderr, flush=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
