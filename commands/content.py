"""The assistant's content as data: responses and training examples, straight from the files people edit."""

from pathlib import Path
from typing import Any

from addons.configuration import ROOT, read_mapping

DATA_FOLDERS = ("topics", "conversation", "safety", "channels")

Variation = dict[str, Any]


def data_files() -> list[Path]:
    """Every file of the assistant's content, in a fixed order."""
    return [path for folder in DATA_FOLDERS for path in sorted((ROOT / "data" / folder).glob("*.yml"))]


def responses() -> dict[str, list[Variation]]:
    """Every response by name, each a list of variations."""
    found: dict[str, list[Variation]] = {}
    for path in data_files():
        found |= read_mapping(path).get("responses") or {}
    return found


def examples() -> dict[str, list[str]]:
    """Every training example by intent."""
    found: dict[str, list[str]] = {}
    for path in data_files():
        for block in read_mapping(path).get("nlu") or []:
            lines = [line.strip() for line in block["examples"].splitlines()]
            found.setdefault(block["intent"], []).extend(line[2:].strip() for line in lines if line.startswith("- "))
    return found
