"""The table of faults names tests that exist."""

import re

from addons.configuration import ROOT

TABLE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")


def test_every_test_named_in_the_table_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", TABLE))
    files = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")]
    defined = {name for text in files for name in re.findall(r"def (test_\w+)\(", text)}
    assert len(named) > 20
    assert sorted(named - defined) == []
