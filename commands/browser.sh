#!/bin/sh
# Finds Node and Chromium for `make test-browser`, and installs Chromium with apt-get where it is missing. Fails when it cannot.
set -eu

major=$(node --version 2>/dev/null | sed 's/^v\([0-9]*\).*/\1/') || major=""
if [ "${major:-0}" -lt 20 ] || ! command -v npm >/dev/null 2>&1; then
    echo "Stopped. The widget's tests need Node 20 or later and npm; here is ${major:-no} Node. Install it, then run the command again." >&2
    exit 1
fi
[ -x "${CHROMIUM:-/usr/bin/chromium}" ] && exit 0

if [ "$(id -u)" -ne 0 ] || [ -n "${CHROMIUM:-}" ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "Stopped. There is no browser at ${CHROMIUM:-/usr/bin/chromium}. Install chromium, or name another in CHROMIUM, then run the command again." >&2
    exit 1
fi
echo "Installing chromium ..."
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends chromium >/dev/null
