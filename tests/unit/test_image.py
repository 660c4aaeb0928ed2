"""The declaration: fal's fields, meanings and refusals, and no value in anything that prints."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from container_image import (
    DEFAULT_DOCKERIGNORE_PATTERNS,
    ContainerImage,
    InvalidInputError,
    Secret,
    SecretSourceError,
    SecretStore,
    SecretValue,
    UnknownSecretError,
)
from container_image.build_options import BuildOptions
from container_image.dockerignore import to_docker
from container_image.excludes import docker_excludes

VALUE = "hunter2-hunter2-hunter2"


def declare(**fields: Any) -> ContainerImage:
    return ContainerImage.from_dockerfile_str("FROM scratch\nCOPY a b /c/\n", **fields)


def shown(error: Exception) -> str:
    """All that a refusal says, to people and to programs."""
    assert error.__context__ is error.__cause__ is None
    return str(error) + repr(error) + str(error.errors()) + str(error.json())  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"dockerfile_str": " \n"}, "Invalid dockerfile: Dockerfile is required."),
        ({"dockerfile_str": None}, "Invalid dockerfile: Dockerfile is required."),
        ({"builder": "local"}, "Invalid builder: local, must be one of"),
        ({"registries": {"r": {"username": VALUE}}}, "Username and password are required for each registry"),
        ({"entrypoint": [1]}, "entrypoint must be a string or list of strings."),
        ({"cmd": {"a": VALUE}}, "cmd must be a string or list of strings."),
        ({"use_isolate": 1}, "use_isolate must be a bool."),
        ({"secrets": {"A": 5}}, "secrets"),
        ({"secrets": {"A": f"${VALUE}"}}, "secret 'A': its value begins with $ and is no name of a secret"),
        (
            {"registries": {"r": {"username": "u", "password": f"${{{VALUE}}}"}}},
            "secret 'registry:r': its value begins with $",
        ),
        ({"registries": {"r": {"username": 5, "password": VALUE}}}, "registries"),
        ({"secrets": {"A": {"value": VALUE}}}, "secrets"),
        ({"no_such_field": VALUE}, "no_such_field"),
    ],
)
def test_refusals_are_value_errors_without_the_value(fields: dict[str, Any], message: str) -> None:
    text = fields.pop("dockerfile_str", "FROM scratch")
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        ContainerImage(text, **fields)
    assert VALUE not in shown(caught.value)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("dockerfile_str", "", "dockerfile_str\n  Invalid dockerfile: Dockerfile is required."),
        (
            "registries",
            {"r": {"password": VALUE}},
            "registries\n  Username and password are required for each registry",
        ),
        ("secrets", {"A": {"value": VALUE}}, "secrets"),
        ("no_such_field", VALUE, "no_such_field"),
    ],
)
def test_an_assignment_is_refused_without_the_value_too(field: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        setattr(declare(), field, value)
    assert VALUE not in shown(caught.value)


@pytest.mark.parametrize(
    "validate",
    [
        ContainerImage.model_validate,
        lambda given: ContainerImage.model_validate_json(json.dumps(given)),
        lambda given: TypeAdapter(list[ContainerImage]).validate_python([given]),
    ],
)
def test_validating_data_refuses_without_the_value_too(validate: Callable[[object], object]) -> None:
    with pytest.raises(ValueError, match="secrets") as caught:
        validate({"dockerfile_str": "FROM scratch", "secrets": {"A": [VALUE]}})
    assert VALUE not in shown(caught.value)


def test_a_missing_dockerfile_is_fals_error_and_ours() -> None:
    for kind in (FileNotFoundError, InvalidInputError):
        with pytest.raises(kind, match="/no/such/file: there is no such Dockerfile"):
            ContainerImage.from_dockerfile("/no/such/file")


def test_fields_are_taken_by_position_in_fals_order() -> None:
    image = ContainerImage(
        "FROM scratch", {"A": "b"}, {}, "depot", "zstd", True, {"S": VALUE}, ["e"], "c", False, "ctx", []
    )
    assert image == ContainerImage(
        "FROM scratch", build_args={"A": "b"}, builder="depot", compression="zstd", force_compression=True,
        secrets={"S": VALUE}, entrypoint=["e"], cmd="c", use_isolate=False, context_dir="ctx", dockerignore=[],
    )  # fmt: skip
    with pytest.raises(TypeError, match="multiple values for keyword argument 'build_args'"):
        ContainerImage("FROM scratch", {}, build_args={})


def test_images_are_equal_if_their_fields_are(tmp_path: Path) -> None:
    path = tmp_path / "Dockerfile"
    path.write_text("FROM scratch\nCOPY a b /c/\n")
    assert ContainerImage.from_dockerfile(path) == declare()
    assert declare(cmd="x") != declare()
    assert declare(secrets={"A": VALUE}) != declare()


@pytest.mark.parametrize("builder", ["service", "worker"])
def test_a_deprecated_builder_warns(builder: str, capsys: pytest.CaptureFixture[str]) -> None:
    declare(builder=builder)
    assert capsys.readouterr().err == (
        f"Warning: builder='{builder}' is deprecated and has been removed. All builds now use Depot. "
        "You can safely remove the builder parameter or set builder='depot'.\n"
    )
    declare(builder="depot").builder = builder
    assert capsys.readouterr().err == ""


def test_to_dict_has_fals_keys(tmp_path: Path) -> None:
    image = declare(context_dir=tmp_path, secrets={"A": VALUE, "B": "$NAME"}, cmd=["x"])
    found = image.to_dict()
    assert list(found) == [
        "dockerfile_str", "build_args", "registries", "builder", "compression", "force_compression", "secrets",
        "docker_context_dir", "docker_files_list", "docker_ignore", "cmd",
    ]  # fmt: skip
    assert found["secrets"] == {"A": VALUE, "B": "$NAME"}
    assert found["docker_context_dir"] == str(tmp_path)
    assert found["docker_files_list"] == ["a", "b"]
    assert len(found["docker_ignore"]) == len(DEFAULT_DOCKERIGNORE_PATTERNS)
    assert (found["compression"], found["force_compression"], found["builder"]) == ("gzip", False, None)


def test_to_dict_reads_a_lazy_secret_only_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN", VALUE)
    image = declare(secrets={"A": Secret.from_env("A_TOKEN")})
    with pytest.raises(InvalidInputError, match="'A' comes from variable A_TOKEN"):
        image.to_dict()
    assert image.to_dict(resolve=True)["secrets"] == {"A": VALUE}


def test_to_dict_writes_every_reference_alike_and_no_literal_as_one() -> None:
    image = declare(
        secrets={"A": "${NAME}", "B": Secret.from_value("$NAME"), "C": "$$NAME"},
        registries={
            "r": {"username": "u", "password": "${REG_TOKEN}"},
            "s": {"username": "$REG_USER", "password": Secret.from_name("REG_TOKEN")},
        },
    )
    told = image.to_dict()
    assert told["secrets"] == {"A": "$NAME", "B": "$$NAME", "C": "$$NAME"}
    assert told["registries"] == {
        "r": {"username": "u", "password": "$REG_TOKEN"},
        "s": {"username": "$REG_USER", "password": "$REG_TOKEN"},
    }
    lazy = declare(registries={"r": {"username": "u", "password": Secret.from_env("REG_TOKEN")}})
    with pytest.raises(InvalidInputError, match=r"'registry:r' comes from variable REG_TOKEN; to_dict\(resolve=True\)"):
        lazy.to_dict()


def test_logins_are_read_as_secrets_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REG_PASSWORD", VALUE)
    store = SecretStore.open()
    store.secrets.set_all({"REG_USER": "me", "REG_TOKEN": VALUE[::-1]})
    image = declare(
        registries={
            "r.example": {"username": "$REG_USER", "password": "${REG_TOKEN}"},
            "s.example": {"username": "$$u", "password": Secret.from_env("REG_PASSWORD")},
            "t.example": {"username": SecretValue("x", b"t"), "password": SecretValue("y", VALUE.encode())},
        }
    )
    request = image.request()
    logins = {host: (user, password.reveal().decode()) for host, (user, password) in request.registries.items()}
    assert logins == {"r.example": ("me", VALUE[::-1]), "s.example": ("$u", VALUE), "t.example": ("t", VALUE)}
    assert list(request.held) == ["registry:r.example", "registry:s.example", "registry:t.example"]
    assert [value.name for value in request.unwanted] == list(request.held)
    assert request.secrets == {}
    assert VALUE not in repr(request) + repr(image)
    for copied in (copy.copy(image), copy.deepcopy(image)):
        assert copied == image
    assert pickle.loads(pickle.dumps(image)).registries == {}


def test_a_login_that_is_missing_is_told_with_its_command() -> None:
    image = declare(secrets={"A": "$GONE"}, registries={"r": {"username": "me", "password": "$REG_TOKEN"}})
    with pytest.raises(UnknownSecretError) as caught:
        image.request()
    assert caught.value.names == ("GONE", "REG_TOKEN")
    assert "set it with: container-image secrets set REG_TOKEN --env main" in str(caught.value)
    with pytest.raises(SecretSourceError, match="'registry:r': the variable NOT_SET_ANYWHERE is not set"):
        declare(registries={"r": {"username": "u", "password": Secret.from_env("NOT_SET_ANYWHERE")}}).request()


def test_a_declared_argument_can_be_public() -> None:
    image = declare(build_args={"NPM_TOKEN": "npm_9aZ8bY7cX6dW5eV4f3g2H1i0"})
    assert [(value.name, value.sensitive) for value in image.request().held.values()] == [("build-arg:NPM_TOKEN", True)]
    image.build_args_public = ["NPM_TOKEN"]
    assert not image.request().has_credentials
    assert "npm_9aZ8" not in repr(image.request())


def test_pickling_and_printing_drop_what_is_secret() -> None:
    image = declare(
        secrets={"A": VALUE}, registries={"r": {"username": "u", "password": VALUE}}, build_args={"X": VALUE}
    )
    assert VALUE not in repr(image) + str(image)
    restored = pickle.loads(pickle.dumps(declare(secrets={"A": VALUE}, labels={"x": "y"})))
    assert (restored.secrets, restored.registries, restored.labels) == ({}, {}, {"x": "y"})
    assert copy.deepcopy(image).secrets == copy.copy(image).secrets == {"A": VALUE}


def test_where_ignore_rules_come_from(tmp_path: Path) -> None:
    (tmp_path / ".dockerignore").write_text("# comment\n\n*.log\n")
    (tmp_path / "other").write_text("*.tmp\n")

    def ignores(image: ContainerImage, path: str) -> bool:
        return any(re.match(regex, path) for regex in image._dockerignore)

    assert ignores(declare(context_dir=tmp_path), "x/a.log")
    assert ignores(declare(context_dir=tmp_path, dockerignore_path=tmp_path / "other"), "a.tmp")
    listed = declare(context_dir=tmp_path, dockerignore_path="/no/such", dockerignore=["*.bak"])
    assert ignores(listed, "a.bak")
    assert not ignores(listed, "a.log")
    with pytest.raises(FileNotFoundError, match=r"Specified \.dockerignore file not found: /no/such"):
        declare(context_dir=tmp_path, dockerignore_path="/no/such")
    listed.add_dockerignore(path=tmp_path / "other")
    assert ignores(listed, "d/a.tmp")
    for arguments in ({}, {"patterns": ["a"], "path": "b"}):
        with pytest.raises(ValueError, match="one"):
            listed.add_dockerignore(**arguments)  # type: ignore[arg-type]


def test_only_an_assigned_ignore_field_replaces_the_rules_that_were_added() -> None:
    image = declare()
    image.add_dockerignore(["*.bak"])
    added = image._dockerignore
    image.cmd = "x"
    assert image._dockerignore == added
    image.dockerignore = ["*.tmp"]
    assert image._dockerignore == declare(dockerignore=["*.tmp"])._dockerignore


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("a", ["a", "x/a", "a/x", "x/a/y"], ["ab", "x/ab"]),
        ("/a", ["a", "a/x"], ["x/a"]),
        ("a/", ["a/x", "x/a/y"], ["a"]),
        ("a/b", ["a/b", "a/b/x"], ["x/a/b"]),
        ("a/*", ["a/x", "a/x/y"], ["a", "x/a/y"]),
        ("a/**", ["a/x", "a/x/y"], ["a"]),
        ("**/a", ["a", "x/y/a"], ["ba"]),
        ("a/**/b", ["a/b", "a/x/y/b"], ["a/xb"]),
        ("*", ["a", "x/a"], []),
        ("*.py[co]", ["a.pyc", "x/a.pyo"], ["a.py", "a.pyx"]),
        ("[!a-c]", ["d", "x/d"], ["a", "dd"]),
        ("a?b", ["axb"], ["ab", "a/b"]),
        ("\\!a", ["!a"], ["a"]),
        ("\\#a", ["#a"], ["a"]),
        ("!a", ["a"], ["!a"]),
        ("  a  ", ["a", "x/a"], [" a", "a "]),
        ("\ta", ["a"], ["\ta"]),
        ("#a", [], ["a", "#a"]),
        (" #a", [], ["a", "#a", " #a"]),
        ("  ", [], [" ", "  "]),
        ("/", [], ["a", "x/a"]),
    ],
)
def test_regexes_of_ignore_patterns_match_as_fals_do(pattern: str, matching: list[str], other: list[str]) -> None:
    regexes = declare(dockerignore=[pattern])._dockerignore
    assert [path for path in matching + other if any(re.search(regex, path) for regex in regexes)] == matching


def test_a_pattern_that_ends_in_a_backslash_is_refused() -> None:
    with pytest.raises(ValueError, match=re.escape(r"Invalid git pattern: 'a\\'")):
        declare(dockerignore=["a\\"])


@pytest.mark.parametrize(
    ("patterns", "path", "excluded"),
    [
        ([".env"], ".env", True),
        ([".env"], "deep/down/.env", True),
        (["/.env"], "deep/.env", False),
        (["a/b"], "x/a/b", False),
        (["node_modules"], "x/node_modules/y/z", True),
        (["*.md", "!README.md"], "docs/README.md", False),
        (["*.md", "!README.md"], "docs/OTHER.md", True),
        (["build/"], "x/build/out", True),
    ],
)
def test_gitignore_patterns_mean_the_same_in_dockers_words(patterns: list[str], path: str, excluded: bool) -> None:
    assert docker_excludes(to_docker(patterns), path) is excluded


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda image: image.build(tag="x"),
            r"^build\(\) has no option tag \(did you mean tags\?\); its options are tags, ",
        ),
        (lambda image: image.build(on_events=print), r"^build\(\) has no option on_events \(did you mean on_event\?\)"),
        (
            lambda image: image.check(enviroment="x"),
            r"^check\(\) has no option enviroment \(did you mean environment\?\)",
        ),
        (lambda image: image.check(on_event=print), r"^check\(\) has no option on_event; its options are"),
        (
            lambda image: image.build(platforms=["linux/amd64"]),
            r"^build\(\) has no option platforms: it is a part of the",
        ),
    ],
)
def test_an_unknown_option_is_told_as_that_of_the_method_that_was_called(
    call: Callable[[ContainerImage], object], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        call(declare())


def test_checkers_know_the_options_that_a_request_takes() -> None:
    taken = {name for name in inspect.signature(ContainerImage.request).parameters if name != "self"}
    assert set(BuildOptions.__annotations__) == taken
