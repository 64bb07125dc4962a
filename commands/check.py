"""Style and types of the code, and the shape of the files people edit: what needs no model and no test."""

import subprocess
import sys
from datetime import date

from addons.configuration import ROOT
from commands.content import overdue, responses
from commands.terminal import CommandFailed, run_command, say

CHECKS = (
    ("ruff", "check", "--quiet", "."),
    ("ruff", "format", "--quiet", "--check", "."),
    ("mypy", "--no-error-summary"),
    ("yamllint", "--strict", "-c", ".yamllint.yml", "config.yml", "domain.yml", "endpoints.yml", "credentials.yml",
     "credentials.production.yml", "clinic.yml", "data"),
)  # fmt: skip


def main() -> int:
    """The first part of `make test` and `make check`; names answers whose review is due, which fails nothing.

    Raises:
        CommandFailed: naming the checks that found something.
    """
    failed = []
    for name, *arguments in CHECKS:
        say(f"Checking: {name} {arguments[0]} ...")
        if subprocess.call([sys.executable, "-m", name, *arguments], cwd=ROOT) != 0:
            failed.append(name)
    for line in overdue(responses(), date.today()):
        say(f"Review due: {line}")
    if failed:
        raise CommandFailed(f"The lines above are from: {', '.join(failed)}. Mend them and run the command again.")
    return 0


if __name__ == "__main__":
    run_command(main)
