"""dotenv files mean the same to `docker compose`, or the import says that they may not."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from hypothesis import HealthCheck, event, given, settings

from container_image.secrets.dotenv import DotenvError, parse
from tests.dotenv_files import FILES

COMPOSE = "services:\n  app:\n    image: app\n    env_file: [variables]\n"


def read_by_compose(directory: Path, data: bytes) -> dict[str, str] | None:
    """The variables that a service gets of a file; None where docker compose refuses the file."""
    (directory / "compose.yaml").write_text(COMPOSE)
    (directory / "variables").write_bytes(data)
    done = subprocess.run(
        ["docker", "compose", "config", "--format", "json"], cwd=directory, capture_output=True, check=False,
        env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
    )  # fmt: skip
    if done.returncode:
        return None
    environment = json.loads(done.stdout)["services"]["app"].get("environment") or {}
    return {name: (value or "").replace("$$", "$") for name, value in environment.items()}


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(FILES)
def test_what_compose_reads_otherwise_is_told(tmp_path: Path, text: str) -> None:
    try:
        found = parse(text.encode())
    except DotenvError:
        event("refused")
        return
    told = {note.partition(":")[0] for note in found.notes}
    theirs = read_by_compose(tmp_path, text.encode())
    if theirs is None:
        event("refused by docker compose")
        assert told
        return
    event("told of some" if told else "told of none")
    ours = {name: value.decode() for name, value in found.values.items()}
    assert {name for name in ours if theirs.get(name) != ours[name]} <= told


def test_usual_files_mean_the_same(tmp_path: Path) -> None:
    text = (
        '# database\nexport DB_HOST=db.example.com\nDB_PASSWORD=\'p@ss "word" #1\'\nDB_URL="postgres://me:${DB_HOST}@h/x"\n'
        "KEY=\"-----BEGIN KEY-----\\nMIIC\\n-----END KEY-----\"\nSPLIT='one\ntwo' # c\nIT='it\\'s' \nEMPTY=\nHASH=a#b # c\nB64=YWJj==\n"
    )
    found = parse(text.encode())
    assert found.notes == ()
    assert {**{name: value.decode() for name, value in found.values.items()}, "EMPTY": ""} == read_by_compose(
        tmp_path, text.encode()
    )
