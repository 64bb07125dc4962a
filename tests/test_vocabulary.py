"""What a message names is found, plural or not, with common typos, and look-alikes name nothing."""

from pathlib import Path

import pytest

from addons.configuration import ROOT, ConfigurationError
from addons.understanding.components import known_words
from addons.understanding.vocabulary import Vocabulary, as_entities, read_phrases

VOCABULARY = Vocabulary(read_phrases(ROOT / "data" / "vocabulary"), known_words())


def named(text: str, kind: str) -> list[str]:
    return [mention.value for mention in VOCABULARY.mentions(VOCABULARY.read(text)) if mention.kind == kind]


@pytest.mark.parametrize(
    ("text", "concern"),
    [
        ("does it work for hairloss", "hair_loss"),
        ("celulite on my legs", "cellulite"),
        ("can it smooth wrinkels", "skin_ageing"),
        ("my wrinkles", "skin_ageing"),
        ("pigmentasion on the cheek", "pigmentation"),
        ("Double Chin?", "fat"),
        ("STRETCH MARKS", "scars"),
        ("would it calm my tennis elbow", "pain_relief"),
    ],
)
def test_a_concern_is_found_as_people_type_it(text: str, concern: str) -> None:
    assert named(text, "concern") == [concern]


@pytest.mark.parametrize("text", ["will it leave scars", "does it hurt", "can I wash my hair", "is there a painkiller"])
def test_a_look_alike_is_no_concern(text: str) -> None:
    assert named(text, "concern") == []


@pytest.mark.parametrize("text", ["I CAN'T BREATHE", "i can't breathe", "cant breathe", "I CANT BREATHE"])
def test_a_red_flag_is_found_however_it_is_typed(text: str) -> None:
    assert named(text, "red_flag") == ["breathing"]


def test_the_longest_phrase_of_a_kind_wins() -> None:
    assert named("what about acne scars", "concern") == ["scars"]


def test_another_script_is_another_language() -> None:
    assert named("сколько это стоит", "language") == ["other"]
    assert named("how much is it", "language") == []


def test_entities_point_at_the_words_they_come_from() -> None:
    text = "is it ok with warfarin"
    entities = as_entities(VOCABULARY.mentions(VOCABULARY.read(text)))
    medicine = next(entity for entity in entities if entity["entity"] == "medicine")
    assert text[medicine["start"] : medicine["end"]] == "warfarin"
    assert medicine["value"] == "blood_thinner"


def test_a_word_of_ordinary_english_is_no_typo() -> None:
    assert named("a killer price", "treatment") == []


def test_a_vocabulary_file_of_the_wrong_shape_is_named(tmp_path: Path) -> None:
    (tmp_path / "concern.yml").write_text("fat: belly\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"concern\.yml.*`fat` must be a list"):
        read_phrases(tmp_path)
