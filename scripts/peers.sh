#!/usr/bin/env bash
# Puts the scanners that the gallery is compared with under .peers: kingfisher from PyPI, gitleaks from PATH or Debian's packages.
set -euo pipefail

die() { printf 'peers: %s\n' "$*" >&2; exit 2; }

cd "$(dirname "$0")/.."
mkdir -p .peers/bin

if [ ! -x .peers/bin/kingfisher ]; then
    python3 -m venv .peers/venv
    .peers/venv/bin/python -m pip install --quiet kingfisher-bin || die "kingfisher-bin can't be installed from PyPI"
    ln -sf ../venv/bin/kingfisher .peers/bin/kingfisher
fi

if [ ! -x .peers/bin/gitleaks ]; then
    if command -v gitleaks >/dev/null; then
        ln -s "$(command -v gitleaks)" .peers/bin/gitleaks
        gitleaks version >.peers/gitleaks.version
    else
        # Unpacked, not installed: it comes from a newer suite than the machine's own, if only that has it.
        rm -rf .peers/debian && mkdir .peers/debian
        (cd .peers/debian && apt-get download -qq gitleaks 2>/dev/null) ||
            die "gitleaks is not on PATH, and no configured suite of Debian's has it (forky does). Install it"
        dpkg-deb --extract .peers/debian/gitleaks_*.deb .peers/debian
        dpkg-deb --field .peers/debian/gitleaks_*.deb Version >.peers/gitleaks.version
        ln -s ../debian/usr/bin/gitleaks .peers/bin/gitleaks
    fi
fi
