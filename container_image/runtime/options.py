"""The options of `docker run`, read as the docker command reads them: what a line asks for, without running it.

Docker's reader is pflag: `--name value`, `--name=value`, `-n value`, `-nvalue`, `-n=value`; flags without a value may be
joined (`-it`) and take one behind `=` (`--rm=false`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from container_image.errors import InvalidInputError
from container_image.near import did_you_mean
from container_image.shown import HIDDEN, is_name

FLAGS = {
    "detach": "d", "disable-content-trust": "", "init": "", "interactive": "i", "no-healthcheck": "",
    "oom-kill-disable": "", "privileged": "", "publish-all": "P", "quiet": "q", "read-only": "", "rm": "",
    "sig-proxy": "", "tty": "t", "use-api-socket": "",
}  # fmt: skip
"""Options without a value, each with its letter, if it has one."""

VALUES = {
    "add-host": "", "annotation": "", "attach": "a", "blkio-weight": "", "blkio-weight-device": "", "cap-add": "",
    "cap-drop": "", "cgroup-parent": "", "cgroupns": "", "cidfile": "", "cpu-period": "", "cpu-quota": "",
    "cpu-rt-period": "", "cpu-rt-runtime": "", "cpu-shares": "c", "cpus": "", "cpuset-cpus": "", "cpuset-mems": "",
    "detach-keys": "", "device": "", "device-cgroup-rule": "", "device-read-bps": "", "device-read-iops": "",
    "device-write-bps": "", "device-write-iops": "", "dns": "", "dns-option": "", "dns-search": "", "domainname": "",
    "entrypoint": "", "env": "e", "env-file": "", "expose": "", "gpus": "", "group-add": "", "health-cmd": "",
    "health-interval": "", "health-retries": "", "health-start-interval": "", "health-start-period": "",
    "health-timeout": "", "hostname": "h", "ip": "", "ip6": "", "ipc": "", "isolation": "", "kernel-memory": "",
    "label": "l", "label-file": "", "link": "", "link-local-ip": "", "log-driver": "", "log-opt": "",
    "mac-address": "", "memory": "m", "memory-reservation": "", "memory-swap": "", "memory-swappiness": "",
    "mount": "", "name": "", "network": "", "network-alias": "", "oom-score-adj": "", "pid": "", "pids-limit": "",
    "platform": "", "publish": "p", "pull": "", "restart": "", "runtime": "", "security-opt": "", "shm-size": "",
    "stop-signal": "", "stop-timeout": "", "storage-opt": "", "sysctl": "", "tmpfs": "", "ulimit": "", "user": "u",
    "userns": "", "uts": "", "volume": "v", "volume-driver": "", "volumes-from": "", "workdir": "w",
    # Older names, which its help leaves out.
    "dns-opt": "", "net": "", "net-alias": "",
}  # fmt: skip
"""Options with a value, likewise. `env` has its letter only: `--env` names an environment here."""

_LETTERS = {letter: name for name, letter in (FLAGS | VALUES).items() if letter}
_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its long name, and its value; a flag's is `true` or `false`."""

    name: str
    value: str

    def __str__(self) -> str:
        return f"--{self.name}={self.value}"


@dataclass(frozen=True, slots=True)
class Line:
    """What a line begins with: docker's options and the caller's own; `rest` is from `--` or the first word that is none."""

    docker: tuple[Option, ...]
    own: tuple[Option, ...]
    rest: tuple[str, ...]


def parse(arguments: Sequence[str], own_values: Collection[str] = (), own_flags: Collection[str] = ()) -> Line:
    """Reads the options that a line begins with. `own_values` and `own_flags` are long names that go before docker's.

    Raises:
        InvalidInputError: an option that docker has not, or one without its value. No value is repeated.
    """
    known = [f"--{name}" for name in (*own_values, *own_flags, *FLAGS, *VALUES)]
    words = list(arguments)
    docker: list[Option] = []
    own: list[Option] = []
    while words and words[0].startswith("-") and words[0] not in ("-", "--"):
        word = words.pop(0)
        if not word.startswith("--"):
            docker += _letters(word[1:], words)
            continue
        name, separator, value = word[2:].partition("=")
        found = own if name in (*own_values, *own_flags) else docker
        if name in own_flags or name in FLAGS:
            found.append(Option(name, _truth(f"--{name}", value if separator else "true")))
        elif name in own_values or (name in VALUES and name != "env"):
            found.append(Option(name, value if separator else _next(f"--{name}", words)))
        else:
            raise _unknown(f"--{name}", did_you_mean(f"--{name}", known))
    return Line(tuple(docker), tuple(own), tuple(words))


def _letters(text: str, words: list[str]) -> Iterator[Option]:
    while text:
        letter, text = text[0], text[1:]
        name = _LETTERS.get(letter)
        if name is None:
            raise _unknown(f"-{letter}")
        if name in VALUES:
            yield Option(name, text.removeprefix("=") if text else _next(f"-{letter}", words))
            return
        if text.startswith("="):
            yield Option(name, _truth(f"-{letter}", text[1:]))
            return
        yield Option(name, "true")


def _next(option: str, words: list[str]) -> str:
    if not words:
        raise InvalidInputError(f"{option} needs a value")
    return words.pop(0)


def _truth(option: str, text: str) -> str:
    if text in _TRUE:
        return "true"
    if text in _FALSE:
        return "false"
    raise InvalidInputError(f"{option} takes no value but true or false")


def _unknown(option: str, hint: str = "") -> InvalidInputError:
    told = option if len(option) < 3 or is_name(option.lstrip("-")) else HIDDEN
    return InvalidInputError(
        f"{told} is no option of `docker run` or of this command{hint}; what belongs to the container's command goes behind --"
    )
