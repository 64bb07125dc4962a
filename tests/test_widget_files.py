"""The widget's built files, as they are committed: small, whole, and with nothing in them a strict page would forbid."""

import gzip
import json
import re

import pytest

from addons.configuration import ROOT

STATIC = ROOT / "addons" / "channels" / "web" / "static"
KIB = 1024


@pytest.mark.parametrize(("name", "budget"), [("widget.js", 5), ("panel.js", 40)])
def test_a_built_file_is_within_its_budget(name: str, budget: int) -> None:
    size = len(gzip.compress((STATIC / name).read_bytes(), 9)) / KIB
    assert size <= budget, f"{name} has {size:.1f} KiB gzipped; {budget} are allowed (docs/widget.md)"


@pytest.mark.parametrize("name", ["widget.js", "panel.js"])
def test_built_scripts_make_no_code_of_text_and_name_no_other_server(name: str) -> None:
    script = (STATIC / name).read_text(encoding="utf-8")
    assert not re.search(r"\beval\(|new Function\b|document\.write|\.outerHTML\s*=|insertAdjacentHTML", script)
    # The name of SVG, and an address in an error message of the socket library: neither is ever fetched.
    allowed = {"http://www.w3.org", "https://socket.io"}
    assert set(re.findall(r"https?://[a-z0-9.-]+\.[a-z]{2,}", script)) <= allowed


def test_the_panel_page_has_nothing_inline() -> None:
    page = (STATIC / "panel.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|style=|\son[a-z]+=|<script(?![^>]*\ssrc=)", page)


def test_every_word_of_the_widget_is_in_the_locale_file_and_used() -> None:
    words = json.loads((ROOT / "widget" / "locales" / "en.json").read_text(encoding="utf-8"))
    sources = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "widget" / "source").glob("*.ts")))
    unused = [name for name in words if not re.search(rf"\b{name}\b", sources)]
    assert unused == []


def test_the_lock_file_names_no_host() -> None:
    lock = json.loads((ROOT / "widget" / "package-lock.json").read_text(encoding="utf-8"))
    assert [name for name, package in lock["packages"].items() if "resolved" in package] == []
    assert all("integrity" in package for name, package in lock["packages"].items() if name)
