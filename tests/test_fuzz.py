"""Whatever arrives or is typed into a file: an answer, or an error that says what to do."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from rasa.shared.core.events import UserUttered

from addons.channels.rest import Refused, _read
from addons.channels.turns import readable
from addons.clinic import Clinic, read_clinic
from addons.configuration import ROOT, ConfigurationError, read_mapping, read_yaml
from addons.conversations import _row, usable_sender

ANY_TEXT = st.text(st.characters(exclude_categories=()))
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=10,
)
CLINIC = (ROOT / "clinic.yml").read_text(encoding="utf-8")
TOPICS = sorted((ROOT / "data" / "topics").glob("*.yml"))
fuzz = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def read_or_code(body: bytes) -> tuple[str, str, dict[str, Any]] | str:
    """What the plain HTTP channel reads, or the code of its refusal; anything else it raises fails the test."""
    try:
        return _read(body)
    except Refused as refused:
        return refused.code


@fuzz
@given(st.binary() | ANY_JSON.map(lambda value: json.dumps(value).encode()))
@example(b"[" * 100_000)
@example(b'{"sender": "me", "message": "hi", "metadata": {"a": NaN}}')
def test_a_body_is_a_message_or_is_refused(body: bytes) -> None:
    found = read_or_code(body)
    if not isinstance(found, tuple):
        assert found in {"bad_request", "bad_text"}
        return
    sender, text, metadata = found
    assert usable_sender(sender)
    assert readable(text)
    assert isinstance(metadata, dict)


@fuzz
@given(ANY_JSON, ANY_JSON, ANY_JSON)
def test_any_request_of_the_right_shape_is_read_or_refused(sender: Any, text: Any, metadata: Any) -> None:
    found = read_or_code(json.dumps({"sender": sender, "message": text, "metadata": metadata}).encode())
    assert isinstance(found, tuple) or found in {"bad_request", "bad_text"}


@fuzz
@given(ANY_TEXT, ANY_JSON)
def test_whatever_is_said_can_be_stored(text: str, metadata: Any) -> None:
    event = UserUttered(
        text, {"name": text}, [{"entity": text, "value": metadata}], {"intent": {"name": text}}, metadata={"any": metadata}
    )
    row = _row("a-patient", event)
    data = row["data"]
    data.encode("ascii")
    assert "\\u0000" not in data.replace("\\\\", "")
    json.dumps(json.loads(data), allow_nan=False, ensure_ascii=False).encode("utf-8")
    assert "\0" not in (row["intent_name"] or "")


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    return path


def read_or_explain(read: Callable[[Path], Any], path: Path) -> Any:
    """What is read of a file; or, checked, the one line that names the file and says what is wrong. None else may be raised."""
    try:
        return read(path)
    except ConfigurationError as error:
        problem = str(error)
    assert problem.startswith(str(path))
    assert "\n" not in problem
    assert len(problem) < 2000
    return problem


@fuzz
@given(st.binary() | ANY_TEXT)
@example("a: 2026-13-40")
@example("a: " + "[" * 5000)
@example("a: !!python/object:os.system x")
@example("a: *b")
@example("? [1]\n: 2")
def test_any_content_of_a_file_is_read_or_explained(tmp_path: Path, content: str | bytes) -> None:
    path = write(tmp_path / "clinic.yml", content)
    read_or_explain(read_mapping, path)


@fuzz
@given(st.data())
def test_a_clinics_file_with_something_typed_into_it_is_used_whole_or_not_at_all(tmp_path: Path, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(CLINIC)))
    removed = data.draw(st.integers(0, 20))
    typed = data.draw(st.text(max_size=12))
    path = write(tmp_path / "clinic.yml", CLINIC[:place] + typed + CLINIC[place + removed :])
    clinic = read_or_explain(read_clinic, path)
    if isinstance(clinic, Clinic):
        assert clinic.emergency_number
        assert not [value for value in clinic.placeholders().values() if "{" in value or "}" in value]


@fuzz
@given(st.data())
def test_a_topics_file_with_something_typed_into_it_is_read_or_explained(tmp_path: Path, data: st.DataObject) -> None:
    topic = data.draw(st.sampled_from(TOPICS)).read_text(encoding="utf-8")[:4000]
    place = data.draw(st.integers(0, len(topic)))
    path = write(tmp_path / "topic.yml", topic[:place] + data.draw(st.text(max_size=12)) + topic[place:])
    read_or_explain(read_yaml, path)


def test_a_date_that_does_not_exist_is_explained(tmp_path: Path) -> None:
    path = write(tmp_path / "topic.yml", "reviewed: 2026-13-40\n")
    with pytest.raises(ConfigurationError, match="Put dates and odd values in quotes"):
        read_yaml(path)
