#!/bin/sh
# Creates the environment in .venv from hash-locked requirements; does nothing when it is already right.
# Usage: setup.sh <requirements file>...      install them
#        setup.sh --lock                      compile requirements*.in into requirements*.txt
set -eu

UV_VERSION=0.13.9

fail() { printf 'Set-up stopped: %s\n' "$1" >&2; exit 1; }

find_uv() {
    # A version manager may put a `uv` on the PATH that refuses to start here, so it is run, not only found.
    if uv --version >/dev/null 2>&1; then UV=uv; return; fi
    UV=.tools/bin/uv
    if "$UV" --version >/dev/null 2>&1; then return; fi
    echo "Fetching uv, the installer, into .tools (once) ..."
    python3 -m venv .tools >/dev/null 2>&1 || fail "python3 with the venv module is needed (Debian: apt install python3-venv)."
    .tools/bin/pip install --quiet --disable-pip-version-check "uv==$UV_VERSION" ||
        fail "uv could not be installed. Is the package index reachable? You can also install uv yourself."
}

find_python() {
    for candidate in python3.10 "$("$UV" python find 3.10 2>/dev/null || true)"; do
        if [ -n "$candidate" ] && "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 10))' >/dev/null 2>&1; then
            PYTHON=$candidate; return
        fi
    done
    "$UV" python install --quiet 3.10 >/dev/null 2>&1 && PYTHON=$("$UV" python find 3.10 2>/dev/null) && return
    fail "Python 3.10 was not found. Rasa 3.6 runs on no newer one. Install it ('uv python install 3.10', 'pyenv install 3.10' or your system's packages) and run the same command again."
}

if [ "${1:-}" = --lock ]; then
    find_uv
    for name in requirements requirements-dev; do
        "$UV" pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-annotate \
            --custom-compile-command "make lock" "$name.in" -o "$name.txt"
    done
    # Teaching the encoder has an environment of its own, on a newer Python.
    "$UV" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
        --overrides encoder/overrides.txt --custom-compile-command "make lock" encoder/requirements.in -o encoder/requirements.txt
    exit 0
fi

for requirements in "$@"; do
    stamp=.venv/$(basename "$requirements" .txt).installed
    [ -f "$stamp" ] && cmp -s "$requirements" "$stamp" && continue
    find_uv
    if ! .venv/bin/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 10))' >/dev/null 2>&1; then
        find_python
        echo "Creating the Python 3.10 environment in .venv ..."
        rm -rf .venv
        "$UV" venv --quiet --python "$PYTHON" .venv || fail "the environment could not be created in .venv."
    fi
    echo "Installing the packages of $requirements (about 20 s, once) ..."
    "$UV" pip install --quiet --python .venv/bin/python --require-hashes -r "$requirements" ||
        fail "the packages of $requirements could not be installed; the lines above say which and why."
    cp "$requirements" "$stamp"
done
