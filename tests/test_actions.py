"""What each action does: its whole ordered output."""

import ast
from pathlib import Path

import pytest
from rasa_sdk import Tracker
from rasa_sdk.events import SlotSet
from rasa_sdk.executor import CollectingDispatcher

from actions.hand_over import ActionHandOver
from addons.configuration import ROOT, read_mapping

ACTION_FILES = sorted((ROOT / "actions").glob("*.py"))


def a_conversation() -> Tracker:
    return Tracker("someone", {}, {"text": "can I talk to a person"}, [], False, None, {}, "action_listen")


def test_handing_over_marks_the_conversation_and_says_nothing_itself() -> None:
    dispatcher = CollectingDispatcher()
    assert ActionHandOver().run(dispatcher, a_conversation(), {}) == [SlotSet("wants_person", True)]
    assert dispatcher.messages == []


def test_no_slot_is_filled_by_the_action_server_so_that_its_failure_leaves_none_unset() -> None:
    slots = read_mapping(ROOT / "domain.yml")["slots"].values()
    mappings = [mapping for slot in slots for mapping in slot["mappings"]]
    assert mappings
    assert not [mapping for mapping in mappings if "action" in mapping]


@pytest.mark.parametrize("path", ACTION_FILES, ids=lambda path: path.stem)
def test_an_action_speaks_only_through_responses_so_that_no_text_passes_the_caveat_by(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "utter_message":
            assert not node.args
            assert {keyword.arg for keyword in node.keywords}.isdisjoint({"text", "json_message", None})


@pytest.mark.parametrize("path", ACTION_FILES, ids=lambda path: path.stem)
def test_an_action_imports_nothing_of_the_rasa_server(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not [name for name in names if name.split(".")[0] in {"rasa", "addons", "commands"}]
