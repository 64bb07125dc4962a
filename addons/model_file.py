"""The model archive's checksum: written when it is trained, checked before it answers anyone."""

import hashlib
from pathlib import Path


class DamagedModel(Exception):
    """A model archive is not what training wrote."""


def record_checksum(model: Path) -> None:
    """Write the archive's checksum beside it, in the form `sha256sum --check` reads."""
    _beside(model).write_text(f"{_sha256(model)}  {model.name}\n", encoding="utf-8")


def check_checksum(model: Path) -> None:
    """Compare an archive with its checksum.

    Raises:
        DamagedModel: they differ, or one of the two is missing.
    """
    try:
        recorded, found = _beside(model).read_text(encoding="utf-8").split()[0], _sha256(model)
    except (OSError, IndexError):
        raise DamagedModel(f"{model.name} or its checksum {_beside(model).name} is missing. Train again: `make train`.") from None
    if found != recorded:
        raise DamagedModel(f"{model.name} is not what training wrote: it was cut off or changed. Delete it and run `make train`.")


def _beside(model: Path) -> Path:
    return model.with_name(f"{model.name}.sha256")


def _sha256(model: Path) -> str:
    digest = hashlib.sha256()
    with model.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
