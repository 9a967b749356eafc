#!/bin/sh
# A Chromium for the browser tests: the one that is there, else Debian's where apt may install it, else Playwright's.
# Usage: install_browser.sh PYTHON
set -eu
for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null 2>&1; then exit 0; fi
done
if command -v apt-get >/dev/null 2>&1; then
    sudo=""
    [ "$(id -u)" = 0 ] || sudo="sudo -n"
    if $sudo apt-get update -qq && $sudo apt-get install -qq -y --no-install-recommends chromium >/dev/null; then exit 0; fi
fi
exec "$1" -m playwright install chromium
