#!/bin/sh
# Creates encoder/.venv, where the encoder is taught: Python 3.11 and torch, apart from the assistant's own environment.
set -eu

python=encoder/.venv/bin/python
if ! "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' >/dev/null 2>&1; then
    # A version manager may put a python3.11 first that refuses to start here, so each is run, not only found.
    found=
    for candidate in python3.11 /usr/local/bin/python3.11 /usr/bin/python3.11 "$(uv python find 3.11 2>/dev/null || true)"; do
        if [ -n "$candidate" ] && "$candidate" -c 'import sys, venv; sys.exit(sys.version_info[:2] != (3, 11))' >/dev/null 2>&1; then
            found=$candidate
            break
        fi
    done
    [ -n "$found" ] || { echo "Teaching stopped: Python 3.11 was not found. Install it and run make encoder again." >&2; exit 1; }
    rm -rf encoder/.venv
    "$found" -m venv encoder/.venv
fi
stamp=encoder/.venv/requirements.installed
cat encoder/requirements.txt encoder/torch.txt | cmp -s - "$stamp" && exit 0
"$python" -m pip install --quiet --no-deps --require-hashes -r encoder/requirements.txt
"$python" -m pip install --quiet -r encoder/torch.txt
cat encoder/requirements.txt encoder/torch.txt >"$stamp"
