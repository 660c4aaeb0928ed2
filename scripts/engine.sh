#!/usr/bin/env bash
# Makes sure that a Docker Engine with buildx answers.
#
#   engine.sh [up]                  the engine that `docker` talks to
#   engine.sh classic               a second one beside it, with the classic image store, for tests
#   engine.sh host                  where the second one answers, as DOCKER_HOST has it
#   engine.sh stop [main|classic]   stops both or one of them, and never one that somebody else started
#
# It looks first: where `docker info` and `docker buildx version` answer, nothing is installed, started or changed.
# Otherwise, on Debian as root, it installs Docker Engine with buildx and Compose from Debian's own packages and
# starts a daemon of its own.
set -euo pipefail

readonly ENGINE_DIR=${CONTAINER_IMAGE_ENGINE_DIR:-/var/lib/container-image-engine}
readonly CLASSIC_DIR=$ENGINE_DIR/classic
readonly CLASSIC_HOST=unix://$CLASSIC_DIR/docker.sock
readonly APT_LOG=$ENGINE_DIR/apt.log
readonly SUITES="forky trixie"

say() { printf 'engine: %s\n' "$*" >&2; }
die() { say "$*"; exit 2; }

answers() { docker info >/dev/null 2>&1 && docker buildx version >/dev/null 2>&1; }
classic_answers() { docker --host "$CLASSIC_HOST" info >/dev/null 2>&1; }

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

# launch DIRECTORY ANSWERS COMMAND...: starts a daemon with the daemon.json on stdin, and waits until ANSWERS says so.
# It gets a data-root, exec-root and pidfile of its own, under DIRECTORY.
launch() {
    local dir=$1 answers=$2 pid
    shift 2
    cat >"$dir/daemon.json"
    say "starting dockerd (log: $dir/dockerd.log)"
    setsid "$@" --config-file "$dir/daemon.json" --data-root "$dir/data" --pidfile "$dir/dockerd.pid" \
        </dev/null >"$dir/dockerd.log" 2>&1 &
    pid=$!
    for _ in $(seq 120); do
        if "$answers"; then
            return
        fi
        # One that has ended will not answer any more.
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.5
    done
    tail -n 5 "$dir/dockerd.log" >&2
    die "dockerd did not come to answer; the end of its log is above, the rest in $dir/dockerd.log"
}

start_engine() {
    [ "$(id -u)" -eq 0 ] || die "starting the engine needs root. Run: sudo make engine"
    install -d -m 711 "$ENGINE_DIR"
    launch "$ENGINE_DIR" answers dockerd --exec-root /run/container-image-engine <<'JSON'
{
  "features": {"containerd-snapshotter": true},
  "storage-driver": "overlayfs"
}
JSON
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

# In a network namespace of its own, because a second dockerd deletes the docker0 of the first one.
classic() {
    local tool
    if classic_answers; then
        say "the engine with the classic image store answers; nothing to do"
        return
    fi
    [ "$(id -u)" -eq 0 ] || die "starting the engine with the classic image store needs root. Run: sudo make classic"
    for tool in dockerd unshare ip; do
        command -v "$tool" >/dev/null ||
            die "the engine with the classic image store needs $tool on this machine, and there is none. Install it"
    done
    install -d -m 711 "$ENGINE_DIR" "$CLASSIC_DIR"
    # shellcheck disable=SC2016  # the inner shell expands them
    launch "$CLASSIC_DIR" classic_answers unshare --net sh -c 'ip link set lo up && exec "$@"' classic \
        dockerd --exec-root /run/container-image-engine-classic --host "$CLASSIC_HOST" <<'JSON'
{
  "features": {"containerd-snapshotter": false}
}
JSON
    say "the engine with the classic image store answers at $CLASSIC_HOST"
}

stop() {
    local name=$1 dir=$2 pid
    if ! pid=$(cat "$dir/dockerd.pid" 2>/dev/null) ||
        ! grep -qsF "$dir/daemon.json" "/proc/$pid/cmdline"; then
        say "no $name engine of ours is running"
        return
    fi
    kill "$pid"
    for _ in $(seq 60); do
        if ! kill -0 "$pid" 2>/dev/null; then
            say "stopped the $name engine"
            return
        fi
        sleep 0.5
    done
    die "dockerd (process $pid) did not stop within 30 s"
}

case "${*:-up}" in
up) up ;;
classic) classic ;;
host) echo "$CLASSIC_HOST" ;;
stop) stop classic "$CLASSIC_DIR" && stop main "$ENGINE_DIR" ;;
"stop main") stop main "$ENGINE_DIR" ;;
"stop classic") stop classic "$CLASSIC_DIR" ;;
*) die "usage: engine.sh [up|classic|host|stop [main|classic]]" ;;
esac
