"""The context that is really sent: the files, modes and links that plain `docker buildx build` sends, and no other."""

from __future__ import annotations

import base64
import io
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from container_image import DEFAULT_DOCKERIGNORE_PATTERNS, ContainerImage
from container_image.dockerignore import gitignore
from container_image.excludes import docker_excludes
from tests.trees import FILES, docker_patterns, files, gitignore_patterns, lay_out

PROGRAM = Path(sys.executable).with_name("container-image")
ALL = "FROM scratch\nCOPY . /\n"
SECRET = "RUN --mount=type=secret,id=TOKEN sha256sum /run/secrets/TOKEN > /sum\n"
Tree = dict[str, tuple[bytes, int, str, bytes]]

# Each example is two builds, so none is spent on making a failing one smaller.
few = settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])


def tool(*arguments: str | Path, stdin: bytes = b"", cwd: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([PROGRAM, *arguments], input=stdin, capture_output=True, check=False, cwd=cwd)


def tree(data: bytes) -> Tree:
    """What a tar archive holds: the type, mode, link and content of each entry."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        found = {}
        for member in archive:
            file = archive.extractfile(member) if member.isreg() else None
            content = file.read() if file else b""
            found[member.name.strip("/")] = (member.type, member.mode, member.linkname, content)
        return found


def ours(*arguments: str | Path, stdin: bytes = b"", cwd: Path | None = None) -> Tree:
    done = tool("build", "-o", "type=tar,dest=-", *arguments, stdin=stdin, cwd=cwd)
    assert done.returncode == 0, done.stderr.decode()
    return tree(done.stdout)


def plain(*arguments: str | Path, stdin: bytes = b"", cwd: Path | None = None) -> Tree:
    done = subprocess.run(
        ["docker", "buildx", "build", "--progress=quiet", "-o", "type=tar,dest=-", *arguments],
        input=stdin, capture_output=True, check=False, cwd=cwd,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    return tree(done.stdout)


def same(*arguments: str | Path, stdin: bytes = b"", cwd: Path | None = None) -> set[str]:
    """The paths of what both send, made sure to be the same."""
    found = ours(*arguments, stdin=stdin, cwd=cwd)
    assert found == plain(*arguments, stdin=stdin, cwd=cwd)
    return set(found)


def listing(root: Path) -> dict[str, tuple[int, int, int]]:
    """The mode, size and time of change of everything in a directory, and of itself."""
    return {
        str(path): (state.st_mode, state.st_size, state.st_ctime_ns)
        for path in [root, *root.rglob("*")]
        for state in [path.lstat()]
    }


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A context that leaves out `.env` and, with the ignore file of its second Dockerfile, everything but `a`."""
    root = tmp_path / "context"
    lay_out(root, [".env", "a", "b", "sub/.env", "sub/c"])
    (root / ".dockerignore").write_text(".env\n")
    (root / "Dockerfile").write_text(ALL)
    (root / "app.Dockerfile").write_text(ALL)
    (root / "app.Dockerfile.dockerignore").write_text("*\n!a\n")
    return root


@given(
    trees=st.lists(
        st.tuples(st.lists(files, max_size=12), st.lists(docker_patterns, max_size=7)), min_size=12, max_size=12
    ),
    modes=st.lists(st.sampled_from([0o644, 0o755, 0o600, 0o4755, 0o444]), min_size=1, max_size=5),
)
@few
def test_what_is_sent_is_what_docker_sends_and_what_the_preflight_expects(
    trees: list[tuple[list[str], list[str]]], modes: list[int]
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        roots = [Path(directory, str(number)) for number in range(len(trees))]
        ignores = []
        for root, (paths, patterns) in zip(roots, trees, strict=True):
            lay_out(root, [*FILES, *paths])
            for number, path in enumerate(sorted(path for path in root.rglob("*") if path.is_file())):
                path.chmod(modes[number % len(modes)])
            (root / "empty").mkdir()
            (root / "link").symlink_to("b/ab")
            ignore = "".join(f"{pattern}\n" for pattern in patterns)
            (root / ".dockerignore").write_text(ignore, newline="")
            ignores.append(ignore)
        file = Path(directory, "Dockerfile")
        copies = [f"COPY --from=c{number} . /{number}\n" for number in range(1, len(roots))]
        file.write_text("FROM scratch\nCOPY . /0\n" + "".join(copies))
        named = [f"--build-context=c{number}={root}" for number, root in enumerate(roots) if number]
        before = listing(Path(directory))
        sent = ours(roots[0], "-f", file, *named)
        assert listing(Path(directory)) == before
        assert sent == plain(roots[0], "-f", file, *named)
        for root, ignore in zip(roots, ignores, strict=True):
            present = [path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir()]
            assert {path: docker_excludes(ignore, path) for path in present} == {
                path: f"{root.name}/{path}" not in sent for path in present
            }, ignore


@given(paths=st.lists(files, max_size=12), patterns=st.lists(gitignore_patterns, max_size=7))
@few
def test_what_a_declaration_sends_is_what_its_gitignore_patterns_keep(paths: list[str], patterns: list[str]) -> None:
    kept = declared(paths, patterns)
    spec = gitignore(patterns)
    assert kept == {path: not spec.match_file(path) for path in kept}


def test_the_default_patterns_leave_out_what_fals_do() -> None:
    paths = [
        ".env",
        "app/.env",
        "app/main.py",
        "README.md",
        "docs/x.md",
        ".git/config",
        "sub/node_modules/x/y",
        "a.pyc",
    ]
    kept = declared(paths, None)
    image = ContainerImage.from_dockerfile_str(ALL, dockerignore=DEFAULT_DOCKERIGNORE_PATTERNS)
    spec = gitignore(image.dockerignore or [])
    assert kept == {path: not spec.match_file(path) for path in kept}
    assert not kept["app/.env"]
    assert kept["app/main.py"]


def declared(paths: list[str], patterns: list[str] | None) -> dict[str, bool]:
    """Whether each file of a context was sent for a declaration with these patterns."""
    with tempfile.TemporaryDirectory() as directory:
        root, out = Path(directory, "context"), Path(directory, "out.tar")
        present = lay_out(root, [*FILES, *paths])
        image = ContainerImage.from_dockerfile_str(ALL, context_dir=root, dockerignore=patterns)
        before = listing(root)
        image.build(outputs=[f"type=tar,dest={out}"])
        assert listing(root) == before
        sent = tree(out.read_bytes())
        return {path: path in sent for path in present}


def test_the_ignore_file_of_the_dockerfile_wins(context: Path) -> None:
    assert "sub/.env" in same(context)
    assert same(context, "-f", context / "app.Dockerfile") == {"a"}
    # Relative to the working directory, and outside of the context.
    assert same("sub", "-f", "app.Dockerfile", cwd=context) == set()
    assert same(".", "-f", "../app.Dockerfile", cwd=context / "sub") == set()
    (context / "app.Dockerfile.dockerignore").write_text("")
    assert ".env" in same(context, "-f", context / "app.Dockerfile")


def test_a_dockerfile_in_lower_case_will_do(context: Path) -> None:
    (context / "Dockerfile").rename(context / "dockerfile")
    (context / "dockerfile.dockerignore").write_text("*\n!b\n")
    assert same(context) == {"b"}


def test_line_ends_are_kept(context: Path) -> None:
    (context / "Dockerfile").write_bytes(b"\xef\xbb\xbfFROM scratch\r\nCOPY <<EOF /text\r\none\r\ntwo\r\nEOF\r\n")
    assert same(context) == {"text"}


def test_a_dockerfile_on_stdin_has_the_contexts_ignore_file(context: Path) -> None:
    (context / "Dockerfile.dockerignore").write_text("*\n")
    sent = same("-f", "-", context, stdin=ALL.encode())
    assert "sub/.env" in sent
    assert ".env" not in sent


def test_stdin_is_a_dockerfile_without_a_context(busybox_image: str) -> None:
    text = f"FROM {busybox_image} AS made\nRUN echo made > /made\nFROM scratch\nCOPY --from=made /made /\nCOPY . /\n"
    assert same("-", stdin=text.encode()) == {"made"}


@pytest.mark.parametrize("compression", ["", "gz", "bz2", "xz"])
def test_stdin_is_an_archive(context: Path, compression: str) -> None:
    (context / "b").chmod(0o750)
    (context / "link").symlink_to("/etc/hostname")
    data = io.BytesIO()
    # buildx takes no other of Python's formats for an archive.
    with tarfile.open(fileobj=data, mode=f"w:{compression}", format=tarfile.GNU_FORMAT) as archive:
        archive.add(context, ".")
    sent = same("-", stdin=data.getvalue())
    assert {".env", ".dockerignore", "link"} <= sent
    assert not list(Path(tempfile.gettempdir()).glob("container-image-*/app.Dockerfile"))
    if not compression:
        assert same("-", "-f", "app.Dockerfile", stdin=data.getvalue()) == sent


def test_an_archive_writes_nothing_outside(tmp_path: Path) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("../../escaped"))
    done = tool("build", "-", stdin=data.getvalue())
    assert done.returncode == 2
    assert b"the archive on stdin can't be unpacked" in done.stderr


@pytest.fixture
def served(context: Path, tmp_path: Path) -> Iterator[str]:
    """A URL with the context in `app.git`, on the branch `dev`, and in `app.tar`, and its Dockerfile. Git asks for a login."""
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@localhost"]
    (context / "sub" / "Dockerfile").write_text("FROM scratch\nCOPY c /\n")
    (context / "sub" / "Rooted").write_text("FROM scratch\nCOPY b /\n")
    for command in (["init", "--quiet", "-b", "dev"], ["add", "."], ["commit", "--quiet", "-m", "all"]):
        subprocess.run([*git, *command], cwd=context, check=True)
    www = tmp_path / "www"
    subprocess.run(["git", "clone", "--quiet", "--bare", context, www / "app.git"], check=True)
    subprocess.run(["git", "update-server-info"], cwd=www / "app.git", check=True)
    with tarfile.open(www / "app.tar", "w", format=tarfile.GNU_FORMAT) as archive:
        for name in ("Dockerfile", "a", "sub", ".dockerignore", ".env"):
            archive.add(context / name, name)
    (www / "Plain").write_text(ALL)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Guarded, directory=str(www)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()


class Guarded(SimpleHTTPRequestHandler):
    """Files; those of `private/` are those beside it, behind the password `tok9aZ8bY7cX6dW5eV4f`."""

    def do_GET(self) -> None:
        given = base64.b64decode(self.headers.get("Authorization", "").partition(" ")[2])
        if self.path.startswith("/private/") and not given.endswith(b":tok9aZ8bY7cX6dW5eV4f"):
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.path = self.path.removeprefix("/private")
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


def test_a_git_repository_is_a_context(served: str, context: Path) -> None:
    url = f"http://{served}/app.git"
    # No ignore file holds for what BuildKit fetches.
    assert {".env", "sub/.env", "app.Dockerfile"} <= same(url)
    assert same(f"{url}#dev:sub") == {"c"}
    assert same(f"{url}#dev", "-f", "sub/Rooted") == {"b"}
    assert "a" in same(url, "-f", context / "app.Dockerfile")
    assert "a" in same(url, "-f", "-", stdin=ALL.encode())


def test_an_archive_at_a_url_is_a_context(served: str) -> None:
    url = f"http://{served}/app.tar"
    assert {".env", "a", "sub/c"} <= same(url)


def test_a_dockerfile_at_a_url_is_read(served: str, context: Path) -> None:
    url = f"http://{served}/Plain"
    assert ".env" not in same(context, "-f", url)
    done = tool("build", url)
    assert done.returncode == 2
    assert f"{url}: it is a Dockerfile, not an archive or a Git repository; name it with -f".encode() in done.stderr


def test_a_secret_is_mounted_in_a_build_of_a_repository(
    served: str, context: Path, busybox_image: str, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    (context / "Secret").write_text(f"FROM {busybox_image}\n{SECRET}")
    subprocess.run(["git", "add", "."], cwd=context, check=True)
    subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "more"], cwd=context, check=True
    )
    bare = context.parent / "www" / "app.git"
    subprocess.run(["git", "push", "--quiet", bare, "dev"], cwd=context, check=True)
    subprocess.run(["git", "update-server-info"], cwd=bare, check=True)
    monkeypatch.setenv("TOKEN", token)
    monkeypatch.setenv("GIT_TOKEN", "tok9aZ8bY7cX6dW5eV4f")
    given = ["--secret", "id=TOKEN", "-f", "Secret", "--no-cache"]
    sums = ours(f"http://{served}/private/app.git", *given, "--secret", "id=GIT_AUTH_TOKEN,env=GIT_TOKEN")["sum"]
    assert sums == ours(f"http://me:tok9aZ8bY7cX6dW5eV4f@{served}/private/app.git", *given)["sum"]


def test_a_url_is_shown_without_its_credential(served: str) -> None:
    for target in ("wrong-wrong-wrong@{}/private/app.git", "me:tok9aZ8bY7cX6dW5eV4f@{}/private/app.git#no-such-branch"):
        done = tool("build", "http://" + target.format(served), "-t", "app:x")
        assert done.returncode == 2
        assert f"the Dockerfile can't be read from http://{served}/private/app.git".encode() in done.stderr
        assert b"wrong-wrong" not in done.stdout + done.stderr
        assert b"tok9aZ8bY7cX6dW5eV4f" not in done.stdout + done.stderr


def test_contexts_have_names(served: str, context: Path, busybox_image: str) -> None:
    lay_out(context.parent, ["other/kept", "other/left"])
    (context.parent / "other" / ".dockerignore").write_text("left\n")
    (context / "Dockerfile").write_text(
        "FROM base AS last\nFROM scratch\nCOPY --from=here . /here/\nCOPY --from=there /a /there/\nCOPY --from=last /bin/busybox /\n"
    )
    named = ["here=../other", f"there=http://{served}/app.git", f"base=docker-image://{busybox_image}"]
    sent = same(".", *(f"--build-context={item}" for item in named), cwd=context)
    assert sent == {"here", "here/kept", "here/.dockerignore", "there", "there/a", "busybox"}


def test_a_context_may_be_read_only(context: Path) -> None:
    subprocess.run(["chmod", "-R", "a-w", context], check=True)
    before = listing(context)
    try:
        assert "a" in ours(context)
        assert listing(context) == before
    finally:
        subprocess.run(["chmod", "-R", "u+w", context], check=True)


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        (["-", "-f", "-"], ALL, "-f -: stdin can't be the context and the Dockerfile; name one of them"),
        (["-", "-f", "x"], ALL, "-f x: what is on stdin is no archive, so a Dockerfile; give one of the two"),
        (["-"], "", "stdin is empty; pipe in a Dockerfile, or a context as a tar archive"),
        ([".", "-f", "-"], " \n", "stdin is empty; pipe in a Dockerfile"),
        ([".", "-f", "-", "--build-context", "x=no/such"], ALL, "build context 'x': no/such: no such directory"),
        (["ftp://me:sUp3rs3cr3t@localhost/x"], "", "ftp://localhost/x: not a directory"),
    ],
)
def test_a_mistake_is_one_message(arguments: list[str], stdin: str, message: str, tmp_path: Path) -> None:
    done = tool("build", *arguments, stdin=stdin.encode(), cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.decode().startswith(f"container-image: {message}")
    assert done.stderr.count(b"\n") == 1
    assert b"sUp3rs3cr3t" not in done.stderr


def test_a_secret_file_is_sent_with_no_context(
    context: Path, busybox_image: str, token: str, tag: str, served: str
) -> None:
    (context / "Dockerfile").write_text(f"FROM {busybox_image}\n{SECRET}")
    (context.parent / "token").write_text(token)
    (context / "sub" / "token").write_text(token)
    outside = ["--secret", f"id=TOKEN,src={context.parent}/token", "-t", tag]
    inside = ["--secret", f"id=TOKEN,src={context}/sub/token", "-t", tag]
    refused = tool("build", context, *inside)
    assert refused.returncode == 2
    assert (
        b"is the file sub/token in the build context, and no ignore rule excludes it; add /sub/token to"
        in refused.stderr
    )
    named = tool("build", context, "-f", context / "Dockerfile", *outside, "--build-context", f"up={context.parent}")
    assert named.returncode == 2
    assert (
        f"the file token in the build context 'up', and no ignore rule excludes it; add /token to {context.parent}/.dockerignore".encode()
        in named.stderr
    )
    # A link is sent as a link.
    (context / "token").symlink_to("../token")
    linked = ["--secret", f"id=TOKEN,src={context}/token", "-t", tag]
    (context.parent / ".dockerignore").write_text("/token\n**/sub\n")
    for arguments in (outside, linked):
        done = tool("build", context, *arguments, "--build-context", f"up={context.parent}")
        assert done.returncode == 0, done.stderr.decode()
    (context / ".dockerignore").write_text("sub/*\n!sub/c\n")
    done = tool("build", context, *inside)
    assert done.returncode == 0, done.stderr.decode()
