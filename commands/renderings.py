"""How every curated reply looks on every messaging platform: results/renderings/<platform>.txt, for people to read.

Also writes tests/golden/ anew: the fixed sample replies there, rendered; look at the difference before you commit it.
"""

import asyncio
import itertools
import json
import re
import statistics
from collections.abc import Callable, Iterator
from typing import Any

from rasa.core.nlg.generator import NaturalLanguageGenerator
from rasa.core.utils import AvailableEndpoints
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import SlotSet, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker

from addons.answering import ANSWER, FALLBACK, CuratedAnswers
from addons.channels.render import Reply, instagram, messenger, segments, sms, telegram, whatsapp
from addons.channels.turns import technical_texts
from addons.clinic import Clinic, read_clinic
from addons.configuration import ROOT
from commands.content import responses
from commands.terminal import run_command, say

FOLDER = ROOT / "results" / "renderings"
GOLDEN = ROOT / "tests" / "golden"
_QUESTIONS_AT_ONCE = 3
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")

Message = dict[str, Any]


def renderers(emergency_number: str, choose: str) -> dict[str, Callable[[Reply], list[Any]]]:
    """Each platform's renderer by its name.

    Args:
        emergency_number: as the replies write it.
        choose: the label of the button that opens a list.
    """
    return {
        "telegram": lambda reply: telegram(reply, emergency_number),
        "whatsapp": lambda reply: whatsapp(reply, emergency_number, choose),
        "messenger": lambda reply: messenger(reply, emergency_number),
        "instagram": lambda reply: instagram(reply, emergency_number),
        "sms": lambda reply: sms(reply, emergency_number),
    }


def clinic_renderers() -> dict[str, Callable[[Reply], list[Any]]]:
    """Each platform's renderer, for the clinic's settings and the present content."""
    clinic = read_clinic(ROOT / "clinic.yml")
    return renderers(clinic.emergency_number, technical_texts(clinic)["choose"])


async def curated_messages() -> list[tuple[str, Message]]:
    """Every curated reply as a channel receives it, with the name of its response and variation.

    Every variation by itself, then answers to two and to three questions at once, and the replies that offer questions.
    """
    said = responses()
    endpoints = AvailableEndpoints.read_endpoints(str(ROOT / "endpoints.yml"))
    speaker = NaturalLanguageGenerator.create(endpoints.nlg, Domain.empty())
    assert isinstance(speaker, CuratedAnswers)
    speaker.responses = said
    domain = Domain.load(str(ROOT / "domain.yml"))
    found = []
    for name, questions, slots in _situations(said):
        tracker = DialogueStateTracker("someone", domain.slots)
        for slot, value in slots.items():
            tracker.update(SlotSet(slot, value))
        asked = {
            "text": "",
            "intent": {"name": questions[0]["intent"] if questions else "none"},
            "questions": questions,
            "intent_ranking": [{"name": response.removeprefix("utter_")} for response in said if response.startswith(ANSWER)],
        }
        tracker.update(UserUttered("", parse_data=asked))
        message = await speaker.generate(name, tracker, "collector")
        if message is not None:
            listed = " + ".join(question["intent"] for question in questions) or name
            found.append((f"{listed} {slots or ''}".strip(), message))
    return found


def _situations(said: dict[str, list[Message]]) -> Iterator[tuple[str, list[Message], dict[str, str]]]:
    """Response to say, questions asked, slots set."""
    fillable = Clinic().placeholders()
    for name, variations in said.items():
        for variation in variations:
            # The others are lines under an answer, never said by themselves.
            if set(_PLACEHOLDER.findall(variation["text"])) <= fillable.keys():
                yield name, [], _named(variation)
    answers = [name for name in said if name.startswith(ANSWER)]
    for count in (2, _QUESTIONS_AT_ONCE):
        # The longest variation of each: what fits for those fits for all.
        for names in itertools.combinations(answers, count):
            if count == 2 or _among_the_longest(names, said):
                yield names[0], [_question(name, said) for name in names], {}
    yield FALLBACK, [{"intent": FALLBACK.removeprefix("utter_"), "text": ""}], {}


def _among_the_longest(names: tuple[str, ...], said: dict[str, list[Message]]) -> bool:
    longest = sorted((name for name in said if name.startswith(ANSWER)), key=lambda name: -len(_longest(name, said)["text"]))
    return set(names) <= set(longest[:6])


def _longest(name: str, said: dict[str, list[Message]]) -> Message:
    return max(said[name], key=lambda variation: len(variation["text"]))


def _question(name: str, said: dict[str, list[Message]]) -> Message:
    return {"intent": name.removeprefix("utter_"), "text": "", **_named(_longest(name, said))}


def _named(variation: Message) -> dict[str, str]:
    """What must be named for a variation to be the one that is said."""
    return {condition["name"]: condition["value"] for condition in variation.get("condition") or []}


def golden() -> dict[str, str]:
    """The files of tests/golden/ as they should be, by name: the sample replies, rendered."""
    samples = json.loads((GOLDEN / "replies.json").read_text(encoding="utf-8"))
    return {
        f"{platform}.json": json.dumps(
            {name: render(Reply.from_message(message)) for name, message in samples.items()}, indent=1, ensure_ascii=False
        )
        + "\n"
        for platform, render in renderers("112", "Choose").items()
    }


def main() -> int:
    """The `make renderings` command."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    messages = asyncio.run(curated_messages())
    for platform, render in clinic_renderers().items():
        pages = []
        for name, message in messages:
            shown = render(Reply.from_message(message))
            texts = [part if isinstance(part, str) else json.dumps(part, indent=1, ensure_ascii=False) for part in shown]
            pages.append(f"===== {name}\n" + "\n----- next message\n".join(texts))
        (FOLDER / f"{platform}.txt").write_text("\n\n".join(pages) + "\n", encoding="utf-8")
    answers = [Reply.from_message(message) for _, message in messages if len(message.get("topics") or []) == 1]
    parts = [sum(map(segments, clinic_renderers()["sms"](answer))) for answer in answers]
    say(f"An answer to one question takes {min(parts)} to {max(parts)} SMS parts, at the median {statistics.median(parts):g}.")
    for name, content in golden().items():
        (GOLDEN / name).write_text(content, encoding="utf-8")
    say(f"{len(messages)} replies on five platforms: {FOLDER.relative_to(ROOT)}; {GOLDEN.relative_to(ROOT)} is written anew.")
    return 0


if __name__ == "__main__":
    run_command(main)
