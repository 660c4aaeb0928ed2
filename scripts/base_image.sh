#!/usr/bin/env bash
# Makes the images that tests and the demo build from, where they are missing:
#   container-image-base:bookworm  Debian with Python, pip and git
#   container-image-busybox:test   busybox alone, in which most tests build within a second
#   container-image-tools:bookworm Debian with the tools that leak in the gallery, for its builder stages
#
# The first two are pulled where a registry can be reached, and made from Debian's packages elsewhere (as root, on
# Debian); so is Debian itself for the third.
set -euo pipefail

readonly BASE=container-image-base:bookworm
readonly BUSYBOX=container-image-busybox:test
readonly TOOLS=container-image-tools:bookworm
readonly PUBLIC_BASE=python:3.12-bookworm
readonly PUBLIC_BUSYBOX=busybox:1.37
readonly PUBLIC_DEBIAN=debian:bookworm-slim

say() { printf 'base image: %s\n' "$*" >&2; }
die() { say "$*"; exit 2; }
present() { docker image inspect "$1" >/dev/null 2>&1; }

on_debian_as_root() { [ "$(id -u)" -eq 0 ] && [ -e /etc/debian_version ]; }

pull() {
    timeout 240 docker pull --quiet "$1" >/dev/null 2>&1 && docker tag "$1" "$2" && say "$2 is $1"
}

install_package() {
    command -v "$1" >/dev/null || [ -e "/bin/$1" ] && return
    DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends "$2" >/dev/null ||
        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends "$2" >/dev/null; }
}

workdir=$(mktemp -d)
trap 'rm -rf "$workdir"' EXIT

if ! present "$BUSYBOX" && ! pull "$PUBLIC_BUSYBOX" "$BUSYBOX"; then
    on_debian_as_root || die "$PUBLIC_BUSYBOX can't be pulled. Connect to a registry, or run as root on Debian"
    install_package busybox busybox-static
    mkdir "$workdir/busybox"
    cp "$(command -v busybox)" "$workdir/busybox/busybox"
    printf 'FROM scratch\nCOPY busybox /bin/busybox\nRUN ["/bin/busybox", "--install", "-s", "/bin"]\nCMD ["/bin/sh"]\n' |
        docker buildx build --quiet --tag "$BUSYBOX" --file - "$workdir/busybox" >/dev/null
    say "made $BUSYBOX from Debian's busybox-static"
fi

if ! present "$BASE" && ! pull "$PUBLIC_BASE" "$BASE"; then
    on_debian_as_root || die "$PUBLIC_BASE can't be pulled. Connect to a registry, or run as root on Debian"
    say "making $BASE from Debian's packages; this takes half a minute"
    install_package mmdebstrap mmdebstrap
    mmdebstrap --quiet --variant=minbase --include=python3-minimal,python3-pip,git,ca-certificates bookworm "$workdir/base.tar"
    docker import --change 'CMD ["/bin/bash"]' "$workdir/base.tar" "$BASE" >/dev/null
    say "made $BASE"
fi

# An image that was made of other files has not the tools that cases of today work with.
tools=$(dirname "$0")/../tests/tools
made_of=$(cat "$tools"/* | cksum | tr ' ' -)
if [ "$(docker image inspect --format '{{index .Config.Labels "container-image.made-of"}}' "$TOOLS" 2>/dev/null)" != "$made_of" ]; then
    debian=$BASE
    if timeout 240 docker pull --quiet "$PUBLIC_DEBIAN" >/dev/null 2>&1; then debian=$PUBLIC_DEBIAN; fi
    say "making $TOOLS from Debian's packages; this takes a minute"
    python=$(dirname "$0")/../.venv/bin/python
    [ -x "$python" ] || python=python3
    # Here, where pip is set up for the package index that can be reached.
    "$python" -m pip download --quiet --no-deps --only-binary :all: --dest "$workdir/wheels" \
        --platform "manylinux2014_$(docker info --format '{{.Architecture}}')" uv 2>/dev/null ||
        die "uv can't be downloaded from the Python package index. Connect to one, or set pip up for another"
    # Nothing ships it, so that compressing it would be time lost.
    docker buildx build --quiet --network host --build-arg "DEBIAN=$debian" --build-context "wheels=$workdir/wheels" \
        --label "container-image.made-of=$made_of" \
        --output "type=image,name=$TOOLS,compression=uncompressed" "$tools" >/dev/null
    say "made $TOOLS"
fi
