"""Conversations by behaviour, in words (tests/conversations/*.yml), through the entry every channel uses.

A turn is `user:` and what must hold of the reply: `intent`, `topics`, `safety`, `evidence`, `act` of what was understood;
`says` and `never_says` (pieces of the text), `buttons` (all titles), `offers` (some of the titles), `slots` (values after it).
What is not named is not looked at.
"""

from pathlib import Path
from typing import Any

import pytest
import yaml

from addons.answering import ANSWER
from addons.configuration import ROOT
from commands.assistant import Assistant, Turn
from commands.content import responses

pytestmark = pytest.mark.model
FOLDER = ROOT / "tests" / "conversations"
KEYS = {
    "user", "intent", "topics", "safety", "evidence", "act", "says", "never_says", "buttons", "offers", "slots", "concern",
}  # fmt: skip
CAVEATS = [variation["text"] for variation in responses()["utter_evidence_caveat"]]


def conversations() -> list[Any]:
    cases = []
    for path in sorted(FOLDER.glob("*.yml")):
        for case in yaml.safe_load(path.read_text(encoding="utf-8")):
            cases.append(pytest.param(path, case, id=f"{path.stem}: {case['conversation']}"))
    return cases


def titles(turn: Turn) -> list[str]:
    return [button["title"] for reply in turn.replies for button in reply.get("buttons") or []]


def first(turn: Turn, key: str) -> Any:
    return next((metadata[key] for metadata in turn.metadata if metadata.get(key)), None)


@pytest.mark.parametrize(("path", "case"), conversations())
async def test_a_conversation_goes_as_it_is_written(assistant: Assistant, path: Path, case: dict[str, Any]) -> None:
    assert set(case) == {"conversation", "turns"}
    sender = assistant.new_conversation()
    for turn in case["turns"]:
        assert set(turn) <= KEYS, f"{path.name}: {set(turn) - KEYS} is not looked at"
        said = await assistant.say(turn["user"], sender)
        where = f"{path.name}, {case['conversation']!r}, after {turn['user'][:60]!r}: {said.intent}\n{said.text}"
        assert said.replies, where
        for key in ("topics", "safety", "evidence", "concern"):
            if key in turn:
                assert first(said, key) == turn[key], f"{key}: {where}"
        if "intent" in turn:
            assert said.intent == turn["intent"], where
        if "act" in turn:
            assert said.understood.get("act") == turn["act"], where
        for piece in turn.get("says", []):
            assert piece in said.text, f"does not say {piece!r}: {where}"
        for piece in turn.get("never_says", []):
            assert piece not in said.text, f"says {piece!r}: {where}"
        if "buttons" in turn:
            assert titles(said) == turn["buttons"], f"{titles(said)}: {where}"
        assert set(turn.get("offers", [])) <= set(titles(said)), f"{titles(said)}: {where}"
        if "slots" in turn:
            slots = await assistant.slots(sender)
            assert {name: slots[name] for name in turn["slots"]} == turn["slots"], where
        check_what_holds_of_every_reply(said, where)


def check_what_holds_of_every_reply(said: Turn, where: str) -> None:
    for reply, metadata in zip(said.replies, said.metadata):
        assert "\n\n" not in reply["text"], where
        assert "{" not in reply["text"], where
        for button in reply.get("buttons") or []:
            assert button["payload"] == button["title"], where
            assert not button["payload"].startswith("/"), where
        if metadata.get("topics") or (str(metadata.get("utter_action")).startswith(ANSWER) and metadata.get("evidence")):
            assert any(caveat in reply["text"] for caveat in CAVEATS), where


def test_every_file_of_conversations_is_read() -> None:
    assert {path.suffix for path in FOLDER.iterdir()} == {".yml"}
