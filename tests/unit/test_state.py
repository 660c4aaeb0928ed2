"""The build key and the records: made once, for this user alone, and refused where they keep nothing secret."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from container_image import InvalidInputError, SecretValue
from container_image.records import built_with, recall, remember
from container_image.state import VARIABLE, build_key, derive

DIGEST = "sha256:" + "1" * 64


def test_a_key_is_made_once_for_this_user_alone(state: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: build_key(), range(8)))
    assert len(keys) == 1
    (file,) = (state / "container-image").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert derive(keys.pop(), "one purpose") != derive(build_key(), "another")


def test_a_key_that_keeps_nothing_secret_is_refused(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build_key()
    (file,) = (state / "container-image").iterdir()
    file.chmod(0o644)
    with pytest.raises(InvalidInputError, match="other users can read it; remove it"):
        build_key()
    file.chmod(0o600)
    file.write_bytes(b"")
    with pytest.raises(InvalidInputError, match="fewer than 32 bytes"):
        build_key()
    file.unlink()
    file.mkdir()
    with pytest.raises(InvalidInputError, match="it is a directory, not a file"):
        build_key()
    monkeypatch.setenv(VARIABLE, "short")
    with pytest.raises(InvalidInputError, match="fewer than 16 characters"):
        build_key()
    monkeypatch.setenv(VARIABLE, "long enough to be one")
    assert len(build_key()) == 32


def test_a_state_directory_that_cannot_be_made_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with pytest.raises(InvalidInputError, match=r"the state directory can't be used: .*, or set XDG_STATE_HOME"):
        build_key()


def test_records_tell_the_holder_of_the_key_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    value, other = SecretValue("T", b"tok9aZ8bY7cX6"), SecretValue("T", b"another-value")
    remember("build", DIGEST, "clean", {"T": value})
    record = recall("build", DIGEST)
    assert (built_with(record, "T", [b"x", value.reveal()]), built_with(record, "T", [other.reveal()])) == (
        "same",
        "different",
    )
    assert built_with(record, "U", [value.reveal()]) == built_with(None, "T", [value.reveal()]) == "unknown"
    assert recall("audit", DIGEST) is None
    monkeypatch.setenv(VARIABLE, "the key of another machine")
    assert built_with(record, "T", [value.reveal()]) == "unknown"
