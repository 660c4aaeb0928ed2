"""What a build would ship as it is written is told by the name of the value, before anything runs."""

from __future__ import annotations

import pytest

from container_image import ContainerImage, PreflightError
from container_image.build.preflight import preflight

TOKEN = "tok9aZ8bY7cX6dW5eV4fU3gT2hS1iR0"
OTHER = "Qx5R8vT2mK9pL4wZ7nB3cF6hJ1dS0gA"
ENV = f"DEBUG=1\nAPI_TOKEN={TOKEN}\nBROKER_URL=amqp://ci:{OTHER}@mq.example.com/\n"
MOUNT = "RUN --mount=type=secret,id=env true\n"


def problems(text: str, value: str = ENV, **fields: object) -> tuple[str, ...]:
    declared = ContainerImage.from_dockerfile_str(text + MOUNT, secrets={"env": value}, **fields)
    with pytest.raises(PreflightError) as caught:
        preflight(declared.request())
    assert caught.value.would_ship
    assert not any(value in str(caught.value) for value in (TOKEN, OTHER))
    return caught.value.problems


def test_a_value_of_a_structured_secret_is_told_by_its_own_name() -> None:
    (problem,) = problems(f"FROM scratch\nENV A=1 \\\n  TOKEN={TOKEN}\n")
    assert problem.startswith("Dockerfile:3: the value of secret 'env:API_TOKEN' is written in the Dockerfile")


def test_each_value_is_told_where_it_is() -> None:
    told = problems(f"FROM scratch\nRUN use {OTHER}\nRUN use {TOKEN}\n", labels={"a": TOKEN})
    assert [problem.partition(", which")[0] for problem in told] == [
        "the value of secret 'env:API_TOKEN' is in the label a",
        "Dockerfile:3: the value of secret 'env:API_TOKEN' is written in the Dockerfile",
        "Dockerfile:2: the value of secret 'env:BROKER_URL.userinfo' is written in the Dockerfile",
    ]


def test_a_plain_secret_is_told_as_itself() -> None:
    (problem,) = problems(f"FROM scratch\nLABEL a={TOKEN.encode().hex()}\n", TOKEN)
    assert problem.startswith("Dockerfile:2: the value of secret 'env' is written in the Dockerfile")
