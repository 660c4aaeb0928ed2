#!/usr/bin/env python3
"""Installs requirements in an image's build, so that no secret in them stays. Written by container-image.

It is shown as it ran, with names for secrets. Each `${NAME}` is replaced in files on a tmpfs, which are in no layer;
pip or uv installs from those, without a cache. What they note of a URL with a secret in it then has the name again: a
package's direct_url.json (PEP 610), and the clone of an editable requirement. It runs on Python 3.8 and later.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import os
import re
import shutil
import site
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from urllib.parse import quote, quote_plus

PREFIX = "CONTAINER_IMAGE_SECRET_"
MEMORY = "/dev/shm"
# What is shorter is not searched for either: it may be any word.
SHORTEST = 8


def install(installer: str, files: dict[str, list[str]]) -> int:
    """Installs from files, given by their lines; the first one leads to the others. Gives the installer's status."""
    # No package's own code is to find them in its environment.
    found = {name[len(PREFIX) :]: os.environ.pop(name) for name in list(os.environ) if name.startswith(PREFIX)}
    values = {name: re.sub(r"\r?\n\Z", "", value) for name, value in found.items()}
    missing = lacking(installer, files)
    if missing:
        print(f"requirements: {missing}", file=sys.stderr)
        return 1
    source = clones()
    with tempfile.TemporaryDirectory(dir=MEMORY) as directory:
        for name, lines in files.items():
            text = "".join(f"{fill(line, values)}\n" for line in lines)
            Path(directory, name).write_text(text, encoding="utf-8")
        first = str(Path(directory, next(iter(files))))
        commands = {
            "pip": [sys.executable, "-m", "pip", "install", "--no-cache-dir", "-r", first],
            "uv": ["uv", "pip", "install", "--no-cache", "--python", sys.executable, "-r", first],
        }
        status = run(commands[installer], values, source)
    for place in sites():
        for record in place.glob("*.dist-info/direct_url.json"):
            if forget(record, values):
                note(record)
    for clone in source.glob("*/.git"):
        for parent, directories, names in os.walk(clone):
            directories[:] = [name for name in directories if name != "objects"]
            for name in names:
                forget(Path(parent, name), values)
    return status


def lacking(installer: str, files: dict[str, list[str]]) -> str:
    """What the image lacks, with what to do about it."""
    if not os.path.ismount(MEMORY):
        return f"{MEMORY} is no tmpfs here, and nothing secret is written to a disk; build with BuildKit"
    if installer == "pip" and importlib.util.find_spec("pip") is None:
        return f"{sys.executable} has no pip; take a base image that has, or installer='uv' with uv in the image"
    if installer == "uv" and shutil.which("uv") is None:
        return "uv is not in the image; add it (COPY --from=ghcr.io/astral-sh/uv /uv /bin/), or take installer='pip'"
    if shutil.which("git") is None and any("git+" in line for lines in files.values() for line in lines):
        return "git is not in the image, and a requirement is cloned with it; add it, or take a base image that has it"
    return ""


def fill(line: str, values: dict[str, str]) -> str:
    """The line with values. pip and uv replace `${NAME}` from the environment, which gives a literal dollar here."""

    def value(match: re.Match[str]) -> str:
        if match.group(1) is None:
            return "${CONTAINER_IMAGE_DOLLAR}{"
        return quote(values[match.group(1)], safe="") if match.group(2) else values[match.group(1)]

    return re.sub(r"\$\$\{|\$\{(\w+)(:url)?\}", value, line)


def run(command: list[str], values: dict[str, str], source: Path) -> int:
    """Runs the installer, and prints what it prints with names in the place of values."""
    own = {
        "CONTAINER_IMAGE_DOLLAR": "$",
        "GIT_TERMINAL_PROMPT": "0",
        "PIP_BREAK_SYSTEM_PACKAGES": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
        "PIP_SRC": str(source),
        "UV_BREAK_SYSTEM_PACKAGES": "1",
    }
    done = subprocess.Popen(
        command,
        env={**os.environ, **own},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.stdout is not None
    for line in done.stdout:
        sys.stdout.buffer.write(named(line, values))
        sys.stdout.buffer.flush()
    return done.wait()


def clones() -> Path:
    """Where pip puts the clones of editable requirements, as it chooses itself."""
    environment = Path(sys.prefix) if sys.prefix != sys.base_prefix else Path.cwd()
    return Path(os.environ.get("PIP_SRC") or environment / "src")


def sites() -> set[Path]:
    """Where packages are installed."""
    paths = [*sys.path[1:], sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    paths += [*site.getsitepackages(), site.getusersitepackages()]
    return {path for path in map(Path, paths) if path.is_dir()}


def forget(path: Path, values: dict[str, str]) -> bool:
    """Puts names in the place of values in a file that has any; whether it had."""
    if path.is_symlink() or not path.is_file():
        return False
    before = path.read_bytes()
    after = named(before, values)
    if after != before:
        path.write_bytes(after)
    return after != before


def named(data: bytes, values: dict[str, str]) -> bytes:
    """The data with `${NAME}` in the place of each value, however a URL spells it."""
    spelled = {}
    for name, value in values.items():
        spellings = {value, quote_plus(value), *(quote(value, safe=kept) for kept in ("", "/", "!$&'()*+,;=:@/"))}
        if len(value) >= SHORTEST:
            spelled.update({text.encode(): b"${" + name.encode() + b"}" for text in spellings})
    for text in sorted(spelled, key=len, reverse=True):
        data = data.replace(text, spelled[text])
    return data


def note(path: Path) -> None:
    """Corrects a file's hash and size in its package's RECORD (PEP 376)."""
    record = path.with_name("RECORD")
    if not record.is_file():
        return
    data = path.read_bytes()
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    entry = f"{path.parent.name}/{path.name},".encode()
    lines = record.read_bytes().splitlines(keepends=True)
    for number, line in enumerate(lines):
        if line.startswith(entry):
            end = line[len(line.rstrip(b"\r\n")) :]
            lines[number] = entry + f"sha256={digest},{len(data)}".encode() + end
    record.write_bytes(b"".join(lines))
