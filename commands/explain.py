"""Shows why one message is understood as it is: parts, likest training examples, probabilities, what is named, and the rule."""

import argparse
import tempfile
from pathlib import Path

from rasa.engine.storage.local_model_storage import LocalModelStorage

from addons.understanding.classifier import IntentClassifier
from addons.understanding.components import VOCABULARY_FOLDER, QuestionClassifier, load_encoder, vocabulary
from addons.understanding.questions import QuestionReader
from addons.understanding.rejection import Thresholds, judge
from addons.understanding.splitter import sentences
from addons.understanding.tidy import tidy
from addons.understanding.triage import triage
from addons.understanding.vocabulary import read_phrases
from commands.terminal import CommandFailed, run_command, say
from commands.train import trained_model

SHOWN = 5


def load_classifier(model: Path) -> tuple[IntentClassifier, Thresholds]:
    """The classifier of a model archive, and the thresholds it was trained with.

    Raises:
        CommandFailed: the archive holds none.
    """
    with tempfile.TemporaryDirectory() as folder:
        storage, metadata = LocalModelStorage.from_model_archive(Path(folder), model)
        for node in metadata.predict_schema.nodes.values():
            if node.uses is QuestionClassifier and node.resource:
                config = {**QuestionClassifier.get_default_config(), **node.config}
                with storage.read_from(node.resource) as saved:
                    classifier = IntentClassifier.load(saved, config["sharpness"])
                names = ("similarity", "probability", "out_of_scope", "sure")
                return classifier, Thresholds(*(float(config[name]) for name in names))
    raise CommandFailed(f"{model.name} holds no QuestionClassifier; is it in the pipeline of config.yml?")


def explain(text: str, classifier: IntentClassifier, thresholds: Thresholds) -> str:
    """Everything that decided how a message is understood, as text.

    Args:
        text: the message as typed.
        classifier: of the trained model.
        thresholds: likewise.
    """
    encoder = load_encoder()
    words = vocabulary(read_phrases(VOCABULARY_FOLDER))
    doc = words.read(tidy(text))
    mentions = words.mentions(doc)
    pieces = [part for sentence in sentences(doc) for part in sentence.parts if part.text != doc.text]
    texts = [doc.text, *(part.text for part in pieces)]
    within = [list(mentions), *(part.mentions(mentions) for part in pieces)]
    vectors = encoder.encode(texts)
    scored = classifier.score(texts, within, vectors)
    lines = [f"read as: {doc.text}"]
    lines += [f"names: {mention.kind} {mention.value} ({doc.text[mention.start : mention.end]})" for mention in mentions]
    for number, (part, score, vector) in enumerate(zip(texts, scored, vectors)):
        verdict = judge(score, thresholds)
        lines.append(f"\n{'the whole' if number == 0 else f'part {number}: {part}'}: {verdict.intent} ({verdict.rule})")
        lines.append("  probabilities: " + ", ".join(f"{intent} {share:.2f}" for intent, share in score.ranking[:SHOWN]))
        for example, intent, similarity in classifier.nearest(vector, SHOWN):
            lines.append(f"  like {similarity:.2f}  {intent}: {example}")
    urgency = triage(doc, mentions, scored[0])
    lines.append(f"\nurgent: {urgency.intent or 'left as it is'} ({urgency.rule})")
    lines.append(f"thresholds: {thresholds}")
    for question in QuestionReader(encoder, classifier, thresholds).read(doc, mentions).questions:
        named = "".join(f", {kind} {value}" for kind, value in question.named.items())
        lines.append(f"understood: {question.intent} {question.confidence:.2f}{named} ({question.rule}): {question.text}")
    return "\n".join(lines)


def main() -> int:
    """The `make explain` command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text", help="the message")
    wanted = parser.parse_args()
    if not wanted.text.strip():
        raise CommandFailed('Say which message: make explain TEXT="does it hurt"')
    say(explain(wanted.text, *load_classifier(trained_model())))
    return 0


if __name__ == "__main__":
    run_command(main)
