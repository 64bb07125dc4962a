"""From the assistant's structured answer to the messages of each platform: pure functions, no network, no state.

An answer is Markdown with perhaps a caveat, sources and choices. Every platform has its own dialect, its own way to count and
its own buttons. What holds on all of them: the caveat, and what to call the emergency number for, stand in every message that
carries a piece of the answer they belong to; a choice's payload is never shown; a title is never cut.
"""

import hashlib
import html
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Any

from markdown_it import MarkdownIt

Message = dict[str, Any]

# What each platform accepts, from its own documentation (docs/channels.md names the pages).
TELEGRAM_TEXT = 4096
TELEGRAM_BUTTONS = 100
WHATSAPP_TEXT = 4096
WHATSAPP_INTERACTIVE_TEXT = 1024
WHATSAPP_BUTTONS = 3
WHATSAPP_ROWS = 10
WHATSAPP_ROW_DESCRIPTION = 72
MESSENGER_TEXT = 2000
INSTAGRAM_BYTES = 1000
QUICK_REPLIES = 13
# Ten parts are what Twilio joins into one message of at most 1,600 characters.
SMS_SEGMENTS = 10
SHORT_TITLE = 20

_MARKDOWN = MarkdownIt("zero").enable(["emphasis", "link"])
_SENTENCE_END = re.compile(r"(?<=[.!?])(?<!\be\.g\.)(?<!\bi\.e\.)(?<!\bDr\.)(?<!\bvs\.)(?<!\bNo\.) +(?=\S)")
_NUMBER = re.compile(r"[\s#(]*(\d{1,2})[\s.):!\ufe0f\u20e3]*")
_WORD = re.compile(r"\w+")
# How alike two words must be to be the same one, mistyped.
_SAME_WORD = 0.8

_GSM7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM7_TWO = frozenset("^{}\\[~]|€\f")
# One character outside the SMS alphabet halves what fits in every part, so typographic ones are written plainly.
_PLAIN = str.maketrans(
    {"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "...", "·": "-", "•": "-", "\u00a0": " ", "\u202f": " ",
     "×": "x", "°": " deg", "≥": ">=", "≤": "<=", "½": "1/2", "µ": "u", "\ufe0f": None, "\u200d": None}
)  # fmt: skip


@dataclass(frozen=True)
class Choice:
    """A question to tap.

    Attributes:
        question: the whole question; choosing it says this to the assistant.
        short_title: an authored short form for small buttons; empty when there is none.
    """

    question: str
    short_title: str = ""

    @property
    def token(self) -> str:
        """What goes over the wire instead of the question: 16 hexadecimal digits that only this question has."""
        return hashlib.sha256(self.question.encode()).hexdigest()[:16]

    @property
    def label(self) -> str:
        """What fits on a small button, or an empty string when nothing authored does."""
        return next((title for title in (self.question, self.short_title) if title and len(title) <= SHORT_TITLE), "")


@dataclass(frozen=True)
class Reply:
    """One structured answer.

    Attributes:
        body: what is said, Markdown, without caveat and sources.
        caveat: how limited the evidence is; empty for what is no answer.
        sources_line: the sources and the date in one line; empty when there are none.
        links: label and address of each source, the address empty where there is none.
        choices: the questions offered.
        several: the body answers several questions, each under its own title line.
    """

    body: str
    caveat: str = ""
    sources_line: str = ""
    links: tuple[tuple[str, str], ...] = ()
    choices: tuple[Choice, ...] = ()
    several: bool = False

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> "Reply":
        """Read what an output channel receives.

        Args:
            message: `BotUttered.message()`: text, data and metadata in one dictionary.
        """
        return cls(
            body=str(message.get("body") or message.get("text") or "").strip(),
            caveat=str(message.get("caveat") or ""),
            sources_line=str(message.get("sources_line") or ""),
            links=tuple((link["label"], str(link.get("url") or "")) for link in message.get("source_links") or []),
            choices=choices_of(message.get("buttons") or []),
            several=len(message.get("topics") or []) > 1,
        )


@dataclass(frozen=True)
class Piece:
    """A part of the answer to one question: its title, some sentences, and the emergency lines that go with any of them."""

    title: str
    sentences: tuple[str, ...]
    urgent: tuple[str, ...]

    def text(self) -> str:
        """The piece as lines; each sentence brings the separator before it."""
        body = "".join(self.sentences).strip()
        return "\n".join(part for part in (self.title, body, *self.urgent) if part)


Fits = Callable[[str], bool]


def choices_of(buttons: Iterable[Mapping[str, Any]]) -> tuple[Choice, ...]:
    """The choices of stored buttons, as they were offered."""
    return tuple(Choice(str(button["title"]), str(button.get("short_title") or "")) for button in buttons)


def chosen(text: str, choices: Sequence[Choice]) -> str | None:
    """Which of the offered questions a typed message means: its number, its title, or its title mistyped.

    Args:
        text: what the person typed.
        choices: what was offered last, in the order it was numbered.

    Returns:
        The question, or None when the message says something else.
    """
    number = _NUMBER.fullmatch(text)
    if number:
        position = int(number.group(1))
        return choices[position - 1].question if 1 <= position <= len(choices) else None
    return next(
        (choice.question for choice in choices if any(_alike(text, title) for title in (choice.question, choice.short_title))),
        None,
    )


def tapped(token: str, choices: Iterable[Choice]) -> str | None:
    """The question a button's payload stands for, or None when it is not among the choices."""
    return next((choice.question for choice in choices if choice.token == token), None)


def telegram(reply: Reply, emergency_number: str) -> list[Message]:
    """`sendMessage` bodies without `chat_id`: HTML, sources as links, one button a row."""
    native = 0 < len(reply.choices) <= TELEGRAM_BUTTONS
    texts = _texts(_anchored(reply), _within(TELEGRAM_TEXT, lambda text: utf16_units(plain(text))), emergency_number, not native)
    messages: list[Message] = [
        {"text": _html(text), "parse_mode": "HTML", "link_preview_options": {"is_disabled": True}} for text in texts
    ]
    if native:
        rows = [[{"text": choice.question, "callback_data": choice.token}] for choice in reply.choices]
        messages[-1]["reply_markup"] = {"inline_keyboard": rows}
    return messages


def whatsapp(reply: Reply, emergency_number: str, choose: str) -> list[Message]:
    """WhatsApp message objects without `to`: reply buttons or list rows where they fit, numbered text elsewhere.

    Args:
        reply: what to say.
        emergency_number: as the answers write it; marks the lines that are never separated from their answer.
        choose: the label of the button that opens a list, at most 20 characters.
    """
    interactive = _within(WHATSAPP_INTERACTIVE_TEXT, lambda text: utf16_units(_whatsapp(text)))
    if reply.choices and len(reply.choices) <= WHATSAPP_ROWS and all(choice.label for choice in reply.choices):
        texts = _texts(reply, interactive, emergency_number, numbered=False, with_links=True)
        if len(texts) == 1:
            return [_whatsapp_interactive(_whatsapp(texts[0]), reply.choices, choose)]
    texts = _texts(reply, _within(WHATSAPP_TEXT, lambda text: utf16_units(_whatsapp(text))), emergency_number, with_links=True)
    return [{"type": "text", "text": {"body": _whatsapp(text), "preview_url": False}} for text in texts]


def messenger(reply: Reply, emergency_number: str) -> list[Message]:
    """Messenger `message` objects: plain text with quick replies."""
    fits = _within(MESSENGER_TEXT, lambda text: utf16_units(plain(text)))
    native = _quick_replies(reply.choices)
    texts = _texts(reply, fits, emergency_number, numbered=not native, with_links=True)
    return _with_quick_replies(texts, native)


def instagram(reply: Reply, emergency_number: str) -> list[Message]:
    """Instagram `message` objects: quick replies, and the questions numbered too, because only its phone app shows the former."""
    fits = _within(INSTAGRAM_BYTES, lambda text: len(plain(text).encode()))
    return _with_quick_replies(_texts(reply, fits, emergency_number), _quick_replies(reply.choices))


def sms(reply: Reply, emergency_number: str) -> list[str]:
    """Texts of at most ten SMS parts each, in the SMS alphabet wherever the text allows it; choices are numbered."""
    fits = _within(SMS_SEGMENTS, lambda text: segments(sms_text(text)))
    return [sms_text(text) for text in _texts(reply, fits, emergency_number)]


def sms_text(text: str) -> str:
    """Markdown as plain text in the SMS alphabet where it can be: typographic characters made plain, stray accents dropped."""
    written = []
    for character in plain(text).translate(_PLAIN):
        base = unicodedata.normalize("NFKD", character)[0]
        keep = character in _GSM7 or character in _GSM7_TWO or base not in _GSM7
        written.append(character if keep else base)
    return "".join(written)


def segments(text: str) -> int:
    """How many SMS parts a text takes: 160 or 153 septets each in the SMS alphabet, otherwise 70 or 67 UTF-16 units."""
    if all(character in _GSM7 or character in _GSM7_TWO for character in text):
        units, alone, joined = len(text) + sum(character in _GSM7_TWO for character in text), 160, 153
    else:
        units, alone, joined = utf16_units(text), 70, 67
    return 1 if units <= alone else -(-units // joined)


def utf16_units(text: str) -> int:
    """The length of a text as Telegram and the Graph API's own examples count it: an emoji is two."""
    return len(text.encode("utf-16-le")) // 2


def plain(text: str) -> str:
    """Markdown without its marks; a link keeps its label only."""
    return _written(text, {})


def _html(text: str) -> str:
    marks = {"strong_open": "<b>", "strong_close": "</b>", "em_open": "<i>", "em_close": "</i>", "link_close": "</a>"}
    return _written(text, marks, escape=html.escape, link_open=lambda address: f'<a href="{html.escape(address)}">')


def _whatsapp(text: str) -> str:
    return _written(text, {"strong_open": "*", "strong_close": "*", "em_open": "_", "em_close": "_"})


def _written(
    text: str,
    marks: Mapping[str, str],
    escape: Callable[[str], str] = str,
    link_open: Callable[[str], str] = lambda address: "",
) -> str:
    """Markdown in another dialect, line by line; list items get a bullet, everything else keeps its place."""
    lines = []
    for line in text.split("\n"):
        bullet, rest = ("• ", line[2:]) if line.startswith(("- ", "* ")) else ("", line)
        written = [bullet]
        for token in _MARKDOWN.parseInline(rest)[0].children or []:
            if token.type == "link_open":
                written.append(link_open(str(token.attrs["href"])))
            elif token.type == "text":
                written.append(escape(token.content))
            else:
                written.append(marks.get(token.type, ""))
        lines.append("".join(written))
    return "\n".join(lines)


def _within(limit: int, measure: Callable[[str], int]) -> Fits:
    return lambda text: measure(text) <= limit


def _texts(reply: Reply, fits: Fits, emergency_number: str, numbered: bool = True, with_links: bool = False) -> list[str]:
    """The reply as texts that fit, still Markdown.

    Args:
        reply: what to say.
        fits: whether a text is short enough for the platform, as the platform counts.
        emergency_number: marks the lines that go with every piece of their answer.
        numbered: write the choices as numbered lines.
        with_links: write the sources' addresses below, where that takes no further message.
    """
    lines = reply.body.split("\n")
    if reply.several:
        lines = [f"**{line}**" if line.endswith("?") and rest else line for line, rest in zip(lines, [*lines[1:], ""])]
    ends = [reply.caveat, reply.sources_line]
    numbers = [f"{number}. {choice.question}" for number, choice in enumerate(reply.choices, 1)] if numbered else []
    addresses = [f"{label}: {address}" for label, address in reply.links if address] if with_links else []
    for extra in (addresses + numbers, numbers):
        whole = _lines([*lines, *ends, *extra])
        if fits(whole):
            return [whole]
    texts = _packed(_pieces(lines, emergency_number), reply.caveat, fits)
    for block in (reply.sources_line, _lines(numbers)):
        if block and fits(_lines([texts[-1], block])):
            texts[-1] = _lines([texts[-1], block])
        elif block:
            texts += _packed([Piece("", _sentences(block), ())], "", fits)
    return texts


def _packed(pieces: Sequence[Piece], caveat: str, fits: Fits) -> list[str]:
    """As many whole answers in each text as fit; one that does not fit alone is divided. Each text ends with the caveat."""

    def text(*parts: Piece) -> str:
        return _lines([*(part.text() for part in parts), caveat])

    texts = []
    waiting: list[Piece] = []
    for piece in pieces:
        if not fits(text(*waiting, piece)):
            if waiting:
                texts.append(text(*waiting))
            *full, piece = _divided(piece, lambda part: fits(text(part)))
            texts += [text(part) for part in full]
            waiting = []
        waiting.append(piece)
    return [*texts, text(*waiting)]


def _divided(piece: Piece, fits: Callable[[Piece], bool]) -> list[Piece]:
    """Divide an answer at sentence ends, at word ends where a sentence is too long, inside a word where nothing else helps."""
    for divide in (lambda sentence: [sentence], lambda sentence: re.split(r"(?=\s)", sentence), list):
        units = [unit for sentence in piece.sentences for unit in divide(sentence)]
        if all(fits(Piece(piece.title, (unit,), piece.urgent)) for unit in units):
            break
    else:
        # What must stay together is longer than a whole message: saying all of it beats keeping it together.
        loose = Piece("", _sentences(piece.text()), ())
        return [loose] if piece == loose else _divided(loose, fits)
    parts = []
    current: tuple[str, ...] = ()
    title = piece.title
    for unit in units:
        if current and not fits(Piece(title, (*current, unit), piece.urgent)):
            parts.append(Piece(title, current, piece.urgent))
            title, current = "", ()
        current = (*current, unit)
    return [*parts, Piece(title, current, piece.urgent)]


def _pieces(lines: Sequence[str], emergency_number: str) -> list[Piece]:
    """One piece for each question answered; titles are the lines made bold before."""
    groups: list[list[str]] = [[]]
    for line in lines:
        if line.startswith("**") and groups[-1]:
            groups.append([])
        groups[-1].append(line)
    # "Call" as well as the number: a study may have had 112 people.
    call = re.compile(rf"\bcall\b.*\b{re.escape(emergency_number)}\b", re.IGNORECASE | re.DOTALL)
    pieces = []
    for group in groups:
        title, rest = (group[0], group[1:]) if group[0].startswith("**") else ("", group)
        calm, urgent = [], []
        for line in rest:
            sentences = _sentences(line)
            # An instruction runs from the sentence that says to call to the end of its line.
            start = next((place for place, sentence in enumerate(sentences) if call.search(sentence)), len(sentences))
            calm.append("".join(sentences[:start]))
            urgent.append("".join(sentences[start:]).strip())
        pieces.append(Piece(title, _sentences(_lines(calm)), tuple(filter(None, urgent))))
    return pieces


def _sentences(text: str) -> tuple[str, ...]:
    """Sentences, each with the separator before it, so that joining them gives the text again."""
    found: list[str] = []
    for number, line in enumerate(text.split("\n")):
        start = "\n" if number else ""
        for position, sentence in enumerate(_SENTENCE_END.split(line)):
            found.append((start if position == 0 else " ") + sentence)
    return tuple(found)


def _lines(lines: Iterable[str]) -> str:
    return "\n".join(line for line in lines if line)


def _anchored(reply: Reply) -> Reply:
    """The reply with each source that has an address made a Markdown link: in the sources line, or where they are listed."""
    if not reply.links:
        return reply
    addresses = dict(reply.links)
    # The longest label first: one may begin another.
    labels = "|".join(re.escape(label) for label in sorted(addresses, key=len, reverse=True))

    def link(label: str) -> str:
        return f"[{label}](<{addresses[label]}>)" if addresses[label] else label

    def linked(text: str) -> str:
        return re.sub(labels, lambda match: link(match.group()), text)

    if reply.sources_line:
        return replace(reply, sources_line=linked(reply.sources_line), links=())
    return replace(reply, body=linked(reply.body), links=())


def _whatsapp_interactive(text: str, choices: Sequence[Choice], choose: str) -> Message:
    action: Message
    if len(choices) <= WHATSAPP_BUTTONS:
        kind = "button"
        action = {"buttons": [{"type": "reply", "reply": {"id": choice.token, "title": choice.label}} for choice in choices]}
    else:
        kind = "list"
        action = {"button": choose, "sections": [{"rows": [_whatsapp_row(choice) for choice in choices]}]}
    return {"type": "interactive", "interactive": {"type": kind, "body": {"text": text}, "action": action}}


def _whatsapp_row(choice: Choice) -> Message:
    row = {"id": choice.token, "title": choice.label}
    if choice.label != choice.question and len(choice.question) <= WHATSAPP_ROW_DESCRIPTION:
        row["description"] = choice.question
    return row


def _quick_replies(choices: Sequence[Choice]) -> list[Message]:
    """Quick replies for the choices, or none when one of them has no title that fits."""
    if len(choices) > QUICK_REPLIES or not all(choice.label for choice in choices):
        return []
    return [{"content_type": "text", "title": choice.label, "payload": choice.token} for choice in choices]


def _with_quick_replies(texts: Sequence[str], quick_replies: list[Message]) -> list[Message]:
    messages: list[Message] = [{"text": plain(text)} for text in texts]
    if quick_replies:
        messages[-1]["quick_replies"] = quick_replies
    return messages


def _alike(text: str, title: str) -> bool:
    """Whether a typed text is this title, give or take a slip of the finger in each word."""
    typed, wanted = (_WORD.findall(words.casefold()) for words in (text, title))
    return bool(wanted) and len(typed) == len(wanted) and all(
        one == other or (len(other) > 3 and SequenceMatcher(None, one, other).ratio() >= _SAME_WORD)
        for one, other in zip(typed, wanted)
    )  # fmt: skip
