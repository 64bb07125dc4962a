"""Reads the files people edit (YAML), and says in one line what is wrong with them and where."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]

_VARIABLE = re.compile(r"\$\{(\w+)\}")


class ConfigurationError(Exception):
    """A file a person edited cannot be used. The message names the file, the line where known, and the way out."""

    def __init__(self, path: Path, problem: str, line: int | None = None) -> None:
        """Build the one-line message.

        Args:
            path: the file at fault.
            problem: what is wrong and what to do, as one sentence.
            line: the line it was found on, counted from 1.
        """
        name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
        super().__init__(f"{name}{f', line {line}' if line else ''}: {problem}")


def read_yaml(path: Path) -> Any:
    """Read a YAML file.

    Raises:
        ConfigurationError: the file is missing, is not UTF-8, or is not YAML.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(path, "this file is missing; restore it from the repository.") from None
    except UnicodeDecodeError:
        raise ConfigurationError(path, "this file is not UTF-8 text; save it as UTF-8.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "it cannot be read"
        raise ConfigurationError(
            path,
            f"not valid YAML ({problem}). Check the indentation, quotes and colons there and just above.",
            mark.line + 1 if mark else None,
        ) from None
    except (ValueError, RecursionError) as error:
        # YAML reads 2026-13-40 as a date that does not exist, and gives up on very deep nesting.
        detail = "it is nested too deeply" if isinstance(error, RecursionError) else " ".join(str(error).split())
        raise ConfigurationError(path, f"a value cannot be read ({detail}). Put dates and odd values in quotes.") from None


def read_mapping(path: Path) -> dict[str, Any]:
    """Read a YAML file that must be a mapping of names to values; an empty file is an empty mapping.

    Raises:
        ConfigurationError: as `read_yaml`, or the content is a list or a bare value.
    """
    content = read_yaml(path)
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigurationError(path, "this file must hold `name: value` lines.")
    return content


def check_variables(path: Path, environment: Mapping[str, str] = os.environ) -> None:
    """Check that every `${VARIABLE}` a file names is set.

    Raises:
        ConfigurationError: a variable is not set; the message names it, its file and its line.
    """
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        for name in _VARIABLE.findall(line):
            if name not in environment:
                raise ConfigurationError(
                    path, f"the variable {name} is not set; set it (`export {name}=...`) and start again.", number
                )
