"""No command repeats a credential in the place of a name, where an engine answers."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from container_image.cli import _run
from tests.credentials import CREDENTIALS, ENTRIES, repeated, write_context

ASKING = sorted(name for name, words in ENTRIES.items() if words[0] in ("build", "check", "audit", "run"))


@pytest.mark.parametrize("entry", ASKING)
def test_no_command_repeats_a_value(
    entry: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(write_context(tmp_path))
    draw = random.Random(entry)
    for kind in draw.sample(sorted(CREDENTIALS), k=3):
        value = CREDENTIALS[kind](draw)
        status = _run([word.format(value) if "{}" in word else word for word in ENTRIES[entry]])
        out, err = capfd.readouterr()
        assert status not in (0, None), (entry, kind)
        assert not repeated(value, out + err), (entry, kind, value, out + err)


def test_an_image_is_run_by_its_id(busybox_image: str) -> None:
    line = ["docker", "image", "inspect", "--format={{.Id}}", busybox_image]
    whole = subprocess.run(line, capture_output=True, check=True, text=True).stdout.strip()
    for name in (whole, whole.removeprefix("sha256:")[:12]):
        program = [sys.executable, "-c", "from container_image.cli import main; main()"]
        run = [*program, "run", "--rm", name, "echo", "here"]
        done = subprocess.run(run, capture_output=True, check=False, text=True)
        assert (done.returncode, done.stdout) == (0, "here\n"), done.stderr
