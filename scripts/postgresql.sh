#!/usr/bin/env bash
# Makes sure that PostgreSQL's programs are on this machine; the tests start a server of their own with them.
#
#   postgresql.sh [up]      installs them where they are missing (on Debian, as root), and starts nothing
#   postgresql.sh programs  the directory that they are in; fails where there is none
set -euo pipefail

say() { printf 'postgresql: %s\n' "$*" >&2; }
die() { say "$*"; exit 2; }

# Debian keeps them off the PATH, in a directory for each version; the newest one counts.
programs() {
    local found
    for found in $(printf '%s\n' /usr/lib/postgresql/*/bin | sort --version-sort --reverse) "$(dirname "$(command -v initdb || echo /none/initdb)")"; do
        if [ -x "$found/initdb" ] && [ -x "$found/postgres" ]; then
            echo "$found"
            return
        fi
    done
    return 1
}

install() {
    [ -e /etc/debian_version ] || die "there is no PostgreSQL, and only Debian can be set up from here. Install its server"
    [ "$(id -u)" -eq 0 ] || die "installing PostgreSQL needs root. Run: sudo scripts/postgresql.sh"
    say "installing PostgreSQL from Debian"
    # Installing must not start a server.
    local policy=/usr/sbin/policy-rc.d own_policy=no status=0
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        own_policy=yes
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -qq --yes --no-install-recommends postgresql >/dev/null 2>&1 ||
        { apt-get update -qq >&2 && apt-get install -qq --yes --no-install-recommends postgresql >/dev/null; } || status=$?
    [ "$own_policy" = no ] || rm -f "$policy"
    [ "$status" -eq 0 ] || die "Debian's package postgresql can't be installed"
}

case "${*:-up}" in
up)
    programs >/dev/null || install
    say "$("$(programs)/postgres" --version)"
    ;;
programs) programs ;;
*) die "usage: postgresql.sh [up|programs]" ;;
esac
