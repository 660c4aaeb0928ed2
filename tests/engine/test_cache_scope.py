"""Short-lived tokens: steps stay cached while the token changes, and the image is searched for those that they ran with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import platformdirs
import pytest

from container_image import (
    AuditIncompleteError,
    BuiltImage,
    ContainerImage,
    InvalidInputError,
    Secret,
    SecretLeakError,
    SecretStore,
    Verdict,
    audit,
)
from tests.conftest import BUSYBOX

PROGRAM = str(Path(sys.executable).with_name("container-image"))
FIRST, SECOND, THIRD = "first-9aZ8bY7cX6dW5eV4", "second-1hG2jF3kD4lS5aP6", "third-5pQ6rS7tU8vW9xY0"
# One step is in a builder stage, whose layers are in no image.
SUMS = f"""\
FROM {BUSYBOX} AS tools
RUN --mount=type=secret,id=TOKEN md5sum /run/secrets/TOKEN > /sum && head -c 16 /dev/urandom | md5sum > /run-id
FROM {BUSYBOX}
COPY --from=tools /sum /run-id /
"""
LEAKS = f"FROM {BUSYBOX}\nRUN --mount=type=secret,id=TOKEN cp /run/secrets/TOKEN /token && chmod 644 /token\nRUN rm /token\n"


def build(tag: str, text: str, token: str | Secret, scope: str | None = "ci", **options: object) -> BuiltImage:
    secret = token if isinstance(token, Secret) else Secret.from_value(token, cache_scope=scope)
    image = ContainerImage.from_dockerfile_str(text, secrets={"TOKEN": secret})
    return image.build(tags=[tag], **options)


def made(tag: str) -> str:
    """What tells one run of the step from another."""
    return subprocess.run(
        ["docker", "run", "--rm", tag, "cat", "/run-id"], capture_output=True, check=True, text=True
    ).stdout


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A state directory with a build key of its own, so that nothing in the cache is of another test."""
    monkeypatch.delenv("CONTAINER_IMAGE_BUILD_KEY", raising=False)


@pytest.mark.usefixtures("own")
def test_steps_stay_cached_in_a_scope_and_scopes_share_nothing(tag: str) -> None:
    assert build(tag, SUMS, FIRST).warnings == ()
    first = made(tag)
    rotated = build(tag, SUMS, SECOND)
    assert made(tag) == first
    assert rotated.report is not None
    assert rotated.report.verdict is Verdict.CLEAN
    (row,) = rotated.report.secrets
    assert row.versions == 2
    (warning,) = rotated.report.warnings
    assert (warning.code, warning.secret) == ("cached-with-another-value", "TOKEN")
    assert "md5sum /run/secrets/TOKEN" in (warning.step or "")
    assert "TOKEN-" not in (warning.step or "")
    assert build(tag, SUMS, SECOND, scope="other").report is not None
    assert made(tag) != first
    assert build(tag, SUMS, FIRST, scope=None).report is not None
    assert made(tag) != first
    assert build(tag, SUMS, FIRST).warnings == ()
    assert made(tag) == first


@pytest.mark.usefixtures("own")
def test_a_token_that_a_cached_step_left_is_found(tag: str) -> None:
    for token, versions in ((FIRST, {1}), (SECOND, {2})):
        with pytest.raises(SecretLeakError) as caught:
            build(tag, LEAKS, token)
        assert {finding.secret_version for finding in caught.value.report.findings} == versions
        assert FIRST not in caught.value.report.model_dump_json()
    state = Path(platformdirs.user_state_dir("container-image"))
    assert not [path for path in state.rglob("*") if path.is_file() and FIRST.encode() in path.read_bytes()]


@pytest.mark.usefixtures("own")
def test_a_later_audit_knows_what_the_steps_ran_with(tag: str) -> None:
    build(tag, SUMS, FIRST)
    build(tag, SUMS, SECOND)
    for given in (FIRST, SECOND):
        report = audit(tag, {"TOKEN": given})
        assert (report.verdict, report.secrets[0].versions) == (
            (Verdict.CLEAN, 2) if given is SECOND else (Verdict.INCOMPLETE, 1)
        )


def test_who_has_not_the_notes_shares_no_steps(tag: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CONTAINER_IMAGE_BUILD_KEY", os.urandom(16).hex())
    build(tag, SUMS, FIRST)
    first = made(tag)
    # Another machine with the same build key and engine.
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "other"))
    assert build(tag, SUMS, SECOND).warnings == ()
    assert made(tag) != first


def test_the_store_knows_the_versions_that_were_used(tag: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CONTAINER_IMAGE_BUILD_KEY", os.urandom(16).hex())
    store = SecretStore.open(keep_versions=1)
    store.environments.create("staging")
    for name in ("main", "staging"):
        store.secrets.set("TOKEN", f"{FIRST}-{name}", name)
    secret = Secret.from_name("TOKEN", cache_scope="ci")
    build(tag, SUMS, secret)
    first = made(tag)
    build(tag, SUMS, secret, environment="staging")
    assert made(tag) != first
    store.secrets.set("TOKEN", SECOND)
    # Another machine with the same store and build key.
    home = os.environ["XDG_STATE_HOME"]
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "other"))
    rotated = build(tag, SUMS, secret)
    assert made(tag) == first
    assert [warning.code for warning in rotated.warnings] == ["cached-with-another-value"]
    store.secrets.set("TOKEN", THIRD)
    with pytest.raises(AuditIncompleteError, match="not all values of TOKEN of main that were used in its cache scope"):
        build(tag, SUMS, secret)
    assert build(tag, SUMS, Secret.from_name("TOKEN", cache_scope="ci2")).warnings == ()
    # Where they were used, they are known.
    monkeypatch.setenv("XDG_STATE_HOME", home)
    assert build(tag, SUMS, secret).report is not None
    # One of the same name is another environment.
    store.environments.delete("staging")
    store.environments.create("staging")
    store.secrets.set("TOKEN", "again-5tG6yH7uJ8iK", "staging")
    before = made(tag)
    assert build(tag, SUMS, secret, environment="staging").warnings == ()
    assert made(tag) != before


@pytest.mark.usefixtures("own")
def test_builds_at_once_in_one_scope_know_of_each_other(tag: str) -> None:
    """The second joins the step that the first is in, and gets what that one's value made."""
    text = f"FROM {BUSYBOX}\nRUN --mount=type=secret,id=TOKEN cp /run/secrets/TOKEN /token && chmod 644 /token && sleep 3\n"
    begun = Event()

    def note(event: object) -> None:
        if getattr(event, "kind", "") == "started" and "RUN" in getattr(event, "step", ""):
            begun.set()

    def leak(token: str, on_event: Callable[[object], None] | None = None) -> set[int]:
        with pytest.raises(SecretLeakError) as caught:
            build(tag, text, token, on_event=on_event)
        return {finding.secret_version for finding in caught.value.report.findings}

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(leak, FIRST, note)
        assert begun.wait(60)
        assert pool.submit(leak, SECOND).result() == {2}
        assert first.result() == {1}


@pytest.mark.usefixtures("own")
def test_what_a_former_value_left_in_a_cache_mount_is_found_and_not_shown(tag: str) -> None:
    mounts = "--mount=type=secret,id=TOKEN --mount=type=cache,target=/cache"
    text = f"FROM {BUSYBOX}\nARG RUN\nRUN {mounts} test -e /cache/t && cat /cache/t || cp /run/secrets/TOKEN /cache/t # $RUN\n"
    text += "RUN --mount=type=cache,target=/cache cat /cache/t | tee /token\n"
    shown = []
    for number, (token, versions) in enumerate(((FIRST, {1}), (SECOND, {2}))):
        image = ContainerImage.from_dockerfile_str(
            text, secrets={"TOKEN": Secret.from_value(token, cache_scope="ci")}, build_args={"RUN": str(number)}
        )
        with pytest.raises(SecretLeakError) as caught:
            image.build(tags=[tag], on_event=lambda event: shown.append(getattr(event, "text", "")))
        assert {finding.secret_version for finding in caught.value.report.findings} == versions
    assert "[TOKEN]" in "".join(shown)
    assert FIRST not in "".join(shown)


@pytest.mark.usefixtures("own")
def test_the_command_line_puts_secrets_in_scopes(tag: str, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(SUMS)
    command = [PROGRAM, "build", str(tmp_path), "-t", tag, "--secret", "id=TOKEN", "--format", "json"]

    def run(*more: str, token: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "TOKEN": token}
        return subprocess.run([*command, *more], capture_output=True, check=False, text=True, env=environment)

    assert run("--secret-cache-scope", "TOKEN=ci", token=FIRST).returncode == 0
    done = run("--secret-cache-scope", "TOKEN=ci", token=SECOND)
    assert done.returncode == 0, done.stderr
    assert [item["code"] for item in json.loads(done.stdout)["warnings"]] == ["cached-with-another-value"]
    for scope, message in (
        ("OTHER=ci", "no secret has its id"),
        ("TOKEN", "expected ID=SCOPE"),
        (f"TOKEN={FIRST}!", "a cache scope has"),
    ):
        done = run("--secret-cache-scope", scope, token=FIRST)
        assert (done.returncode, message in done.stderr, FIRST in done.stderr) == (2, True, False)


def test_a_scope_is_a_name() -> None:
    for scope in ("", "a b", "x" * 256, "tok\n"):
        with pytest.raises(InvalidInputError, match="a cache scope has"):
            Secret.from_env("TOKEN", cache_scope=scope)
    assert Secret.from_env("T", cache_scope="ci") != Secret.from_env("T", cache_scope="dev")
