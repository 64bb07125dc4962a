"""Turns that could not be written to the database yet, in the order they happened.

They wait in memory and, line by line, in a file of this process, so that neither an outage nor a killed process loses one.
"""

import fcntl
import json
import logging
import os
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

LIMIT_TURNS = 5000
_PATTERN = "turns-*.jsonl"

logger = logging.getLogger(__name__)

Row = dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """What one turn adds to a conversation, or the wish to erase it.

    Attributes:
        key: names this write; the database remembers it, so that a write repeated in doubt happens once.
        conversation: the sender id.
        at: unix seconds.
        rows: the events as rows of the `events` table.
        erase: the conversation is to be erased instead.
    """

    key: str
    conversation: str
    at: float
    rows: tuple[Row, ...] = ()
    erase: bool = False


class Journal:
    """A queue of entries with a bound, and a file behind it."""

    def __init__(self, folder: Path | None, limit: int = LIMIT_TURNS) -> None:
        """Open a file of this process's own, and take over what processes that are gone left behind.

        Args:
            folder: where the files are; None keeps the entries in memory alone.
            limit: how many entries may wait.

        Raises:
            OSError: the folder cannot be written.
        """
        self._limit = limit
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._file: IO[str] | None = None
        if folder is None:
            return
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        orphans: list[tuple[Path, IO[str]]] = []
        for path in sorted(folder.glob(_PATTERN)):
            file = _locked(path)
            if file is not None:
                orphans.append((path, file))
        number = 1
        while self._file is None:
            path = folder / _PATTERN.replace("*", f"{os.getpid()}-{number}")
            self._file = None if path.exists() else _locked(path)
            number += 1
        for path, file in orphans:
            for entry in _read(file):
                self._entries[entry.key] = entry
                self._append(_as_line(entry))
            path.unlink()
            file.close()

    def __len__(self) -> int:
        """How many entries wait."""
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        """The waiting entries, oldest first; others may be added or removed meanwhile."""
        return iter(list(self._entries.values()))

    def add(self, entry: Entry) -> bool:
        """Let an entry wait.

        Returns:
            Whether there was room. Without room it is lost, which the log says at ERROR.
        """
        if len(self._entries) >= self._limit:
            logger.error("The journal is full (%d turns wait for the database): this turn is not stored.", self._limit)
            return False
        self._entries[entry.key] = entry
        self._append(_as_line(entry))
        return True

    def remove(self, entry: Entry) -> None:
        """Take out an entry that was written."""
        if self._entries.pop(entry.key, None) is not None:
            self._leave_out([entry])

    def forget(self, conversation: str) -> int:
        """Take out everything that waits for one conversation.

        Returns:
            How many events that were.
        """
        mine = [entry for entry in self if entry.conversation == conversation]
        for entry in mine:
            del self._entries[entry.key]
        self._leave_out(mine)
        return sum(len(entry.rows) for entry in mine)

    def close(self) -> None:
        """Let go of the file; what waits stays in it."""
        if self._file is not None:
            self._file.close()

    def _append(self, line: dict[str, Any]) -> None:
        if self._file is None:
            return
        try:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            logger.error("The journal's file cannot be written (%s): waiting turns are in memory only.", error.strerror)

    def _leave_out(self, entries: list[Entry]) -> None:
        """Mark entries in the file; it is emptied as soon as nothing waits, so that nothing written stays in it for long."""
        if self._entries:
            for entry in entries:
                self._append({"written": entry.key})
        elif self._file is not None:
            try:
                self._file.truncate(0)
            except OSError as error:
                logger.error("The journal's file cannot be emptied (%s).", error.strerror)


def _as_line(entry: Entry) -> dict[str, Any]:
    return {**entry.__dict__, "rows": list(entry.rows)}


def _locked(path: Path) -> IO[str] | None:
    """The file, opened and locked for this process; None when another process has it."""
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600), "a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


def _read(file: IO[str]) -> list[Entry]:
    """The entries of a file that are not marked as written. A last line cut off by a kill was never acknowledged."""
    file.seek(0)
    waiting: dict[str, Entry] = {}
    for line in file:
        try:
            value = json.loads(line)
            if "written" in value:
                waiting.pop(value["written"], None)
            else:
                entry = Entry(**{**value, "rows": tuple(value["rows"])})
                waiting[entry.key] = entry
        except (ValueError, TypeError, KeyError):
            logger.error("A line of the journal cannot be read and is left out.")
    return list(waiting.values())
