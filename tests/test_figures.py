"""The figures of the answers are of all answers, and land where readers look."""

from pathlib import Path

import pytest

from addons.answering import ANSWER
from commands import figures
from commands.content import responses
from commands.terminal import CommandFailed

ALL = figures.measured()


def test_every_variation_of_every_answer_is_measured_once() -> None:
    written = [variation for name, variations in responses().items() if name.startswith(ANSWER) for variation in variations]
    assert len({each.answer for each in ALL}) == len(ALL) == len(written)


def test_the_table_has_a_row_for_each_answer() -> None:
    rows = figures.table(ALL).splitlines()
    for each in ALL:
        assert sum(row.startswith(f"| {each.answer} | {each.words} |") for row in rows) == 1


def test_the_summary_replaces_the_one_before_and_nothing_else() -> None:
    page = "above\n<!-- content -->\nold\n<!-- end of content -->\nbelow\n"
    once = figures.with_summary(page, "new")
    assert once == "above\n<!-- content -->\nnew\n<!-- end of content -->\nbelow\n"
    assert figures.with_summary(once, "new") == once


def test_a_page_without_the_markers_is_named() -> None:
    with pytest.raises(CommandFailed, match=r"quality\.md.*<!-- content -->"):
        figures.with_summary("no markers", "new")


def test_the_command_writes_both_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "TABLE", tmp_path / "content-figures.md")
    monkeypatch.setattr(figures, "QUALITY", tmp_path / "quality.md")
    (tmp_path / "quality.md").write_text(f"{figures.START}\n{figures.END}\n")
    assert figures.main() == 0
    assert "| words |" in (tmp_path / "quality.md").read_text()
    assert (tmp_path / "content-figures.md").read_text().count("\n| ") == len(ALL) + 1
