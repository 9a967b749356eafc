#!/bin/sh
# An nginx for the test of deploy/nginx.conf: the one that is there, else the one in Debian's package, which is only
# unpacked: nothing is installed, nothing started. Without apt the test is skipped.
# Usage: install_nginx.sh FOLDER
set -eu
PATH="$PATH:/usr/sbin"
if command -v nginx >/dev/null 2>&1 || [ -x "$1/usr/sbin/nginx" ]; then exit 0; fi
command -v apt-get >/dev/null 2>&1 || exit 0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
# Which of them holds the program depends on the release.
for package in nginx nginx-core nginx-light; do
    apt-get download -qq "$package" >/dev/null 2>&1 || continue
    dpkg-deb -x "$package"_*.deb unpacked
    if unpacked/usr/sbin/nginx -v >/dev/null 2>&1; then
        mkdir -p "$1"
        cp -r unpacked/. "$1"
        exit 0
    fi
done
