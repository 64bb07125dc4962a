"""The sentence encoder is the file it should be, and a message's vector is its own."""

from pathlib import Path

import numpy as np
import pytest

from addons.understanding.components import ENCODER_VOCABULARY, encoder_file, load_encoder
from addons.understanding.encoder import EncoderFileError, SentenceEncoder


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
    assert load_encoder(taught=False).encode(["does it hurt"]).shape == (1, 384)
