"""How soon a symptom after treatment has to be seen, and whether one question would change that.

Red flags never come this far: triage has answered them. What is left has four levels (today, within days, watch, and the
whole table when it cannot be told), and the higher one counts in doubt.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from addons.configuration import ConfigurationError, read_mapping
from addons.dialogue.acts import any_of, is_put_as_question, plain

ASK, TODAY, DAYS, WATCH, TABLE = "ask", "today", "days", "watch", "table"
_KINDS = ("today", "worse", "better", "same", "late", "early", "not")
# From this day on something new, or still there, is no usual after-effect.
_LATE_DAYS = 7
_EARLY_DAYS = 3
_UNITS = {"day": 1, "week": 7, "month": 30, "year": 365}
_WORDS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "couple of": 2, "few": 3}
_SPAN = re.compile(rf"\b(\d{{1,3}}|{'|'.join(_WORDS)})\s*(day|week|wk|month|year)s?\b|\bday (\d{{1,2}})\b")
_NEGATION_REACH = 3


class SymptomGuide:
    """Reads what is told about a symptom, by the phrases of data/symptoms.yml."""

    def __init__(self, path: Path) -> None:
        """Read the phrases.

        Raises:
            ConfigurationError: a kind of phrase is missing.
        """
        content = read_mapping(path)
        missing = [kind for kind in _KINDS if not isinstance(content.get(kind), list)]
        if missing:
            raise ConfigurationError(path, f"{', '.join(missing)} must be a list of phrases.")
        self._patterns = {kind: any_of(content[kind]) for kind in _KINDS if kind != "not"}
        self._negations = set(content["not"])

    def level(self, told: Sequence[str], asked_before: bool) -> str:
        """How soon it has to be seen.

        Args:
            told: what was written about it, oldest first.
            asked_before: whether the one question was asked already.

        Returns:
            `TODAY`, `DAYS`, `WATCH` or `TABLE` (it cannot be told: all levels); `ASK` when one question would help.
        """
        words = _joined(told)
        days = self._days(words)
        if self._says("today", words) or self._says("worse", words):
            return TODAY
        if self._says("late", words) or (days is not None and days >= _LATE_DAYS):
            return DAYS
        if self._says("better", words):
            return WATCH
        if self._says("same", words):
            return TABLE
        # "Should I see a doctor today?" does not tell when it began.
        if self._says("early", _joined(text for text in told if not is_put_as_question(text))) or (
            days is not None and days <= _EARLY_DAYS
        ):
            return WATCH
        return TABLE if asked_before else ASK

    def _says(self, kind: str, words: str) -> bool:
        return any(not self._denied(words[: found.start()]) for found in self._patterns[kind].finditer(words))

    def _denied(self, before: str) -> bool:
        near = before.rsplit(" . ", 1)[-1].split()[-_NEGATION_REACH:]
        return bool(self._negations & set(near))

    def _days(self, words: str) -> int | None:
        counted = []
        for number, unit, day in _SPAN.findall(words):
            unit = {"wk": "week"}.get(unit, unit)
            counted.append(int(day) if day else (_WORDS.get(number) or int(number)) * _UNITS[unit])
        return max(counted, default=None)


def _joined(texts: Iterable[str]) -> str:
    return " . ".join(plain(text) for text in texts)
