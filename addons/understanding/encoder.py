"""The sentence encoder: turns a message into a vector whose direction is its meaning."""

import hashlib
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import tokenizers

Vectors = npt.NDArray[np.float32]

# Longer than nearly any message (1,000 characters are about 250 pieces); time grows with length.
_MAX_PIECES = 128
_BATCH = 32


class EncoderFileError(Exception):
    """The encoder's weights are missing or are not the file they should be."""


class SentenceEncoder:
    """A BERT-type encoder in ONNX, mean-pooled and scaled to length 1 (the method of Sentence-BERT, Reimers 2019)."""

    def __init__(self, model: Path, sha256: str, vocabulary: Path, threads: int = 2) -> None:
        """Load the weights.

        Args:
            model: ONNX file with inputs input_ids, attention_mask, token_type_ids and output last_hidden_state.
            sha256: what the file must hash to: a damaged or exchanged file would answer, but wrongly.
            vocabulary: WordPiece vocabulary, one piece a line.
            threads: processor threads for one message.

        Raises:
            EncoderFileError: the file is missing or hashes to something else.
        """
        try:
            weights = model.read_bytes()
        except OSError as error:
            raise EncoderFileError(f"The encoder's weights cannot be read: {error}. Run `make setup` again.") from error
        found = hashlib.sha256(weights).hexdigest()
        if found != sha256:
            raise EncoderFileError(
                f"{model.name} is not the file it should be (sha256 {found[:12]}..., expected {sha256[:12]}...). "
                "Restore it, or reinstall the packages: `make clean` and try again."
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # int8 weights become floats once, at load; left to itself the runtime would do so for every message.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        self._session = onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])
        self._tokenizer = tokenizers.BertWordPieceTokenizer(str(vocabulary), lowercase=True)
        self._tokenizer.enable_truncation(_MAX_PIECES)
        self.dimensions = int(self._session.get_outputs()[0].shape[-1])
        self.sha256 = sha256

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Encode messages.

        Args:
            texts: any number of messages.

        Returns:
            One row a message, `dimensions` columns, each row of length 1. A message's row does not depend on the others.
        """
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        encodings = self._tokenizer.encode_batch(list(texts))
        # Messages of like length share a batch, so that little is spent on padding.
        order = sorted(range(len(texts)), key=lambda index: len(encodings[index].ids))
        for start in range(0, len(order), _BATCH):
            rows = order[start : start + _BATCH]
            width = max(len(encodings[row].ids) for row in rows)
            ids = np.zeros((len(rows), width), dtype=np.int64)
            mask = np.zeros_like(ids)
            for position, row in enumerate(rows):
                pieces = encodings[row].ids
                ids[position, : len(pieces)] = pieces
                mask[position, : len(pieces)] = 1
            hidden = self._session.run(
                ["last_hidden_state"],
                {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)},
            )[0]
            pooled = (hidden * mask[..., None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
            vectors[rows] = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
        return vectors


def encode_remembered(encoder: SentenceEncoder, texts: Sequence[str], memory: Path) -> Vectors:
    """Encode many messages, most of which were encoded before: encoding is most of the time training takes.

    Args:
        encoder: what encodes those not remembered.
        texts: the messages.
        memory: a .npz file of the vectors of the last call, by the hash of each message. Rewritten when a message is
            new; not used when another encoder wrote it or it cannot be read. One that cannot be written costs time only.

    Returns:
        What `encoder.encode` gives.
    """
    keys = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest() for text in texts]
    known = _remembered(memory, encoder.sha256)
    new = {key: text for key, text in zip(keys, texts) if key not in known}
    if new:
        known |= dict(zip(new, encoder.encode(list(new.values()))))
        kept = list(dict.fromkeys(keys))
        _remember(memory, encoder.sha256, kept, np.array([known[key] for key in kept]))
    return np.array([known[key] for key in keys], dtype=np.float32).reshape(len(texts), encoder.dimensions)


def _remembered(memory: Path, encoder: str) -> dict[str, Vectors]:
    try:
        with np.load(memory) as saved:
            return dict(zip(saved["keys"].tolist(), saved["vectors"])) if str(saved["encoder"]) == encoder else {}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return {}


def _remember(memory: Path, encoder: str, keys: list[str], vectors: Vectors) -> None:
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        unfinished = memory.with_name(f"{os.getpid()}-{memory.name}")  # another process may be at it too
        np.savez(unfinished, encoder=encoder, keys=keys, vectors=vectors)
        unfinished.replace(memory)
    except OSError:
        return
