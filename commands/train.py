"""Trains the assistant if anything that goes into the model changed since the last one.

The model file carries the fingerprint of everything it was made from, so an unchanged project starts at once.
"""

import contextlib
import hashlib
import io
import time
from pathlib import Path

from addons.configuration import ROOT, ConfigurationError, read_yaml
from addons.model_file import DamagedModel, check_checksum, record_checksum
from commands.terminal import CommandFailed, run_command, say

MODELS = ROOT / "models"
INPUTS = (
    "config.yml",
    "domain.yml",
    "requirements.txt",
    "data",
    "addons/understanding",
    "encoder/vocab.txt",
    "encoder/model.onnx",
    "encoder/corpus",
)
KEPT_MODELS = 2


def training_inputs() -> list[Path]:
    """Every file that decides what the trained model is, in a fixed order."""
    files: list[Path] = []
    for name in INPUTS:
        path = ROOT / name
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        files += [file for file in found if file.suffix in {".yml", ".py", ".txt", ".onnx"} and file.is_file()]
    return files


def fingerprint() -> str:
    """Twelve hexadecimal digits that change when anything the model is made from changes."""
    digest = hashlib.sha256()
    for file in training_inputs():
        digest.update(str(file.relative_to(ROOT)).encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def check_readable() -> None:
    """Check that every YAML file of the model can be read, before the long work starts.

    Raises:
        ConfigurationError: naming the file and the line.
    """
    for file in training_inputs():
        if file.suffix == ".yml":
            read_yaml(file)


def trained_model() -> Path:
    """Train if needed.

    Returns:
        The model archive that fits the present configuration, domain and data.

    Raises:
        ConfigurationError: a file cannot be read.
        CommandFailed: training failed; the message says why.
    """
    check_readable()
    model = MODELS / f"assistant-{fingerprint()}.tar.gz"
    if model.is_file():
        try:
            check_checksum(model)
            return model
        except DamagedModel as damage:
            say(f"{damage.args[0].split('. ')[0]}: it is trained anew.")
            model.unlink()
    say("Training the assistant (about a minute and a half the first time) ...")
    started = time.monotonic()
    output = io.StringIO()
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            import rasa.model_training  # slow to import, so only when there is something to train

            import commands.quiet  # noqa: F401  before Rasa, for its warning filter

            result = rasa.model_training.train(
                domain=str(ROOT / "domain.yml"),
                config=str(ROOT / "config.yml"),
                training_files=str(ROOT / "data"),
                output=str(MODELS),
                fixed_model_name=model.name,
            )
    except ConfigurationError:
        raise
    except (Exception, SystemExit) as error:
        problem = " ".join(str(error).split()) or type(error).__name__
        raise CommandFailed(f"Training failed: {problem}") from error
    if result.code != 0 or not model.is_file():
        raise CommandFailed(f"Training failed:\n{output.getvalue().strip()}")
    record_checksum(model)
    for old in sorted(MODELS.glob("assistant-*.tar.gz"), key=lambda path: path.stat().st_mtime)[:-KEPT_MODELS]:
        old.unlink()
        old.with_name(f"{old.name}.sha256").unlink(missing_ok=True)
    say(f"Trained in {time.monotonic() - started:.0f} s: {model.relative_to(ROOT)}")
    return model


def main() -> int:
    """The `make train` command."""
    say(f"The model is ready: {trained_model().relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    run_command(main)
