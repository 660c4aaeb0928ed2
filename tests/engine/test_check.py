"""Whatever BuildKit refuses is refused before a step runs, with its line; and what a step will lack is told."""

from __future__ import annotations

import secrets
import subprocess
from typing import Any

import pytest

from container_image import BuildError, BuildEvent, ContainerImage, PreflightError
from tests.engine.conftest import declare

FROM = "ARG BASE_IMAGE\nFROM $BASE_IMAGE\nLABEL a=b\n"
REFUSED = [
    ("RUN --mount=type=secret,id=TOKEN,src=TOKEN true", "both source and id can't be set"),
    ("RUN --mount=type=secret,id=TOKEN,mode=rw true", "invalid value rw for mode"),
    ("RUN --mount=type=secret,id=TOKEN,uid=me true", "invalid value me for uid"),
    ("ARG X\nRUN --mount=type=secret,id=$X true", "one of source, target required"),
    ("RUN --mount=type=secrt,id=TOKEN true", r'unsupported mount type "secrt" \(did you mean secret\?\)'),
    ("RUN --mount=type=secret,id=TOKEN,trget=/x true", "unexpected key 'trget'"),
    ("FROM container-image.invalid/base:1", "container-image.invalid/base:1: .*; correct the image's name, log in"),
    (
        "COPY --from=container-image.invalid/base:1 /a /b",
        "container-image.invalid/base:1: .*; correct the image's name",
    ),
]


@pytest.mark.parametrize(("lines", "reason"), REFUSED)
@pytest.mark.parametrize("given", [{}, {"TOKEN": "some value of a secret"}])
def test_what_buildkit_refuses_is_refused_with_its_line(
    busybox_image: str, lines: str, reason: str, given: dict[str, str]
) -> None:
    image = declare(f"{FROM}{lines}\n", busybox_image, "", secrets=given)
    number = 4 + lines.count("\n")
    for call in (image.check, image.build):
        with pytest.raises(BuildError, match=rf"^Dockerfile:{number}: .*{reason}") as caught:
            call()
        assert caught.value.line == number


def test_a_refusal_is_told_with_everything_else_that_is_wrong(busybox_image: str, token: str) -> None:
    image = declare(f"{FROM}{REFUSED[0][0]}\n", busybox_image, "", secrets={"TOKEN": token}, labels={"x": token})
    with pytest.raises(PreflightError) as caught:
        image.check()
    assert len(caught.value.problems) == 2
    assert "Dockerfile:4" in caught.value.problems[0]
    assert "in the label x" in caught.value.problems[1]
    assert caught.value.would_ship


def test_the_id_that_is_spelled_most_alike_is_named(busybox_image: str, token: str) -> None:
    image = declare(f"{FROM}RUN --mount=type=secret,id=TOKN true\n", busybox_image, token)
    for call in (image.check, image.build):
        with pytest.raises(
            PreflightError, match=r"'TOKEN' is given and never mounted; did you mean 'TOKN', which .*:4"
        ):
            call()


def test_a_secret_that_is_mounted_and_not_given_is_told_before_the_build_and_after_a_failure(
    busybox_image: str, token: str
) -> None:
    salt = secrets.token_hex(8)
    text = (
        f"{FROM}RUN --mount=type=secret,id=npmrc true # {salt}\nRUN --mount=type=secret,id=TOKEN true\n"
        f"RUN --mount=type=secret,id=npmrc cat /run/secrets/npmrc && exit 1 # {salt}\n"
    )
    image = declare(text, busybox_image, token)
    told = (
        "Dockerfile:4: the secret 'npmrc' is mounted and not given, so the step runs without it; give it, as --secret"
    )
    assert [message for message in image.check() if message.startswith(told)]
    events: list[BuildEvent] = []
    with pytest.raises(BuildError, match="; the step mounts the secret 'npmrc', which was not given"):
        image.build(on_event=lambda event: events.append(event) if isinstance(event, BuildEvent) else None)
    assert (events[0].kind, events[0].text.startswith(told)) == ("warning", True)
    other = declare(f"{text.replace('cat /run/secrets/npmrc &&', 'true ||')}RUN exit 1\n", busybox_image, token)
    with pytest.raises(BuildError, match=r"Dockerfile:7: .*exit code: 1") as caught:
        other.build()
    assert "not given" not in str(caught.value)


@pytest.mark.parametrize("ssh", ["default", "other=/no/such/key"])
def test_an_ssh_agent_or_key_that_is_not_there_is_named(
    busybox_image: str, monkeypatch: pytest.MonkeyPatch, ssh: str
) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    image = declare(f"{FROM}RUN --mount=type=ssh true\n", busybox_image, "", secrets={}, ssh=[ssh])
    expected = (
        "no SSH agent, as SSH_AUTH_SOCK is not set" if ssh == "default" else "/no/such/key: no such socket or key"
    )
    for call in (image.check, image.build):
        with pytest.raises(PreflightError, match=f"--ssh {ssh.partition('=')[0]}: .*{expected}"):
            call()


def test_a_file_that_is_no_key_is_told_without_buildxs_own_data(busybox_image: str) -> None:
    image = declare(f"{FROM}RUN --mount=type=ssh true\n", busybox_image, "", secrets={}, ssh=[f"default={__file__}"])
    with pytest.raises(BuildError, match=r"--ssh: failed to parse .*no key found") as caught:
        image.build()
    assert "{" not in str(caught.value)


def test_an_image_without_a_tag_is_told_as_that(busybox_image: str, token: str) -> None:
    shown: list[Any] = []
    built = declare(f"{FROM}RUN --mount=type=secret,id=TOKEN true\n", busybox_image, token).build(on_event=shown.append)
    assert built.report is not None
    assert built.report.image.reference == "docker-daemon:(untagged)"
    assert "container-image.invalid" not in repr(shown) + repr(built)
    subprocess.run(["docker", "image", "rm", "--force", built.digest], capture_output=True, check=False)


def test_failing_requirements_end_in_the_installers_reason(base_image: str, token: str) -> None:
    image = ContainerImage.from_requirements(["--no-index", "acme @ file:///${TOKEN}"], base=base_image)
    image.secrets = {"TOKEN": token}
    with pytest.raises(BuildError) as caught:
        image.build()
    assert str(caught.value).startswith("requirements: they can't be installed: Could not install packages")
    assert "/dev/pipes" not in str(caught.value)
    assert token not in str(caught.value)
