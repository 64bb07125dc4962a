"""SMS through Twilio."""

import functools
import hmac
import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import BasicAuth
from rasa.core.channels.channel import UserMessage
from sanic import Blueprint
from sanic.request import Request
from sanic.response import HTTPResponse, text
from twilio.request_validator import RequestValidator

from addons.channels.client import PlatformClient
from addons.channels.connector import Connector, Inbound, Responder, readable_events, refused
from addons.channels.credentials import Block
from addons.channels.inbox import Inbox
from addons.channels.render import sms
from addons.clinic import read_clinic
from addons.configuration import ROOT

VARIABLES = {
    "account_sid": "TWILIO_ACCOUNT_SID",
    "auth_token": "TWILIO_AUTH_TOKEN",
    "sender": "TWILIO_SENDER",
    "webhook_url": "TWILIO_WEBHOOK_URL",
    "conversation_key": "CONVERSATION_KEY",
}
# "Queue overflow", which passes.
BUSY_CODES = (30001,)
_PHONE = re.compile(r"\+\d{6,15}")


class SmsInput(Connector):
    """The channel `addons.channels.sms.SmsInput` of a credentials file."""

    @classmethod
    def name(cls) -> str:
        """The webhook is `/webhooks/sms/webhook`."""
        return "sms"

    @classmethod
    def from_credentials(cls, credentials: dict[str, Any] | None) -> "SmsInput":
        """Make the channel from its block.

        Raises:
            CredentialsError: a setting is missing, a placeholder or malformed; the message names file and variable.
        """
        return cls(Block("addons.channels.sms.SmsInput", credentials, VARIABLES))

    def __init__(self, block: Block) -> None:
        """Read the settings.

        Args:
            block: `account_sid`, `auth_token`, `sender` (a number or a messaging service), `webhook_url` (the address Twilio
                calls, exactly as it stands there: it is part of the signature), `conversation_key`.

        Raises:
            CredentialsError: as `from_credentials`.
        """
        account = block.text("account_sid", r"AC[0-9a-f]{32}", "AC and 32 hexadecimal digits")
        token = block.secret("auth_token")
        sender = block.text(
            "sender", r"\+\d{6,15}|MG[0-9a-f]{32}", "a number such as +15005550006, or MG and 32 hexadecimal digits"
        )
        self._webhook_url = block.text("webhook_url", r"https://\S+", "an address that starts with https://")
        self._validator = RequestValidator(token)
        self._account_path = f"/2010-04-01/Accounts/{account}"
        self._from = {"MessagingServiceSid" if sender.startswith("MG") else "From": sender}
        base = block.address("api_base", "https://api.twilio.com")
        authorization = {"Authorization": BasicAuth(account, token).encode()}
        self.client = PlatformClient("sms", base, authorization, busy_codes=BUSY_CODES)
        clinic = read_clinic(ROOT / "clinic.yml")
        inbox = Inbox()
        render = functools.partial(sms, emergency_number=clinic.emergency_number)
        self._responder = Responder("sms", "sms", block.conversation_key(), clinic, inbox, render, self.send)
        super().__init__(inbox, [self.client])

    def blueprint(self, on_new_message: Callable[[UserMessage], Awaitable[Any]]) -> Blueprint:
        """The webhook.

        Args:
            on_new_message: not used; turns need the reply, which Rasa's handler does not give.
        """
        routes = self._new_blueprint()

        @routes.post("/webhook")
        async def receive(request: Request) -> HTTPResponse:
            header = request.headers.get("X-Twilio-Signature", "")
            if refusal := refused(request, lambda body: self._signed(_form(body), header)):
                return refusal
            form = _form(request.body)
            jobs = self._responder.jobs(request.app.ctx.agent, readable_events([form], inbound))
            # No reply in the answer: Twilio waits 15 seconds for it at most, and an answer may take several messages.
            return self._take(jobs, text("<Response/>", content_type="text/xml"))

        return routes

    async def send(self, address: str, message: str) -> None:
        """Send one text.

        Args:
            address: the person's phone number.
            message: as the renderer gives it.

        Raises:
            SendingFailed: it could not be sent.
        """
        content = {"To": address, "Body": message, **self._from}
        await self.client.request("POST", f"{self._account_path}/Messages.json", data=content)

    def checks(self) -> dict[str, Callable[[], Awaitable[str]]]:
        """Ask Twilio for the account."""
        return {"sms": self._check}

    async def _check(self) -> str:
        answer = await self.client.request("GET", f"{self._account_path}.json")
        return str(answer.get("status") or "")

    def _signed(self, form: dict[str, str], header: str) -> bool:
        """Whether Twilio signed these fields for our address; what the request says about its own address does not count."""
        return hmac.compare_digest(self._validator.compute_signature(self._webhook_url, form).encode(), header.encode())


def _form(body: bytes) -> dict[str, str]:
    """The fields; none when the bytes are no form. Twilio signs the fields, so they are read before they are trusted."""
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True, max_num_fields=200))
    except ValueError:
        return {}


def inbound(form: dict[str, str]) -> Inbound | None:
    """An incoming SMS or MMS; None for delivery reports, opt-out words (the carrier answers those) and what has no phone number.

    Args:
        form: Twilio's fields.
    """
    if form.get("OptOutType") or form.get("MessageStatus") or not _PHONE.fullmatch(form["From"]):
        return None
    return Inbound(
        address=form["From"],
        message_id=form["MessageSid"],
        text=form.get("Body", "").strip(),
        media=int(form.get("NumMedia") or 0) > 0,
    )
