"""No channel starts without real secrets, and what is missing is named with its file and its variable."""

import asyncio
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from rasa.shared.exceptions import RasaException

from addons.channels.credentials import CredentialsError, pseudonym
from addons.channels.meta import MetaInput
from addons.channels.sms import SmsInput
from addons.channels.telegram import TelegramInput
from addons.configuration import ROOT, read_mapping
from commands import channels_check
from commands.channels_check import check_channels
from commands.terminal import CommandFailed
from tests.connecting import BOT_TOKEN, KEY, SECRET_TOKEN, TOKEN, WEBHOOK_URL, credentials, new_channel
from tests.platforms import Graph, Telegram, Twilio

PRODUCTION = ROOT / "credentials.production.yml"
VARIABLES = sorted(set(re.findall(r"\$\{(\w+)\}", PRODUCTION.read_text(encoding="utf-8"))))
REQUIRED = [
    ("whatsapp", ("app_secret",), "META_APP_SECRET"),
    ("whatsapp", ("verify_token",), "META_VERIFY_TOKEN"),
    ("whatsapp", ("conversation_key",), "CONVERSATION_KEY"),
    ("whatsapp", ("whatsapp", "phone_number_id"), "WHATSAPP_PHONE_NUMBER_ID"),
    ("whatsapp", ("whatsapp", "access_token"), "WHATSAPP_ACCESS_TOKEN"),
    ("messenger", ("messenger", "page_id"), "MESSENGER_PAGE_ID"),
    ("messenger", ("messenger", "access_token"), "MESSENGER_ACCESS_TOKEN"),
    ("instagram", ("instagram", "account_id"), "INSTAGRAM_ACCOUNT_ID"),
    ("instagram", ("instagram", "access_token"), "INSTAGRAM_ACCESS_TOKEN"),
    ("sms", ("account_sid",), "TWILIO_ACCOUNT_SID"),
    ("sms", ("auth_token",), "TWILIO_AUTH_TOKEN"),
    ("sms", ("sender",), "TWILIO_SENDER"),
    ("sms", ("webhook_url",), "TWILIO_WEBHOOK_URL"),
    ("sms", ("conversation_key",), "CONVERSATION_KEY"),
    ("telegram", ("access_token",), "TELEGRAM_ACCESS_TOKEN"),
    ("telegram", ("secret_token",), "TELEGRAM_SECRET_TOKEN"),
    ("telegram", ("conversation_key",), "CONVERSATION_KEY"),
]
VALUES = {
    "META_APP_SECRET": "app-secret-1", "META_VERIFY_TOKEN": "verify-token-1", "CONVERSATION_KEY": KEY,
    "WHATSAPP_PHONE_NUMBER_ID": Graph.WHATSAPP, "WHATSAPP_ACCESS_TOKEN": TOKEN, "MESSENGER_PAGE_ID": Graph.PAGE,
    "MESSENGER_ACCESS_TOKEN": TOKEN, "INSTAGRAM_ACCOUNT_ID": Graph.INSTAGRAM, "INSTAGRAM_ACCESS_TOKEN": TOKEN,
    "INSTAGRAM_APP_SECRET": "instagram-secret-1", "TWILIO_ACCOUNT_SID": Twilio.ACCOUNT, "TWILIO_AUTH_TOKEN": TOKEN,
    "TWILIO_SENDER": "+15005550006", "TWILIO_WEBHOOK_URL": WEBHOOK_URL, "TELEGRAM_ACCESS_TOKEN": BOT_TOKEN,
    "TELEGRAM_SECRET_TOKEN": SECRET_TOKEN, "SLACK_TOKEN": "xoxb-slack-token-1", "SLACK_SIGNING_SECRET": "slack-secret-1",
}  # fmt: skip


def with_value(platform: str, path: tuple[str, ...], value: Any) -> dict[str, Any]:
    block = credentials(platform, "http://127.0.0.1:9")
    inner = block
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    return block


@pytest.mark.parametrize(
    "value", [None, "", "  ", "${VARIABLE}", "changeme", "<token>", "your-token-here", "xxxxxxxxxxxx", "secret"]
)
@pytest.mark.parametrize(("platform", "path", "variable"), REQUIRED)
def test_a_missing_or_placeholder_value_stops_the_start_and_names_file_setting_and_variable(
    platform: str, path: tuple[str, ...], variable: str, value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["rasa", "run", "--credentials", "credentials.production.yml"])
    unset = f"${{{variable}}}" if value == "${VARIABLE}" else value
    with pytest.raises(CredentialsError) as stopped:
        new_channel(platform, with_value(platform, path, unset))
    assert str(stopped.value).startswith(f"credentials.production.yml: `{path[-1]}` of the block `addons.channels.")
    assert f"set the variable {variable} and start again." in str(stopped.value)
    assert isinstance(stopped.value, RasaException), "Rasa shows this kind in one line"


@pytest.mark.parametrize(
    ("platform", "path", "value"),
    [
        ("whatsapp", ("conversation_key",), "too-short-to-be-a-key"),
        ("whatsapp", ("whatsapp", "phone_number_id"), "+44 20 7946"),
        ("whatsapp", ("whatsapp", "api_base"), "http://graph.facebook.com"),
        ("telegram", ("access_token",), "not-a-bot-token"),
        ("telegram", ("secret_token",), "with spaces in it, sir"),
        ("telegram", ("api_base",), "ftp://127.0.0.1"),
        ("sms", ("account_sid",), "AC123"),
        ("sms", ("sender",), "07700900123"),
        ("sms", ("webhook_url",), "http://clinic.example/webhooks/sms/webhook"),
    ],
)
def test_a_value_of_the_wrong_shape_stops_the_start(platform: str, path: tuple[str, ...], value: str) -> None:
    with pytest.raises(CredentialsError, match=rf"`{path[-1]}` .* must "):
        new_channel(platform, with_value(platform, path, value))


def test_no_message_repeats_a_secret() -> None:
    with pytest.raises(CredentialsError) as stopped:
        new_channel("telegram", with_value("telegram", ("access_token",), "a-real-secret-in-the-wrong-place"))
    assert "a-real-secret" not in str(stopped.value)


@pytest.mark.parametrize("kind", [MetaInput, SmsInput, TelegramInput])
def test_a_block_without_settings_stops_the_start(kind: type[Any]) -> None:
    with pytest.raises(CredentialsError):
        kind.from_credentials(None)


def test_meta_needs_at_least_one_product() -> None:
    block = {name: value for name, value in credentials("whatsapp", "").items() if not isinstance(value, dict)}
    with pytest.raises(CredentialsError, match="needs one of whatsapp, messenger, instagram"):
        MetaInput.from_credentials(block)


def test_every_variable_of_the_production_file_is_explained_and_no_value_stands_in_it() -> None:
    explained = (ROOT / "docs" / "channels.md").read_text(encoding="utf-8")
    assert not [variable for variable in VARIABLES if f"`{variable}`" not in explained]
    assert set(VARIABLES) == set(VALUES)
    for block in read_mapping(PRODUCTION).values():
        for value in re.findall(r"'([^']*)'", str(list((block or {}).values()))):
            assert not re.search(r"[A-Za-z0-9]{20,}", value) or value.startswith("${")


def test_a_pseudonym_needs_the_key_and_differs_by_platform() -> None:
    one = pseudonym("wa", "447700900123", b"key one")
    assert one == pseudonym("wa", "447700900123", b"key one")
    assert len({one, pseudonym("wa", "447700900123", b"key two"), pseudonym("sms", "447700900123", b"key one")}) == 3


@pytest_asyncio.fixture(loop_scope="function")
async def platforms_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The production file with stand-in servers, without web and Slack; every variable set."""
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    async with (
        Graph(TOKEN).serving() as graph,
        Twilio(TOKEN).serving() as twilio,
        Telegram(BOT_TOKEN).serving() as telegram,
    ):
        text = PRODUCTION.read_text(encoding="utf-8").split("# Slack")[0]
        for product in ("phone_number_id", "page_id", "account_id"):
            text = text.replace(f"    {product}:", f"    api_base: {graph.address}\n    {product}:")
        text = text.replace("  account_sid:", f"  api_base: {twilio.address}\n  account_sid:")
        text = text.replace("  access_token: ${TELEGRAM", f"  api_base: {telegram.address}\n  access_token: ${{TELEGRAM")
        path = tmp_path / "credentials.yml"
        path.write_text(text, encoding="utf-8")
        yield path, [graph, twilio, telegram]


async def checked(path: Path) -> list[str]:
    """The check has an event loop of its own, so it runs beside this one."""
    return await asyncio.to_thread(check_channels, path)


async def test_the_check_asks_every_platform_and_writes_to_nobody(
    platforms_up: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, fakes = platforms_up
    for variable, value in VALUES.items():
        monkeypatch.setenv(variable, value)
    assert await checked(path) == []
    said = capsys.readouterr().out
    for account in ("whatsapp", "messenger", "instagram", "sms", "telegram", "web"):
        assert re.search(rf"^{account} +ready", said, re.MULTILINE)
    assert not any(fake.sent for fake in fakes)
    assert all("POST" not in request for fake in fakes for request in fake.requests)


async def test_the_check_passes_over_what_is_not_used_and_names_what_is_half_set(
    platforms_up: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, _ = platforms_up
    for variable in ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "CONVERSATION_KEY"):
        monkeypatch.setenv(variable, VALUES[variable])
    (problem,) = await checked(path)
    assert "TWILIO_SENDER, TWILIO_WEBHOOK_URL not set" in problem
    assert re.search(r"^telegram +not used", capsys.readouterr().out, re.MULTILINE)


async def test_the_check_says_which_account_the_platform_does_not_know(
    platforms_up: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = platforms_up
    for variable, value in VALUES.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("MESSENGER_ACCESS_TOKEN", "a-token-of-yesterday")
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "another-token-of-yesterday")
    problems = await checked(path)
    assert [problem.split(" did not")[0] for problem in problems] == ["messenger", "sms"]
    assert "status 401" in problems[0]
    assert not any("yesterday" in problem for problem in problems)


def test_the_check_ends_with_a_failure_that_names_the_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["channels_check", "credentials.production.yml"])
    monkeypatch.setattr(channels_check, "check_channels", lambda path: ["sms: wrong"])
    with pytest.raises(CommandFailed, match="sms: wrong"):
        channels_check.main()
