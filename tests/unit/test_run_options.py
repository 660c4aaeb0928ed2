"""A line of `container-image run`: the options are docker's, as docker reads them, and no word is taken for another."""

from __future__ import annotations

import pytest

from container_image import InvalidInputError
from container_image.cli.run import split
from container_image.runtime.options import parse


def told(arguments: list[str]) -> tuple[list[str], str | None, list[str]]:
    line, image, command = split(arguments)
    return [*(f"our {option}" for option in line.own), *map(str, line.docker)], image, list(command)


@pytest.mark.parametrize(
    ("line", "options", "command"),
    [
        # Docker's own lines.
        ("-it --rm IMAGE sh -c ls", ["--interactive=true", "--tty=true", "--rm=true"], ["sh", "-c", "ls"]),
        ("-p8080:80 -p=1:2 -p 3:4 IMAGE", ["--publish=8080:80", "--publish=1:2", "--publish=3:4"], []),
        ("-dp 80:80 --name web IMAGE", ["--detach=true", "--publish=80:80", "--name=web"], []),
        ("--rm=false -d=1 --sig-proxy=F IMAGE", ["--rm=false", "--detach=true", "--sig-proxy=false"], []),
        ("-eA=b=c -e D -h host IMAGE", ["--env=A=b=c", "--env=D", "--hostname=host"], []),
        ("--net host -v /a:/b:ro IMAGE x -- -y", ["--net=host", "--volume=/a:/b:ro"], ["x", "--", "-y"]),
        ("--entrypoint= -- IMAGE a", ["--entrypoint="], ["a"]),
        ("-e -v IMAGE", ["--env=-v"], []),
        # With this command's own, before the image or behind it.
        ("--env staging --only A --only B IMAGE a", ["our --env=staging", "our --only=A", "our --only=B"], ["a"]),
        ("IMAGE --env staging -it -- sh -i", ["our --env=staging", "--interactive=true", "--tty=true"], ["sh", "-i"]),
        ("IMAGE --env=staging --secret-files sh -i", ["our --env=staging", "our --secret-files=true"], ["sh", "-i"]),
        ("-e A=b --env=staging IMAGE", ["our --env=staging", "--env=A=b"], []),
        ("IMAGE -- -a -- b", [], ["-a", "--", "b"]),
        ("--rm IMAGE -- -a", ["--rm=true"], ["-a"]),
        ("--rm IMAGE - a", ["--rm=true"], ["-", "a"]),
    ],
)
def test_a_line_is_read_as_docker_reads_it(line: str, options: list[str], command: list[str]) -> None:
    assert told(line.split()) == (options, "IMAGE", command)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--nme=hunter2 IMAGE", "--nme is no option of `docker run`"),
        ("-Zhunter2 IMAGE", "-Z is no option of `docker run`"),
        ("IMAGE -c", "-c needs a value"),
        ("--rm=hunter2 IMAGE", "--rm takes no value but true or false"),
        ("-d=hunter2 IMAGE", "-d takes no value but true or false"),
        ("--rm IMAGE -c hunter2", "-c, behind IMAGE: is it an option, or the command's?"),
        ("--rm IMAGE --token=hunter2", "--token, behind IMAGE: is it an option, or the command's?"),
    ],
)
def test_what_cannot_be_told_is_an_error_that_repeats_no_value(line: str, message: str) -> None:
    with pytest.raises(InvalidInputError) as error:
        split(line.split())
    assert message in str(error.value)
    assert "hunter2" not in str(error.value)


def test_the_long_form_of_e_is_not_dockers() -> None:
    with pytest.raises(InvalidInputError, match="--env is no option"):
        parse(["--env=A=b"])
