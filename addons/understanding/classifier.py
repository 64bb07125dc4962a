"""Which intent a question has: two linear classifiers that look at different things, their scores added.

One sees words and letter sequences (tf-idf: exact terms, typos) and what kinds of thing the vocabulary found, the other the
sentence encoder's vector (meaning). Words need many messages, so that one also learns from the encoder's teaching corpus; the
other does not, because the encoder knows those messages by heart. Beside the probabilities it gives the similarity to the nearest
training example: far questions are unlike everything we know, and no probability shows that.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save_file
from scipy.sparse import hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from addons.understanding.encoder import Vectors
from addons.understanding.vocabulary import Mention

Matrix = npt.NDArray[np.float32]

# The best in cross-validation over the training examples (inverse regularisation strengths of 0.1 to 30 tried).
_WORDS_C = 0.3
_MEANING_C = 3.0
# A support vector machine gives distances, not log-probabilities; this slope gives both classifiers about the same say.
_WORDS_SLOPE = 4.0
_COSTLIER = {"report_emergency": 1.5, "out_of_scope": 2.0}
# Tokens of one letter count ("u", "r"), punctuation does not.
_WORD_OPTIONS: dict[str, Any] = {"ngram_range": (1, 2), "token_pattern": r"(?u)\b\w+\b"}
_LETTER_OPTIONS: dict[str, Any] = {"ngram_range": (2, 5), "analyzer": "char_wb"}
_MOST_WORDS = 20000
_MOST_LETTERS = 30000


@dataclass(frozen=True)
class Labelled:
    """Messages with their labels.

    Attributes:
        texts: the messages, tidy.
        mentions: what the vocabulary found in each.
        intents: their labels.
    """

    texts: Sequence[str]
    mentions: Sequence[Sequence[Mention]]
    intents: Sequence[str]

    def only(self, rows: Iterable[int]) -> "Labelled":
        """Some of them, by position."""
        chosen = [(self.texts[row], self.mentions[row], self.intents[row]) for row in rows]
        return Labelled([row[0] for row in chosen], [row[1] for row in chosen], [row[2] for row in chosen])


@dataclass(frozen=True)
class Scored:
    """What the classifier thinks of one question.

    Attributes:
        ranking: (intent, probability), most probable first; the probabilities of all intents sum to 1.
        similarity: cosine to the nearest training example of any intent but `out_of_scope`, from -1 to 1.
        nearest: that example's text.
        nearest_intent: and its intent.
    """

    ranking: list[tuple[str, float]]
    similarity: float
    nearest: str
    nearest_intent: str

    @property
    def intent(self) -> str:
        """The most probable intent."""
        return self.ranking[0][0]

    @property
    def probability(self) -> float:
        """Its probability."""
        return self.ranking[0][1]


class IntentClassifier:
    """A linear support vector machine on words and letters, a logistic regression on meaning, their scores added."""

    def __init__(
        self,
        intents: list[str],
        vectorizers: tuple[TfidfVectorizer, TfidfVectorizer],
        weights: dict[str, Matrix],
        examples: list[tuple[str, str]],
        sharpness: float = 1.0,
    ) -> None:
        """Put together what `fit` or `load` found; use those.

        Args:
            intents: the labels, in the order of the weights' rows.
            vectorizers: fitted, for words and for letters.
            weights: words_coef (intents, features), words_intercept (intents,), meaning_coef (intents, dimensions),
                meaning_intercept (intents,), vectors (examples, dimensions).
            examples: (text, intent) of every training example that is ours.
            sharpness: what the scores are multiplied with before they become probabilities, so that of all questions answered
                with a probability of 0.8, 80 % are right. `make thresholds` finds it.
        """
        self._intents = intents
        self._vectorizers = vectorizers
        self._weights = weights
        # Laid out for the multiplication below; done for every message it would cost more than the multiplication.
        self._words_by_feature = np.ascontiguousarray(weights["words_coef"].T)
        self._examples = examples
        self._sharpness = sharpness

    @classmethod
    def fit(
        cls,
        examples: Labelled,
        vectors: Vectors,
        corpus: Labelled | None = None,
        not_ours: str = "out_of_scope",
        sharpness: float = 1.0,
    ) -> "IntentClassifier":
        """Teach the classifier. The same examples give the same classifier.

        Args:
            examples: the training examples.
            vectors: their encoder vectors, one row each.
            corpus: further messages to learn words from.
            not_ours: the label whose examples are no neighbours: being like them is no reason to answer.
            sharpness: see `__init__`.
        """
        labels = np.array(examples.intents)
        further = corpus or Labelled([], [], [])
        texts = [*examples.texts, *further.texts]
        marked = [_marked(text, named) for text, named in zip(texts, [*examples.mentions, *further.mentions])]
        vectorizers = (
            TfidfVectorizer(sublinear_tf=True, max_features=_MOST_WORDS, dtype=np.float32, **_WORD_OPTIONS),
            TfidfVectorizer(sublinear_tf=True, max_features=_MOST_LETTERS, dtype=np.float32, **_LETTER_OPTIONS),
        )
        words = hstack([vectorizers[0].fit_transform(marked), vectorizers[1].fit_transform(texts)]).tocsr()
        word_labels = np.array([*examples.intents, *further.intents])
        by_words = LinearSVC(C=_WORDS_C, class_weight=_weights(word_labels), random_state=0).fit(words, word_labels)
        by_meaning = LogisticRegression(C=_MEANING_C, class_weight=_weights(labels), max_iter=300).fit(vectors, labels)
        if list(by_words.classes_) != list(by_meaning.classes_):
            unknown = sorted(set(by_words.classes_) ^ set(by_meaning.classes_))
            raise ValueError(f"Every label of the corpus needs training examples in data/, and there are none for {unknown}.")
        ours = np.flatnonzero(labels != not_ours)
        weights = {
            "words_coef": by_words.coef_,
            "words_intercept": by_words.intercept_,
            "meaning_coef": by_meaning.coef_,
            "meaning_intercept": by_meaning.intercept_,
            "vectors": vectors[ours],
        }
        return cls(
            [str(intent) for intent in by_words.classes_],
            vectorizers,
            {name: np.ascontiguousarray(values, dtype=np.float32) for name, values in weights.items()},
            [(examples.texts[index], str(labels[index])) for index in ours],
            sharpness,
        )

    def score(self, texts: Sequence[str], mentions: Sequence[Sequence[Mention]], vectors: Vectors) -> list[Scored]:
        """Score questions.

        Args:
            texts: the questions.
            mentions: what the vocabulary found in each.
            vectors: their encoder vectors, one row each.
        """
        weights = self._weights
        marked = [_marked(text, named) for text, named in zip(texts, mentions)]
        # In single precision: a multiplication in double precision would first copy all the weights.
        words, letters = (
            vectorizer.transform(read).astype(np.float32) for vectorizer, read in zip(self._vectorizers, (marked, texts))
        )
        known = words.shape[1]
        by_features = words @ self._words_by_feature[:known] + letters @ self._words_by_feature[known:]
        by_words = _WORDS_SLOPE * (by_features + weights["words_intercept"])
        by_meaning = vectors @ weights["meaning_coef"].T + weights["meaning_intercept"]
        # Adding scores multiplies probabilities: an intent needs both, and either can veto.
        probabilities = _softmax(self._sharpness * (by_words + by_meaning))
        similarities = vectors @ weights["vectors"].T
        scored = []
        for row, similarity in zip(probabilities, similarities):
            order = np.argsort(-row, kind="stable")
            nearest = int(similarity.argmax())
            scored.append(
                Scored(
                    [(self._intents[index], float(row[index])) for index in order],
                    float(similarity[nearest]),
                    *self._examples[nearest],
                )
            )
        return scored

    def nearest(self, vector: Matrix, count: int) -> list[tuple[str, str, float]]:
        """The training examples most like a question: (text, intent, cosine), nearest first.

        Args:
            vector: the question's, `dimensions` numbers.
            count: how many at most.
        """
        similarity = self._weights["vectors"] @ vector
        return [(*self._examples[index], float(similarity[index])) for index in np.argsort(-similarity, kind="stable")[:count]]

    def save(self, folder: Path) -> None:
        """Write the classifier as plain numbers and JSON: nothing in the model archive can run code."""
        save_file({name: _compact(values) for name, values in self._weights.items()}, folder / "weights.safetensors")
        vocabulary = [
            {
                "terms": list(vectorizer.get_feature_names_out()),
                "idf": [round(float(idf), 6) for idf in vectorizer.idf_],
            }
            for vectorizer in self._vectorizers
        ]
        description = {"intents": self._intents, "vectorizers": vocabulary, "examples": self._examples}
        (folder / "classifier.json").write_text(json.dumps(description, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, sharpness: float = 1.0) -> "IntentClassifier":
        """Read what `save` wrote.

        Args:
            folder: where.
            sharpness: see `__init__`; it may change without training anew.
        """
        description = json.loads((folder / "classifier.json").read_text(encoding="utf-8"))
        words, letters = (
            _vectorizer(saved, options) for saved, options in zip(description["vectorizers"], (_WORD_OPTIONS, _LETTER_OPTIONS))
        )
        weights = {name: values.astype(np.float32) for name, values in load_file(folder / "weights.safetensors").items()}
        examples = [(text, intent) for text, intent in description["examples"]]
        return cls(description["intents"], (words, letters), weights, examples, sharpness)


def _marked(text: str, mentions: Sequence[Mention]) -> str:
    """The text with a word for each kind of thing it names, so that a brand never seen in training still counts as one.

    Another treatment named, and nothing of ours, is its own word: it is how near out-of-scope questions look.
    """
    kinds = {mention.kind for mention in mentions}
    marks = sorted(f"names{kind}" for kind in kinds)
    if "treatment" in kinds and "ours" not in kinds:
        marks.append("namesonlyothertreatment")
    if kinds & {"condition", "medicine"} and not kinds & {"ours", "concern"}:
        marks.append("namesonlyillness")
    return " ".join([text, *marks])


def _weights(labels: npt.NDArray[np.str_]) -> dict[str, float]:
    """How much a mistake on each intent counts: balanced, because how many examples we wrote is not how often people ask,
    and more for emergencies, because missing one is worse than a false alarm."""
    names, counts = np.unique(labels, return_counts=True)
    balanced = {str(name): len(labels) / (len(names) * count) for name, count in zip(names, counts)}
    return {name: weight * _COSTLIER.get(name, 1.0) for name, weight in balanced.items()}


def _vectorizer(saved: dict[str, Any], options: dict[str, Any]) -> TfidfVectorizer:
    vectorizer = TfidfVectorizer(
        sublinear_tf=True,
        dtype=np.float32,
        vocabulary={term: index for index, term in enumerate(saved["terms"])},
        **options,
    )
    vectorizer.idf_ = np.array(saved["idf"], dtype=np.float32)
    return vectorizer


def _compact(values: Matrix) -> npt.NDArray[np.float16]:
    """Half precision: the probabilities keep three decimals, the archive halves."""
    return values.astype(np.float16)


def _softmax(scores: Matrix) -> Matrix:
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    exponentials: Matrix = raised / raised.sum(axis=1, keepdims=True)
    return exponentials
