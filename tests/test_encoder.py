"""The sentence encoder is the file it should be, and a message's vector is its own."""

from pathlib import Path

import numpy as np
import pytest

from addons.understanding.components import ENCODER_VOCABULARY, encoder_file, load_encoder
from addons.understanding.encoder import EncoderFileError, SentenceEncoder, Vectors, encode_remembered


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    return load_encoder()


def test_vectors_have_length_one_and_do_not_depend_on_the_batch(encoder: SentenceEncoder) -> None:
    texts = ["does it hurt", "how much", "a long story about my aunt, her knees and a clinic in Nice, and then: is it safe?"]
    together = encoder.encode(texts)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    alone = np.vstack([encoder.encode([text]) for text in texts])
    assert (together * alone).sum(axis=1).min() > 0.9999


def test_a_like_question_is_nearer_than_another(encoder: SentenceEncoder) -> None:
    price, cost, pain = encoder.encode(["what is the price", "how expensive is it", "is it sore"])
    assert price @ cost > price @ pain


def test_no_message_is_too_long_and_none_too_short(encoder: SentenceEncoder) -> None:
    assert encoder.encode(["", "word " * 500]).shape == (2, encoder.dimensions)
    assert encoder.encode([]).shape == (0, encoder.dimensions)


def test_a_damaged_file_is_refused_with_what_to_do(tmp_path: Path) -> None:
    damaged = tmp_path / "model.onnx"
    damaged.write_bytes(b"not the weights")
    with pytest.raises(EncoderFileError, match="not the file it should be"):
        SentenceEncoder(damaged, encoder_file()[1], ENCODER_VOCABULARY)


def test_a_missing_file_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(EncoderFileError, match="make setup"):
        SentenceEncoder(tmp_path / "model.onnx", "0", ENCODER_VOCABULARY)


def test_without_the_taught_encoder_the_packages_own_serves() -> None:
    assert load_encoder(taught=None).encode(["does it hurt"]).shape == (1, 384)


class Counting:
    """Stands for an encoder, and counts what it is asked to encode."""

    dimensions = 2

    def __init__(self, sha256: str = "one") -> None:
        self.sha256, self.asked = sha256, list[str]()

    def encode(self, texts: list[str]) -> Vectors:
        self.asked += texts
        return np.array([[len(text), 1] for text in texts], dtype=np.float32).reshape(len(texts), 2)


def remembered(encoder: Counting, texts: list[str], memory: Path) -> list[list[float]]:
    vectors = encode_remembered(encoder, texts, memory)  # type: ignore[arg-type]
    return [[float(value) for value in row] for row in vectors]


def test_a_message_is_encoded_once(tmp_path: Path) -> None:
    encoder, memory = Counting(), tmp_path / "folder" / "vectors.npz"
    assert remembered(encoder, ["a", "bb", "a"], memory) == [[1, 1], [2, 1], [1, 1]]
    assert remembered(encoder, ["bb", "ccc"], memory) == [[2, 1], [3, 1]]
    assert encoder.asked == ["a", "bb", "ccc"]
    assert remembered(encoder, [], memory) == []


def test_another_encoder_starts_anew(tmp_path: Path) -> None:
    memory, other = tmp_path / "vectors.npz", Counting("two")
    remembered(Counting(), ["a"], memory)
    assert remembered(other, ["a"], memory) == [[1, 1]]
    assert other.asked == ["a"]


def test_vectors_that_cannot_be_read_or_kept_cost_time_only(tmp_path: Path) -> None:
    broken, encoder = tmp_path / "vectors.npz", Counting()
    broken.write_bytes(b"nonsense")
    assert remembered(encoder, ["a"], broken) == [[1, 1]]
    assert remembered(encoder, ["a"], broken / "below a file") == [[1, 1]]
    assert encoder.asked == ["a", "a"]
