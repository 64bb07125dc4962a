"""WhatsApp (Cloud API), Messenger and Instagram: one webhook, because Meta has one for all three."""

import functools
import hashlib
import hmac
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from rasa.core.channels.channel import UserMessage
from sanic import Blueprint
from sanic.request import Request
from sanic.response import HTTPResponse, text

from addons.channels.client import PlatformClient
from addons.channels.connector import Connector, Inbound, Responder, parsed, readable_events, refused
from addons.channels.credentials import Block, CredentialsError, credentials_file
from addons.channels.inbox import Inbox
from addons.channels.render import instagram, messenger, whatsapp
from addons.channels.turns import technical_texts
from addons.clinic import read_clinic
from addons.configuration import ROOT

API_VERSION = "v25.0"
# "Later", though the status may say 400: call and pair limits, and a service that is being restarted.
BUSY_CODES = (4, 80007, 130429, 131016, 131056)
VARIABLES = {
    "app_secret": "META_APP_SECRET",
    "verify_token": "META_VERIFY_TOKEN",
    "conversation_key": "CONVERSATION_KEY",
}
PRODUCTS = {
    "whatsapp": {"phone_number_id": "WHATSAPP_PHONE_NUMBER_ID", "access_token": "WHATSAPP_ACCESS_TOKEN"},
    "messenger": {"page_id": "MESSENGER_PAGE_ID", "access_token": "MESSENGER_ACCESS_TOKEN"},
    "instagram": {"account_id": "INSTAGRAM_ACCOUNT_ID", "access_token": "INSTAGRAM_ACCESS_TOKEN",
                  "app_secret": "INSTAGRAM_APP_SECRET"},
}  # fmt: skip
_WHATSAPP_MEDIA = {"image", "video", "audio", "document", "sticker", "location", "contacts", "order", "unsupported"}


class MetaInput(Connector):
    """The channel `addons.channels.meta.MetaInput` of a credentials file."""

    @classmethod
    def name(cls) -> str:
        """The webhook is `/webhooks/meta/webhook`."""
        return "meta"

    @classmethod
    def from_credentials(cls, credentials: dict[str, Any] | None) -> "MetaInput":
        """Make the channel from its block.

        Raises:
            CredentialsError: a setting is missing, a placeholder or malformed; the message names file and variable.
        """
        return cls(Block("addons.channels.meta.MetaInput", credentials, VARIABLES))

    def __init__(self, block: Block) -> None:
        """Read the settings.

        Args:
            block: `app_secret`, `verify_token`, `conversation_key`, and at least one of `whatsapp`, `messenger`, `instagram`.

        Raises:
            CredentialsError: as `from_credentials`.
        """
        self._secrets = [block.secret("app_secret")]
        self._verify_token = block.secret("verify_token")
        key = block.conversation_key()
        clinic = read_clinic(ROOT / "clinic.yml")
        number, choose = clinic.emergency_number, technical_texts(clinic)["choose"]
        inbox = Inbox()
        self.accounts = {name: MetaAccount(name, block, self._secrets[0]) for name in PRODUCTS if block.has(name)}
        if not self.accounts:
            raise CredentialsError(
                credentials_file(), f"the block `addons.channels.meta.MetaInput` needs one of {', '.join(PRODUCTS)}."
            )
        self._secrets += [account.app_secret for account in self.accounts.values() if account.app_secret]
        renders: dict[str, Callable[..., Sequence[Any]]] = {
            "whatsapp": lambda reply: whatsapp(reply, number, choose),
            "messenger": lambda reply: messenger(reply, number),
            "instagram": lambda reply: instagram(reply, number),
        }
        self._responders = {
            account.account_id: Responder(name, account.prefix, key, clinic, inbox, renders[name], account.send)
            for name, account in self.accounts.items()
        }
        super().__init__(inbox, [account.client for account in self.accounts.values()])

    def blueprint(self, on_new_message: Callable[[UserMessage], Awaitable[Any]]) -> Blueprint:
        """The webhook: GET when it is set up in the app's dashboard, POST for events.

        Args:
            on_new_message: not used; turns need the reply, which Rasa's handler does not give.
        """
        routes = self._new_blueprint()

        @routes.get("/webhook")
        async def subscribe(request: Request) -> HTTPResponse:
            told = str(request.args.get("hub.verify_token") or "")
            if request.args.get("hub.mode") != "subscribe" or not same(told, self._verify_token):
                return text("", status=403)
            return text(str(request.args.get("hub.challenge") or ""), headers={"X-Content-Type-Options": "nosniff"})

        @routes.post("/webhook")
        async def receive(request: Request) -> HTTPResponse:
            header = request.headers.get("X-Hub-Signature-256", "")
            if refusal := refused(request, lambda body: any(signed(body, header, secret) for secret in self._secrets)):
                return refusal
            payload = parsed(request.body)
            if payload is None:
                return text("", status=400)
            jobs = []
            for account_id, events in inbound(payload):
                responder = self._responders.get(account_id)
                if responder:
                    jobs += responder.jobs(request.app.ctx.agent, events)
            return self._take(jobs, text("EVENT_RECEIVED"))

        return routes

    def checks(self) -> dict[str, Callable[[], Awaitable[str]]]:
        """Ask Meta for each account."""
        return {name: account.check for name, account in self.accounts.items()}


class MetaAccount:
    """One phone number, page or Instagram account.

    Attributes:
        account_id: its id, by which events are told apart.
        prefix: begins its conversation ids.
        app_secret: a second secret that signs its events; empty for "the app's".
        client: sends for it.
    """

    def __init__(self, product: str, block: Block, app_secret: str) -> None:
        """Read the product's settings.

        Args:
            product: a key of `PRODUCTS`.
            block: the whole block.
            app_secret: proves to the Graph API that a request comes from the app's own server.

        Raises:
            CredentialsError: as `MetaInput.from_credentials`.
        """
        own = block.within(product, PRODUCTS[product])
        self._product = product
        id_name = next(iter(PRODUCTS[product]))
        self.account_id = own.text(id_name, r"\d{5,}", "a number of at least five digits")
        self.prefix = {"whatsapp": "wa", "messenger": "fb", "instagram": "ig"}[product]
        self.app_secret = own.secret("app_secret") if own.has("app_secret") else ""
        token = own.secret("access_token")
        proof = hmac.new(app_secret.encode(), token.encode(), hashlib.sha256).hexdigest()
        self._base = "https://graph.instagram.com" if product == "instagram" else "https://graph.facebook.com"
        # Instagram's own login gives tokens of another app, for which this proof would be wrong.
        self._proof = {} if product == "instagram" else {"appsecret_proof": proof}
        version = block.text("api_version", r"v\d+\.\d+", "such as v25.0") if block.has("api_version") else API_VERSION
        self._path = f"/{version}/{self.account_id}"
        self.client = PlatformClient(
            product, own.address("api_base", self._base), {"Authorization": f"Bearer {token}"}, busy_codes=BUSY_CODES
        )

    async def send(self, address: str, message: dict[str, Any]) -> None:
        """Send one rendered message.

        Args:
            address: the person's phone number or account id.
            message: as the renderer of this product gives it.

        Raises:
            SendingFailed: it could not be sent.
        """
        if self._product == "whatsapp":
            content = {"messaging_product": "whatsapp", "recipient_type": "individual", "to": address, **message}
        else:
            content = {"recipient": {"id": address}, "messaging_type": "RESPONSE", "message": message}
        await self.client.request("POST", f"{self._path}/messages", json=content, params=self._proof)

    async def check(self) -> str:
        """Ask for the account without writing to anybody.

        Returns:
            The account's id.

        Raises:
            SendingFailed: the token or the id is wrong, or the platform cannot be reached.
        """
        answer = await self.client.request("GET", self._path, params={"fields": "id", **self._proof})
        return str(answer.get("id") or self.account_id)


def same(one: str, other: str) -> bool:
    """Whether two texts are equal, in a time that does not tell how much of them is."""
    return hmac.compare_digest(one.encode(), other.encode())


def signed(body: bytes, header: str, secret: str) -> bool:
    """Whether the header is the signature of these bytes.

    Args:
        body: the request's body, as received.
        header: `X-Hub-Signature-256`.
        secret: the app's secret.
    """
    return same(header, f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}")


def inbound(payload: dict[str, Any]) -> list[tuple[str, list[Inbound]]]:
    """Every event of a delivery that asks for an answer, by the account it was sent to.

    Args:
        payload: the request's body.
    """
    found = []
    for entry in _mappings(payload.get("entry")):
        if payload.get("object") == "whatsapp_business_account":
            for change in _mappings(entry.get("changes")):
                value = change.get("value")
                if change.get("field") == "messages" and isinstance(value, dict) and isinstance(value.get("metadata"), dict):
                    account = str(value["metadata"].get("phone_number_id"))
                    found.append((account, readable_events(value.get("messages"), _whatsapp)))
        elif payload.get("object") in ("page", "instagram"):
            # `standby` holds what another app answers, `changes` what happens to posts: neither is for us.
            account = str(entry.get("id"))
            found.append((account, readable_events(entry.get("messaging"), functools.partial(_messaging, account))))
    return found


def _mappings(value: Any) -> list[dict[str, Any]]:
    """The mappings of a list; none when it is no list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _whatsapp(message: dict[str, Any]) -> Inbound | None:
    """A WhatsApp message; None for reactions, edits, deletions and notices."""
    kind = message["type"]
    common: dict[str, Any] = {
        "address": str(message["from"]),
        "message_id": str(message["id"]),
        "sent_at": float(message["timestamp"]),
    }
    if kind == "text":
        return Inbound(**common, text=str(message["text"]["body"]))
    if kind == "interactive" and message["interactive"]["type"] in {"button_reply", "list_reply"}:
        choice = message["interactive"][message["interactive"]["type"]]
        return Inbound(**common, text=str(choice.get("description") or choice["title"]), token=str(choice["id"]))
    if kind == "button":
        return Inbound(**common, text=str(message["button"]["text"]))
    if kind in _WHATSAPP_MEDIA or kind == "interactive":
        details = message.get(kind)
        return Inbound(**common, text=str((details.get("caption") if isinstance(details, dict) else "") or ""), media=True)
    return None


def _messaging(account: str, event: dict[str, Any]) -> Inbound | None:
    """A Messenger or Instagram event; None for echoes, receipts, reactions, edits and deletions."""
    sender = str(event["sender"]["id"])
    message, postback = event.get("message") or {}, event.get("postback") or {}
    if sender == account or not (message or postback):
        return None
    common: dict[str, Any] = {"address": sender, "sent_at": float(event["timestamp"]) / 1000}
    if postback:
        title, token = str(postback.get("title") or ""), str(postback.get("payload") or "")
        message_id = str(postback.get("mid") or f"postback.{event['timestamp']}.{token}")
        return Inbound(**common, message_id=message_id, text=title, token=token)
    if message.get("is_echo") or message.get("is_deleted"):
        return None
    token = str((message.get("quick_reply") or {}).get("payload") or "")
    media = bool(message.get("attachments") or message.get("is_unsupported"))
    return Inbound(**common, message_id=str(message["mid"]), text=str(message.get("text") or ""), token=token, media=media)
