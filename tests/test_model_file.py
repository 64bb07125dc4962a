"""A model archive that is not what training wrote answers nobody."""

from pathlib import Path

import pytest

from addons.model_file import DamagedModel, check_checksum, record_checksum
from commands import train
from commands.terminal import CommandFailed


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "assistant.tar.gz"
    path.write_bytes(b"a model")
    record_checksum(path)
    return path


def test_an_archive_as_it_was_written_is_accepted(archive: Path) -> None:
    check_checksum(archive)
    assert archive.with_name("assistant.tar.gz.sha256").read_text().endswith("  assistant.tar.gz\n")


def test_an_archive_cut_off_changed_or_missing_is_refused_with_what_to_do(archive: Path) -> None:
    archive.write_bytes(b"a mod")
    with pytest.raises(DamagedModel, match=r"cut off or changed\. Delete it and run `make train`"):
        check_checksum(archive)
    archive.unlink()
    with pytest.raises(DamagedModel, match=r"is missing\. Train again"):
        check_checksum(archive)


def test_an_archive_without_its_checksum_is_refused(archive: Path) -> None:
    archive.with_name("assistant.tar.gz.sha256").unlink()
    with pytest.raises(DamagedModel, match=r"assistant\.tar\.gz\.sha256 is missing"):
        check_checksum(archive)


def test_a_damaged_model_is_trained_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / f"assistant-{train.fingerprint()}.tar.gz"
    model.write_bytes(b"a model")
    record_checksum(model)
    monkeypatch.setattr(train, "MODELS", tmp_path)
    assert train.trained_model() == model
    model.write_bytes(b"a mod")

    def begin(*_: object, **__: object) -> None:
        raise RuntimeError("training began")

    monkeypatch.setattr("rasa.model_training.train", begin)
    with pytest.raises(CommandFailed, match="training began"):
        train.trained_model()
    assert not model.exists()
