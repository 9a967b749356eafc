#!/bin/sh
# A Firefox, and a sound server without which it plays nothing, for the one test of it: where root may install Debian's, as in
# CI. Elsewhere the test takes what is there, else it is skipped: on somebody's desktop PulseAudio could displace PipeWire.
set -eu
if command -v firefox-esr >/dev/null 2>&1 || command -v firefox >/dev/null 2>&1; then
    if command -v pulseaudio >/dev/null 2>&1 && command -v paplay >/dev/null 2>&1; then exit 0; fi
fi
[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 || exit 0
apt-get update -qq || exit 0
apt-get install -qq -y --no-install-recommends firefox-esr pulseaudio pulseaudio-utils >/dev/null ||
    echo "No Firefox to be had: its test will be skipped" >&2
