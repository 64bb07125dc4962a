"""The list of accepted advisories says only what is still so."""

import re
from typing import Any

import pytest
import yaml
from packaging.version import Version

from addons.configuration import ROOT

ENTRIES: list[dict[str, Any]] = yaml.safe_load((ROOT / "advisories.yml").read_text(encoding="utf-8"))
LOCKED = dict(re.findall(r"(?m)^([\w.-]+)==([\w.]+)", (ROOT / "requirements.txt").read_text(encoding="utf-8")))


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["ids"][0])
def test_an_accepted_advisory_is_of_the_locked_version_and_has_a_reason(entry: dict[str, Any]) -> None:
    assert set(entry) == {"package", "locked", "fixed_in", "ids", "reason"}
    assert LOCKED[entry["package"]] == entry["locked"], "the lock changed: look whether the entry is still needed"
    assert Version(entry["locked"]) < Version(entry["fixed_in"])
    assert all(re.fullmatch(r"CVE-\d{4}-\d{4,}|GHSA(-\w{4}){3}|PYSEC-\d{4}-\d+", name) for name in entry["ids"])
    assert len(entry["reason"].split()) >= 8


@pytest.mark.parametrize(
    ("package", "fixed_in"),
    [("rasa", "3.6.21"), ("sanic", "21.12.2"), ("python-socketio", "5.14.0"), ("pyjwt", "2.12.0"), ("python-engineio", "3.9.0")],
)
def test_a_package_with_a_fixed_advisory_is_locked_at_the_fix_or_later(package: str, fixed_in: str) -> None:
    assert Version(LOCKED[package]) >= Version(fixed_in)
