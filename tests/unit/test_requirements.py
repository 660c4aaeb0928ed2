"""Requirements with secrets in them: what is read of them, the step that they become, and what the step leaves."""

from __future__ import annotations

import ast
import base64
import contextlib
import copy
import json
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from container_image import ContainerImage, InvalidInputError, PreflightError, Secret, SecretStore, UnknownSecretError
from container_image.build.preflight import preflight
from container_image.cli import _run
from container_image.dockerfile import mounts, parse
from container_image.requirements import read_requirements, with_step
from container_image.requirements.install import fill, forget, named, note

VALUE = "hunter2-hunter2-hunter2"
INDEX = "--index-url https://ci:${TOKEN}@index.example/simple"
URL = "acme @ https://files.example/acme-1.0.whl?token=${TOKEN}"


def declare(*requirements: str, **fields: Any) -> ContainerImage:
    return ContainerImage.from_dockerfile_str("FROM scratch\n", requirements=list(requirements), **fields)


def files(directory: Path, **texts: str) -> None:
    for name, text in texts.items():
        path = directory / name.replace("__", "/")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def test_the_step_is_the_last_instruction_and_holds_names_alone() -> None:
    request = declare(INDEX, "acme", secrets={"TOKEN": VALUE}).request()
    dockerfile = parse(request.dockerfile)
    step = dockerfile.instructions[-1]
    assert (step.keyword, step.line, request.own_lines) == ("RUN", 2, 1)
    assert [(mount.type, mount.id, mount.required) for mount in mounts(step)] == [("secret", "TOKEN", True)]
    assert VALUE not in request.dockerfile
    assert request.dockerfile.startswith("FROM scratch\nRUN ")
    assert (request.place(1), request.place(2)) == ("Dockerfile:1", "requirements")


def test_a_dockerfile_and_its_sources_stay_as_they_were_given() -> None:
    text = "FROM scratch\nCOPY a b /c/"
    image = ContainerImage.from_dockerfile_str(text, requirements=["acme"])
    assert (image.dockerfile_str, image.get_copy_add_sources()) == (text, ["a", "b"])
    assert image.request().dockerfile.startswith(f"{text}\nRUN ")
    without = ContainerImage.from_dockerfile_str(text).request()
    assert (without.dockerfile, without.own_lines) == (text, None)


@pytest.mark.parametrize(
    ("options", "base"),
    [
        ({}, "python:3.12-slim"),
        ({"python": "3.13"}, "python:3.13-slim"),
        ({"base": "nvidia/cuda:12"}, "nvidia/cuda:12"),
        ({"requirements": ["acme @ git+https://git.example/acme.git"]}, "python:3.12"),
    ],
)
def test_a_base_is_chosen_for_requirements(options: dict[str, Any], base: str) -> None:
    image = ContainerImage.from_requirements(**{"requirements": ["acme"], **options})
    assert image.dockerfile_str == f"FROM {base}"


@pytest.mark.parametrize("given", ["acme", [1], None])
def test_requirements_are_a_list_of_lines(given: Any) -> None:
    with pytest.raises(ValueError, match="requirements"):
        ContainerImage.from_dockerfile_str("FROM scratch", requirements=given)
    with pytest.raises(ValueError, match="installer"):
        declare("acme", installer="conda")


def test_to_dict_has_the_step_and_its_secrets_as_references() -> None:
    image = ContainerImage.from_requirements(
        [INDEX, "acme ${OTHER}"], environment="staging", secrets={"OTHER": "$ELSEWHERE"}
    )
    found = image.to_dict()
    assert found["secrets"] == {"OTHER": "$ELSEWHERE", "TOKEN": "$TOKEN"}
    assert [mount.id for mount in mounts(parse(found["dockerfile_str"]).instructions[-1])] == ["TOKEN", "OTHER"]
    assert "requirements" not in found


def test_a_name_is_a_declared_secret_or_else_one_of_the_store() -> None:
    store = SecretStore.open()
    store.environments.create("staging")
    store.secrets.set("TOKEN", "of-main-of-main")
    store.secrets.set("TOKEN", "of-staging-of-staging", environment_name="staging")

    def value(image: ContainerImage, **options: Any) -> bytes:
        return image.request(**options).secrets["TOKEN"].reveal()

    assert value(declare(INDEX)) == b"of-main-of-main"
    staging = ContainerImage.from_requirements([INDEX], environment="staging")
    assert value(staging) == value(copy.deepcopy(staging)) == b"of-staging-of-staging"
    assert value(pickle.loads(pickle.dumps(staging))) == b"of-staging-of-staging"
    assert staging == copy.copy(staging) != ContainerImage.from_requirements([INDEX])
    assert value(declare(INDEX, secrets={"TOKEN": VALUE})) == VALUE.encode()
    given = {"TOKEN": Secret.from_value("given-for-this-build")}
    assert value(declare(INDEX, secrets={"TOKEN": VALUE}), secrets=given) == b"given-for-this-build"


def test_names_that_nobody_has_fail_before_the_build_all_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    SecretStore.open().secrets.set("TOKEN", VALUE)
    with pytest.raises(UnknownSecretError) as caught:
        declare(INDEX, "a @ https://h/?a=${FIRST}", "b @ https://h/?a=${SECOND}").request()
    assert caught.value.names == ("FIRST", "SECOND")
    assert "container-image secrets set FIRST" in str(caught.value)
    app = tmp_path / "app.py"
    app.write_text(
        "from container_image import ContainerImage\n"
        "image = ContainerImage.from_requirements(['a @ https://h/?a=${FIRST}&b=${TOKEN}'])\n"
    )
    assert _run(["secrets", "missing", f"{app}::image"]) == 0
    assert capsys.readouterr().out.split() == ["container-image", "secrets", "set", "FIRST", "--env", "main"]


def test_lines_are_read_as_pip_reads_them(tmp_path: Path) -> None:
    text = """\
    # a comment, with ${NOTHING} in it
    acme[extra] ; python_version >= "3.8"  # behind
    acme#not-a-comment
    pinned==1.0 \\
        --hash=sha256:aa \\
        --hash=sha256:bb

    open \\
    # ends it
    next"""
    read = read_requirements([text, "--no-binary :all:\\"], tmp_path)
    assert [re.sub(" +", " ", line) for line in read.files["requirements.txt"]] == [
        'acme[extra] ; python_version >= "3.8"',
        "acme#not-a-comment",
        "pinned==1.0 --hash=sha256:aa --hash=sha256:bb",
        "open",
        "next",
        "--no-binary :all:",
    ]
    assert read.names == ()


@pytest.mark.parametrize(
    ("line", "marked"),
    [
        ("https://${A}:${B}@h/x", "https://${A:url}:${B:url}@h/x"),
        ("git+https://x-access-token:${A}@h/r.git@v1#egg=r", "git+https://x-access-token:${A:url}@h/r.git@v1#egg=r"),
        ("https://h/${A}/simple", "https://h/${A}/simple"),
        ("https://h/x?token=${A}&b=c${B}", "https://h/x?token=${A:url}&b=c${B:url}"),
        ("https://h/x?${A}", "https://h/x?${A}"),
        ("https://h/x#sha256=${A}", "https://h/x#sha256=${A}"),
        ("--index-url ${A}", "--index-url ${A}"),
        ("https://${A}/x?y=@", "https://${A}/x?y=@"),
        ("$${A} $$${B}", "$${A} $$${B}"),
        ("$A ${A}", "$A ${A}"),
        ("-r https://ci:${A}@h/r.txt", "-r https://ci:${A:url}@h/r.txt"),
    ],
)
def test_a_secret_is_encoded_where_a_url_has_a_component_of_it(line: str, marked: str, tmp_path: Path) -> None:
    read = read_requirements([line], tmp_path)
    assert read.files == {"requirements.txt": [marked]}
    assert set(read.verbatim) == set(re.findall(r"(?<!\$)\$\{(\w+)\}", marked))


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1))
def test_what_a_server_is_sent_is_the_value(value: str) -> None:
    line = read_requirements(["https://ci:${T}@h/x?a=b&token=${T}&c=$${T}"], Path()).files["requirements.txt"][0]
    url = urlsplit(fill(line, {"T": value}))
    assert unquote(url.password or "") == value
    assert parse_qs(url.query) == {"a": ["b"], "token": [value], "c": ["${CONTAINER_IMAGE_DOLLAR}{T}"]}


@settings(max_examples=200, deadline=None)
@given(
    st.text(max_size=60), st.lists(st.sampled_from(["${A}", "$${A}", "https://", "@", "?a=", "\\", "#", "-r", "\n"]))
)
def test_any_text_is_refused_or_arrives_in_the_step(text: str, parts: list[str]) -> None:
    with contextlib.suppress(InvalidInputError):
        read = read_requirements([text.join(parts), text], Path("/nowhere"))
        dockerfile = with_step("FROM scratch", read, "pip")
        assert len(parse(dockerfile).instructions) == 2
        called = ast.parse(dockerfile[dockerfile.index("sys.exit(") : dockerfile.rindex("\n", 0, -1)])
        assert ast.literal_eval(called.body[0].value.args[0].args[1]) == read.files  # type: ignore[attr-defined]
        for lines in read.files.values():
            assert all(line.strip() == line and len(line.splitlines()) == 1 for line in lines)


def test_files_are_read_from_the_context_and_not_copied(tmp_path: Path) -> None:
    files(
        tmp_path,
        requirements__main="-r nested\n--constraint=../limits\nacme\n",
        requirements__nested=f"{INDEX}\n-r https://h/remote.txt\n",
        limits="acme<2\n",
    )
    read = read_requirements(["-rrequirements/main", "-c limits", "--requirement 'requirements/nested'"], tmp_path)
    assert read.files == {
        "requirements.txt": ["-r 1-main", "-c 3-limits", "--requirement 2-nested"],
        "1-main": ["-r 2-nested", "--constraint 3-limits", "acme"],
        "2-nested": [INDEX.replace("TOKEN", "TOKEN:url"), "-r https://h/remote.txt"],
        "3-limits": ["acme<2"],
    }
    assert read.names == ("TOKEN",)
    image = ContainerImage.from_dockerfile_str("FROM scratch", requirements=["-c limits"], context_dir=tmp_path)
    assert (image.get_copy_add_sources(), "acme<2" in image.request().dockerfile) == ([], True)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("-r missing", "requirements: -r missing: .*missing can't be read: No such file"),
        ("-r .", "can't be read: Is a directory"),
        ("-r loop", "loop: -r loop: that file leads to itself"),
        ("-r binary", "binary is not UTF-8"),
        ("-r a -c b", "take one file on a line"),
        ("-r ${A}.txt", "without a secret in its name"),
        ("acme @ https://h/${A", r"a secret is written \$\{NAME\}"),
        ("acme @ https://h/${A:-b}", r"a secret is written \$\{NAME\}"),
        ("acme\0", "has characters that no file has"),
        ("acme\ud800", "has characters that no file has"),
    ],
)
def test_what_cannot_be_read_is_named(line: str, message: str, tmp_path: Path) -> None:
    files(tmp_path, loop="-r loop\n")
    (tmp_path / "binary").write_bytes(b"\xff")
    with pytest.raises(InvalidInputError, match=message):
        declare(line, context_dir=tmp_path).request()


def test_a_password_that_is_written_out_is_refused_and_not_repeated() -> None:
    with pytest.raises(PreflightError, match=r"index\.example has a password written in it") as caught:
        declare(f"--index-url https://ci:{VALUE}@index.example/simple").request()
    assert VALUE not in str(caught.value)
    assert caught.value.would_ship
    for fine in ("git+ssh://git@h/r.git", "https://${A}:x-oauth-basic@h/x", "https://oauth2accesstoken@h/x"):
        declare(fine, secrets={"A": VALUE}).request()


@pytest.mark.parametrize("value", ["a --index-url=http://evil", "one\ntwo", "one\u2028two", "a\tb", "\x1b[0m", "a\n\n"])
def test_a_value_that_would_be_more_than_one_word_is_refused(value: str) -> None:
    with pytest.raises(PreflightError, match="secret 'TOKEN' has white space") as caught:
        declare(INDEX, secrets={"TOKEN": f"{VALUE}{value}"}).request()
    assert VALUE not in str(caught.value)


def test_a_value_that_no_url_can_hold_as_it_is_is_refused_there() -> None:
    for value in ('quo"te', "back\\slash", "bra{ce", "naïve", "it's"):
        with pytest.raises(PreflightError, match="secret 'TOKEN' has characters that no URL has"):
            declare("--index-url https://h/${TOKEN}/simple", secrets={"TOKEN": value}).request()
        declare(INDEX, secrets={"TOKEN": value}).request()
    declare("--index-url ${TOKEN}", secrets={"TOKEN": "https://u:p%40ss@h/simple?a=b&c=d"}).request()


def test_a_line_end_at_the_end_of_a_file_is_no_part_of_its_value(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{VALUE}\n")
    declare(INDEX, secrets={"TOKEN": Secret.from_file(tmp_path / "token")}).request()


@pytest.mark.parametrize("text", ["FROM scratch\nRUN a \\", "FROM scratch\nRUN <<EOF\na", "FROM scratch\nRUN a \\\n\n"])
def test_a_dockerfile_whose_end_is_open_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match=r"Dockerfile:\d: "):
        ContainerImage.from_dockerfile_str(text, requirements=["acme"]).request()


def test_the_target_is_the_stage_that_requirements_are_installed_in() -> None:
    text = "FROM scratch AS first\nFROM scratch AS last\n"
    for target in (None, "last", "1"):
        preflight(ContainerImage.from_dockerfile_str(text, requirements=["acme"], target=target).request())
    with pytest.raises(PreflightError, match=r"^requirements apply to the last stage, and the target is 'first'"):
        preflight(ContainerImage.from_dockerfile_str(text, requirements=["acme"], target="first").request())


def direct_url(directory: Path, url: str) -> Path:
    """A package's record of where it comes from, as pip leaves it."""
    info = directory / "acme-1.0.dist-info"
    info.mkdir()
    path = info / "direct_url.json"
    path.write_text(json.dumps({"archive_info": {}, "url": url}))
    (info / "RECORD").write_bytes(
        b"acme.py,sha256=aa,1\r\nacme-1.0.dist-info/direct_url.json,sha256=old,9\r\nacme-1.0.dist-info/RECORD,,\r\n"
    )
    return path


def test_a_record_has_the_name_again_and_its_hash(tmp_path: Path) -> None:
    path = direct_url(tmp_path, f"https://h/a.whl?token={VALUE}%2F%40&x=1")
    assert forget(path, {"TOKEN": f"{VALUE}/@", "OTHER": "x"})
    note(path)
    assert json.loads(path.read_text())["url"] == "https://h/a.whl?token=${TOKEN}&x=1"
    lines = (path.parent / "RECORD").read_bytes().split(b"\r\n")
    assert lines[0] == b"acme.py,sha256=aa,1"
    assert lines[2:] == [b"acme-1.0.dist-info/RECORD,,", b""]
    digest = subprocess.run(["openssl", "dgst", "-sha256", "-binary", path], capture_output=True, check=True).stdout
    _, recorded, size = lines[1].decode().split(",")
    assert base64.urlsafe_b64decode(recorded.removeprefix("sha256=") + "=") == digest
    assert int(size) == path.stat().st_size


def test_a_record_without_a_value_is_left_alone(tmp_path: Path) -> None:
    path = direct_url(tmp_path, "https://h/a.whl?token=public")
    before = path.read_bytes()
    # What is short may be any word.
    assert not forget(path, {"TOKEN": VALUE, "SHORT": "token"})
    assert path.read_bytes() == before


def test_of_two_values_the_longer_is_named_first() -> None:
    data = named(b"long-value-longer long-value", {"A": "long-value", "B": "long-value-longer"})
    assert data == b"${B} ${A}"


def test_the_script_runs_on_its_own_and_needs_no_package_of_ours() -> None:
    text = declare("acme").request().dockerfile
    script = text[text.index("#!") : text.rindex("sys.exit")]
    ast.parse(script, feature_version=(3, 8))
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"{script}\nprint(fill('${{A:url}}', {{'A': 'a@b'}}))"],
        capture_output=True,
        check=False,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("a%40b\n", "")
