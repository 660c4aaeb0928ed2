"""BuildKit never gives a build what another value of its secrets made, however they are mounted."""

from __future__ import annotations

import hashlib
import http.server
import json
import random
import secrets
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from container_image import BuildError, BuildEvent, ContainerImage, DockerfileError, PreflightError, Secret
from container_image.build.tagging import rewrite
from container_image.dockerfile import parse, secret_mounts
from tests.engine.conftest import declare

SUM = "md5sum < /run/secrets/TOKEN > /sum"
# One stage each, so that none depends on another; the base is a stage whose ONBUILD one of them runs.
STAGES = [
    f"FROM base\nRUN --mount=type=secret,id=TOKEN {SUM}",
    f"FROM base\nRUN --mount=id=TOKEN,type=secret,required {SUM}",
    "FROM base\nRUN --mount=type=secret,target=/x/TOKEN md5sum < /x/TOKEN > /sum",
    'FROM base\nRUN --mount=type=secret,id=TOKEN,env=T printf %s "$T" | md5sum > /sum',
    'FROM base\nRUN --mount=type=secret,id=TOKEN,env=T,target=/x printf %s "$T" | cmp - /x && md5sum < /x > /sum',
    f"FROM base\nRUN --mount=type=secret,source=TOKEN {SUM}",
    f'FROM base\nRUN --mount="type=secret,id=TOKEN" {SUM}',
    f"FROM base\nRUN --mount=type=secret,id='TOKEN' {SUM}",
    f"FROM base\nRUN --mount='type=secret,\"id=TOKEN\"' {SUM}",
    f"FROM base\nRUN --mount=type=secret,id=TOKEN <<EOF\n{SUM}\nEOF",
    f"FROM base\nRUN --mount=type=secret,\\\n# a comment\nid=TOK\\\nEN {SUM}",
    f"FROM base\nARG N=TOKEN\nRUN --mount=type=secret,id=${{N}} {SUM}",
    "FROM base\nARG N=TOKEN\nRUN --mount=type=secret,target=/x/$N md5sum < /x/TOKEN > /sum",
    f"FROM base\nARG GLOBAL\nENV N=${{GLOBAL}}\nRUN --mount=type=secret,id=$N {SUM}",
    f"FROM base\nARG TARGETOS\nRUN --mount=type=secret,id=${{TARGETOS:+TOKEN}} {SUM}",
    f"FROM base\nARG N=gloTOKEN\nRUN --mount=type=secret,id=${{N#glo}} {SUM}",
    f"FROM base\nARG N=TOKEN.x\nRUN --mount=type=secret,id=${{N%.*}} {SUM}",
    f"FROM base\nARG N=tikEN\nRUN --mount=type=secret,id=${{N/t?k/TOK}} {SUM}",
    "FROM base\nARG N\nRUN --mount=type=secret,id=$N,target=/x/TOKEN md5sum < /x/TOKEN > /sum",
    "FROM base\nARG P=/x/TOKEN\nRUN --mount=type=secret,target=$P md5sum < /x/TOKEN > /sum",
    "FROM base\nRUN --mount=type=secret,id=GIT_AUTH_TOKEN md5sum < /run/secrets/GIT_AUTH_TOKEN > /sum",
    "FROM onbuild",
]


@pytest.mark.parametrize("escape", ["\\", "`"])
def test_each_way_to_mount_a_secret_follows_its_value(busybox_image: str, tag: str, token: str, escape: str) -> None:
    head = f"# escape={escape}\nARG BASE_IMAGE\nARG GLOBAL=TOKEN\nFROM $BASE_IMAGE AS base\nRUN echo {secrets.token_hex(8)}\n"
    head += f"FROM base AS onbuild\nONBUILD RUN --mount=type=secret,id=TOKEN {SUM}\n"
    copies = [f"COPY --from={number} /sum /sums/{number}" for number in range(2, len(STAGES) + 2)]
    # BuildKit takes steps that mean the same for one; a variable makes each its own.
    stages = [stage.replace("FROM base\n", f"FROM base\nENV STAGE={number}\n") for number, stage in enumerate(STAGES)]
    text = head + "\n".join([*stages, "FROM base", *copies]).replace("\\\n", f"{escape}\n")

    def build(value: str) -> tuple[set[str], list[str]]:
        """The sums, and how each step that mounts the secret ended."""
        ended: list[str] = []

        def note(event: object) -> None:
            if isinstance(event, BuildEvent) and event.kind in ("cached", "done") and "type=secret" in event.step:
                ended.append(event.kind)

        given = {name: Secret.from_value(value) for name in ("TOKEN", "GIT_AUTH_TOKEN")}
        declare(text, busybox_image, "", secrets=given).build(tags=[tag], on_event=note)
        done = subprocess.run(
            ["docker", "run", "--rm", tag, "sh", "-c", "cat /sums/*"], capture_output=True, check=True
        )
        return set(done.stdout.decode().replace(" -", "").split()), ended

    def digest(value: str) -> str:
        return hashlib.md5(value.encode(), usedforsecurity=False).hexdigest()

    assert build(token) == ({digest(token)}, ["done"] * len(STAGES))
    assert build(token[::-1]) == ({digest(token[::-1])}, ["done"] * len(STAGES))
    assert build(token) == ({digest(token)}, ["cached"] * len(STAGES))


@pytest.fixture(scope="module")
def bases(busybox_image: str) -> Iterator[dict[str, str]]:
    """Base images: one whose ONBUILD mounts the secret TOKEN, one that sets NAME to that, and one that does neither."""
    trigger = f"ONBUILD RUN --mount=type=secret,id=TOKEN [ ! -e /run/secrets/TOKEN ] || {SUM}; sleep 2 # $SALT"
    texts = {"onbuild": f"ONBUILD ARG SALT\n{trigger}\n", "named": "ENV NAME=TOKEN\n"}
    names = {key: f"container-image-test:{secrets.token_hex(8)}" for key in texts}
    for key, name in names.items():
        command = ["docker", "buildx", "build", "--quiet", "--tag", name, "-"]
        text = f"FROM {busybox_image}\n{texts[key]}"
        subprocess.run(command, input=text.encode(), capture_output=True, check=True)
    yield {**names, "plain": busybox_image}
    subprocess.run(["docker", "image", "rm", "--force", *names.values()], capture_output=True, check=False)


FROM = "ARG BASE_IMAGE\nFROM $BASE_IMAGE\n"
ONBUILD = ("onbuild", FROM)
OF_THE_BASE = ("named", f"{FROM}ARG SALT\nRUN --mount=type=secret,id=$NAME {SUM}; sleep 2 # $SALT\n")
NOT_EMPTY = ("named", f"{FROM}RUN --mount=type=secret,id=$NAME,target=/x/OTHER true\n")
ANOTHER_TARGET = ("named", f"{FROM}RUN --mount=type=secret,target=/x/${{NAME:-OTHER}} true\n")
WRONG_GUESS = ("named", f"{FROM}RUN --mount=type=secret,id=${{NAME:-OTHER}} true\n")


@pytest.mark.parametrize(("base", "text"), [ONBUILD, OF_THE_BASE, WRONG_GUESS, NOT_EMPTY, ANOTHER_TARGET])
def test_a_mount_that_cannot_be_tagged_is_refused(bases: dict[str, str], token: str, base: str, text: str) -> None:
    given = {"TOKEN": token, "OTHER": token[::-1]}
    with pytest.raises(PreflightError, match="secret 'TOKEN' can't be told apart by its value") as caught:
        declare(text, bases[base], "", secrets=given).build(allow_unused=True)
    assert "under a plain id, or build with --no-cache" in str(caught.value)


@pytest.mark.parametrize(("base", "text"), [ONBUILD, OF_THE_BASE])
def test_without_the_cache_builds_at_once_wait_for_each_other(bases: dict[str, str], base: str, text: str) -> None:
    # With one host name for all, only the lock is between the builds.
    arguments = {"SALT": secrets.token_hex(8), "BUILDKIT_SANDBOX_HOSTNAME": "one"}
    messages: list[str] = []

    def one(value: str) -> str:
        name = f"container-image-test:{secrets.token_hex(8)}"
        image = declare(text, bases[base], value, build_args=arguments)
        image.build(tags=[name], no_cache=True, on_event=lambda event: messages.append(getattr(event, "text", "")))
        try:
            return read(name, "/sum").split()[0]
        finally:
            subprocess.run(["docker", "image", "rm", "--force", name], capture_output=True, check=False)

    values = [secrets.token_hex(20) for _ in range(2)]
    with ThreadPoolExecutor(len(values)) as pool:
        sums = list(pool.map(one, values))
    assert sums == [hashlib.md5(value.encode(), usedforsecurity=False).hexdigest() for value in values]
    assert any("waiting for another build" in text for text in messages)


def test_what_was_built_without_the_cache_is_in_no_later_build(bases: dict[str, str], tag: str, token: str) -> None:
    arguments = {"SALT": secrets.token_hex(8)}
    text = FROM + "RUN touch /sum\n"
    declare(text, bases["onbuild"], token, build_args=arguments).build(tags=[tag], no_cache=True)
    assert read(tag, "/sum")
    declare(text, bases["onbuild"], "", secrets={}, build_args=arguments).build(tags=[tag])
    assert not read(tag, "/sum")


def test_a_step_finds_what_a_secrets_step_left_in_a_cache(busybox_image: str, tag: str, token: str) -> None:
    cache = "--mount=type=cache,target=/c"
    text = (
        f"ARG BASE_IMAGE\nFROM $BASE_IMAGE AS one\nARG SALT\nRUN {cache},id=$SALT echo plain > /c/plain\n"
        f"RUN --mount=type=secret,id=TOKEN {cache},id=$SALT ! [ -e /c/plain ] && md5sum /run/secrets/TOKEN > /c/sum\n"
        f"RUN {cache},id=$SALT cp /c/sum /sum\n"
        f"FROM one\nRUN {cache},id=$SALT cmp /c/sum /sum\n"
    )
    arguments = {"SALT": secrets.token_hex(8)}
    for value in (token, token[::-1]):
        declare(text, busybox_image, value, build_args=arguments).build(tags=[tag])
        assert read(tag, "/sum").split()[0] == hashlib.md5(value.encode(), usedforsecurity=False).hexdigest()


@pytest.mark.parametrize("line", ["# syntax=container-image.invalid/frontend:1\n", ""])
@pytest.mark.parametrize("given", [{}, {"TOKEN": "some value of a secret"}])
def test_a_frontend_that_cannot_be_fetched_is_named(busybox_image: str, line: str, given: dict[str, str]) -> None:
    text = f"{line}{FROM}RUN --mount=type=secret,id=TOKEN true\n"
    arguments = {} if line else {"BUILDKIT_SYNTAX": "container-image.invalid/frontend:1"}
    with pytest.raises(
        BuildError, match=r"the frontend container-image.invalid/frontend:1 could not be fetched: .*drop"
    ):
        declare(text, busybox_image, "", secrets=given, build_args=arguments).build()


def test_a_frontend_without_an_outline_is_asked_without_the_cache_only(busybox_image: str, token: str) -> None:
    text = f"# syntax={busybox_image}\n{FROM}RUN --mount=type=secret,id=TOKEN true\n"
    with pytest.raises(PreflightError, match=f"the frontend {busybox_image} can't say what the build mounts"):
        declare(text, busybox_image, token).build()
    # It is no frontend at all, and ends at once.
    with pytest.raises(BuildError, match="exit code"):
        declare(text, busybox_image, token).build(no_cache=True)


def test_every_platform_is_asked_for_its_mounts(busybox_image: str, token: str) -> None:
    text = (
        "ARG BASE_IMAGE\nFROM $BASE_IMAGE AS amd64\nFROM $BASE_IMAGE AS arm64\n"
        "RUN --mount=type=secret,id=${PATH:+TOKEN} true\nFROM $TARGETARCH\n"
    )
    image = declare(text, busybox_image, token, platforms=["linux/amd64", "linux/arm64"])
    with pytest.raises(PreflightError, match="secret 'TOKEN' can't be told apart"):
        image.check()


def test_an_id_that_buildkit_looks_up_itself_stays_plain(busybox_image: str, tag: str, token: str) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            authorized = self.headers["Authorization"] == f"Bearer {token}"
            self.send_response(200 if authorized else 401)
            self.send_header("Content-Length", "8" if authorized else "0")
            self.end_headers()
            self.wfile.write(b"welcome\n" if authorized and self.command == "GET" else b"")

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        text = f"{FROM}ADD http://127.0.0.1:{server.server_port}/file /file\n"
        declare(text, busybox_image, "", secrets={"HTTP_AUTH_TOKEN_127.0.0.1": token}).build(tags=[tag])
        server.shutdown()
    assert read(tag, "/file") == "welcome\n"


def test_a_quote_that_is_never_closed_is_reported_with_its_line() -> None:
    image = ContainerImage.from_dockerfile_str(
        'FROM scratch\nRUN --mount=type=secret,"id=T x\n', secrets={"T": "x" * 20}
    )
    with pytest.raises(DockerfileError, match=r"Dockerfile:2: a quote in a --mount is open"):
        image.build()


NAMES = ["*", "api key", "a,b", 'q"uo', "it's", "$x", "${y}", "ü", "back\\s", "a=b", "#x", "`t", "tab\tx", "a b/c d"]


@pytest.mark.parametrize("escape", ["\\", "`"])
def test_every_id_that_docker_takes_is_mounted_where_docker_mounts_it(
    busybox_image: str, tag: str, escape: str
) -> None:
    values = {name: secrets.token_hex(20) for name in NAMES}
    text = f"# escape={escape}\n{FROM}"
    for number in range(len(NAMES)):
        text += f'ARG N{number}\nARG P{number}\nRUN --mount=type=secret,id=$N{number} md5sum < "$P{number}" >> /sums\n'
    arguments = {f"N{number}": name for number, name in enumerate(NAMES)}
    arguments |= {f"P{number}": f"/run/secrets/{name.rpartition('/')[2]}" for number, name in enumerate(NAMES)}
    steps: list[str] = []

    def note(event: object) -> None:
        if isinstance(event, BuildEvent) and event.kind == "done" and "type=secret" in event.step:
            steps.append(event.step.partition("id=")[2].partition(" md5sum")[0])

    declare(text, busybox_image, "", secrets=values, build_args=arguments).build(tags=[tag], on_event=note)
    sums = [hashlib.md5(value.encode(), usedforsecurity=False).hexdigest() for value in values.values()]
    assert read(tag, "/sums").replace(" -", "").split() == sums
    assert steps == NAMES


def written(choose: random.Random, number: int) -> str:
    """A RUN with one secret mount, whose id is `s<number>`, in one of the many ways that there are to write it."""
    name = f"s{number}"
    key = choose.choice(["id", "ID", "source", "src", "target"])
    fields = [f"{key}={name}" if key != "target" else f"{choose.choice(['target', 'dst', 'Destination'])}=/x/{name}"]
    fields += choose.sample(
        ["mode=0400", "uid=1", "required=true", "required=0", "required", "env=E"], choose.randrange(2)
    )
    choose.shuffle(fields)
    fields.insert(0, "type=secret")
    if choose.random() < 0.2:
        fields = [f'"{field}"' for field in fields]
        value = "'" + ",".join(fields) + "'"
    else:
        value = ",".join(fields)
        value = choose.choice(
            [
                value,
                f'"{value}"',
                f"'{value}'",
                value.replace(name, f"'{name}'"),
                value.replace(name, f"\\{name}"),
                value,
            ]
        )
    others = ["--network=none", "--mount=type=tmpfs,target=/t", "--mount=type=ssh"]
    flags = [f"--mount={value}", *choose.sample(others, choose.randrange(2))]
    choose.shuffle(flags)
    gap = choose.choice([" ", "  ", "\t", " \\\n  ", " \\\n# RUN --mount=type=secret,id=no x\n", " \\ \n\n", "\\\r\n "])
    line = choose.choice(["RUN", "run", "  Run"]) + gap + gap.join(flags) + gap
    if choose.random() < 0.2 and "\\" not in value:
        middle = line.index(name) + 1
        line = line[:middle] + "\\\n" + line[middle:]
    rest = choose.choice(
        [
            "true",
            "echo --mount=type=secret,id=no",
            "cat <<EOF\nRUN --mount=type=secret,id=no x\nEOF",
            "<<-'EOF' cat\n\tRUN --mount=type=secret,id=no x\n\tEOF",
            'echo "<<EOF"',
            "echo 'a' \\\n  b # c",
            '["echo", "<<EOF"]',
            "cat <<A 3<<B\nB\nA\nRUN --mount=type=secret,id=no x\nB",
        ]
    )
    return line + rest + choose.choice(["\n", "\n\n", "\r\n", "\n# comment \\\n"])


def outline(text: str) -> set[tuple[str, int, bool]]:
    """What the engine says that a Dockerfile mounts: ids, with their lines, and whether they are required."""
    command = ["docker", "buildx", "build", "--call=outline,format=json", "--file=-", "."]
    done = subprocess.run(command, input=text.encode(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    found: list[dict[str, Any]] = json.loads(done.stdout)["secrets"]
    return {
        (item["name"], item["location"]["ranges"][0]["start"]["line"], item.get("required", False)) for item in found
    }


@pytest.mark.parametrize("escape", ["\\", "`"])
def test_the_engine_and_the_scanner_agree_on_hundreds_of_mounts(busybox_image: str, escape: str) -> None:
    seed = secrets.randbits(32)
    choose = random.Random(seed)
    steps = "".join(written(choose, number) for number in range(300)).replace("\\", escape)
    text = f"# escape={escape}\nFROM {busybox_image}\n{steps}"
    mounts = {(mount.effective_id, mount.line, mount.required) for mount in secret_mounts(parse(text))}
    assert len(mounts) == 300
    assert outline(text) == mounts, f"seed {seed}"
    ids = {name: f"{name}-{secrets.token_hex(16)}" for name, _, _ in mounts}
    assert outline(rewrite(text, ids)) == {(ids[name], *rest) for name, *rest in mounts}, f"seed {seed}"


def read(tag: str, path: str) -> str:
    done = subprocess.run(["docker", "run", "--rm", tag, "cat", path], capture_output=True, check=True, text=True)
    return done.stdout
