#!/usr/bin/env bash
# Makes sure that a Docker Engine with buildx answers.
#
# It looks first: where `docker info` and `docker buildx version` answer, nothing is installed, started or changed.
# Otherwise, on Debian as root, it installs Docker Engine with buildx and Compose from Debian's own packages and
# starts a daemon of its own. `engine.sh stop` stops that daemon, and never one that somebody else started.
set -euo pipefail

readonly ENGINE_DIR=${CONTAINER_IMAGE_ENGINE_DIR:-/var/lib/container-image-engine}
readonly PID_FILE=$ENGINE_DIR/dockerd.pid
readonly APT_LOG=$ENGINE_DIR/apt.log
readonly SUITES="forky trixie"

say() { printf 'engine: %s\n' "$*" >&2; }
die() { say "$*"; exit 2; }

answers() { docker info >/dev/null 2>&1 && docker buildx version >/dev/null 2>&1; }

versions() {
    printf 'Docker Engine %s, %s' "$(docker version --format '{{.Server.Version}}')" \
        "$(docker buildx version | awk '{print "buildx", $2}')"
}

# Debian ships buildx and a current engine only in newer suites, so one of those is added beside the machine's own,
# pinned so low that no other package moves to it. runc stays the machine's own: a newer one needs a newer libc.
install_from() {
    local suite=$1 sources=/etc/apt/sources.list.d/container-image-engine.sources
    local preferences=/etc/apt/preferences.d/container-image-engine
    say "installing Docker Engine, buildx and Compose from Debian $suite"
    awk -v suite="$suite" 'NF == 0 && seen { exit } NF { seen = 1 } /^Suites:/ { $0 = "Suites: " suite } { print }' \
        /etc/apt/sources.list.d/debian.sources >"$sources"
    printf 'Package: *\nPin: release n=%s\nPin-Priority: 50\n' "$suite" >"$preferences"
    if ! apt-get update -qq >&2; then
        rm -f "$sources" "$preferences"
        return 1
    fi
    # Installing must not start a daemon: the one that answers is the one started below, with known settings.
    local policy=/usr/sbin/policy-rc.d own_policy=no status=0
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        own_policy=yes
    fi
    DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends \
        "docker.io/$suite" "docker-cli/$suite" "docker-buildx/$suite" "docker-compose/$suite" "containerd/$suite" \
        runc iptables >"$APT_LOG" 2>&1 || status=$?
    [ "$own_policy" = no ] || rm -f "$policy"
    if [ "$status" -ne 0 ]; then
        tail -n 20 "$APT_LOG" >&2
        rm -f "$sources" "$preferences"
    fi
    return "$status"
}

install_engine() {
    local suite
    [ -e /etc/apt/sources.list.d/debian.sources ] ||
        die "this machine has no Docker Engine, and only Debian can be set up from here. Install Docker: https://docs.docker.com/engine/install/"
    [ "$(id -u)" -eq 0 ] ||
        die "installing Docker Engine needs root. Run: sudo make engine"
    install -d -m 711 "$ENGINE_DIR"
    for suite in $SUITES; do
        if install_from "$suite"; then
            say "installed from Debian $suite: $(dockerd --version)"
            return
        fi
        say "Debian $suite did not work"
    done
    die "no Debian suite of ($SUITES) has an installable engine. Install Docker: https://docs.docker.com/engine/install/"
}

start_engine() {
    local pid
    [ "$(id -u)" -eq 0 ] || die "starting the engine needs root. Run: sudo make engine"
    install -d -m 711 "$ENGINE_DIR"
    cat >"$ENGINE_DIR/daemon.json" <<JSON
{
  "data-root": "$ENGINE_DIR/data",
  "exec-root": "/run/container-image-engine",
  "pidfile": "$PID_FILE",
  "features": {"containerd-snapshotter": true},
  "storage-driver": "overlayfs"
}
JSON
    say "starting dockerd (log: $ENGINE_DIR/dockerd.log)"
    setsid dockerd --config-file "$ENGINE_DIR/daemon.json" </dev/null >"$ENGINE_DIR/dockerd.log" 2>&1 &
    pid=$!
    for _ in $(seq 120); do
        if answers; then
            return
        fi
        # One that has ended will not answer any more.
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.5
    done
    tail -n 5 "$ENGINE_DIR/dockerd.log" >&2
    die "dockerd did not come to answer; the end of its log is above, the rest in $ENGINE_DIR/dockerd.log"
}

up() {
    if answers; then
        say "$(versions) answers; nothing to do"
        return
    fi
    if [ -n "${DOCKER_HOST:-}" ]; then
        die "DOCKER_HOST is set, and no engine with buildx answers there. Start that one, or unset DOCKER_HOST"
    fi
    if ! command -v dockerd >/dev/null || ! docker buildx version >/dev/null 2>&1; then
        install_engine
    fi
    start_engine
    say "$(versions) answers"
}

stop() {
    local pid
    if [ ! -e "$PID_FILE" ] || ! pid=$(cat "$PID_FILE") || ! kill -0 "$pid" 2>/dev/null; then
        say "no engine of ours is running"
        return
    fi
    kill "$pid"
    for _ in $(seq 60); do
        if ! kill -0 "$pid" 2>/dev/null; then
            say "stopped"
            return
        fi
        sleep 0.5
    done
    die "dockerd (process $pid) did not stop within 30 s"
}

case "${1:-up}" in
up) up ;;
stop) stop ;;
*) die "usage: engine.sh [up|stop]" ;;
esac
