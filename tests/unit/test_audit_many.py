"""`audit` with several images, with `--quiet`, and with an image's archive on stdin."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
import zstandard
from click.testing import CliRunner, Result
from hypothesis import given
from pydantic_sarif.model import StaticAnalysisResultsFormatSarifVersion210JsonSchema as SarifLog

from container_image import AuditReport, OutputError
from container_image.cli import commands
from container_image.formats import FORMATS, JOINED
from container_image.formats.words import Failure
from tests.images import Builder, header, layer_tar, legacy_archive, locked_zip
from tests.unit.test_formats import ELEMENTS, EMPTY, Page, names

TOKEN = "tok9aZ8bY7cX6dW5eV4fU3gT2hS1iR0"
FILES = {"clean": b"nothing", "leaking": TOKEN.encode(), "locked": locked_zip()}
PROGRAM = [sys.executable, "-c", "from container_image.cli import main; main()"]


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with an archive for each of `FILES`; it is the working directory."""
    for name, content in FILES.items():
        builder = Builder()
        builder.archive(builder.manifest([{"file": content}]), tmp_path / f"{name}.tar")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOKEN", TOKEN)
    return tmp_path


def run(*arguments: str, stdin: bytes | None = None) -> Result:
    done = CliRunner().invoke(
        commands, ["audit", "--secret", "id=TOKEN", *arguments], input=stdin, standalone_mode=False
    )
    assert TOKEN not in done.output
    return done


def paths(*names: str) -> list[str]:
    return [f"./{name}.tar" for name in names]


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (["clean", "clean2"], 2),
        (["clean", "locked"], 3),
        (["locked", "missing"], 2),
        (["locked", "leaking", "clean"], 1),
        (["missing", "leaking", "locked"], 1),
        (["leaking", "missing"], 1),
    ],
)
def test_the_exit_code_is_the_worst_ones_and_a_leak_comes_first(images: Path, given: list[str], status: int) -> None:
    done = run(*paths(*given))
    assert done.return_value == status
    assert done.stdout.count("  image oci-archive:") == len([name for name in given if name in FILES])
    missing = [name for name in given if name not in FILES]
    assert done.stderr.count("\n") == len(missing)
    assert all(f"container-image: {name}.tar: there is no such file" in done.stderr for name in missing)


def test_all_clean_is_0_and_an_incomplete_one_may_be_let_pass(images: Path) -> None:
    (images / "also.tar").write_bytes((images / "clean.tar").read_bytes())
    done = run(*paths("clean", "also"))
    assert (done.return_value, done.stdout.splitlines()[-1]) == (0, "2 images: 2 clean")
    assert run(*paths("clean", "locked"), "--fail-on", "leaked").return_value == 0
    assert run(*paths("missing", "locked"), "--fail-on", "leaked").return_value == 2


def test_one_line_sums_up_and_names_what_is_not_clean(images: Path) -> None:
    lines = run(*paths("locked", "missing", "clean", "leaking")).stdout.splitlines()
    assert lines[-1] == (
        "4 images: 1 leaked (oci-archive:./leaking.tar), 1 not audited (./missing.tar), "
        "1 incomplete (oci-archive:./locked.tar), 1 clean"
    )


def test_an_image_that_is_named_twice_is_audited_once(images: Path) -> None:
    assert run(*paths("clean", "clean")).stdout == run("./clean.tar").stdout


def test_the_secrets_are_read_once(images: Path) -> None:
    # Whoever reads a pipe a second time waits for ever, or gets nothing.
    reading, writing = os.pipe()
    os.write(writing, TOKEN.encode())
    os.close(writing)
    given = ["audit", *paths("clean", "leaking"), "--secret", f"id=T,src=/dev/fd/{reading}"]
    done = CliRunner().invoke(commands, given, standalone_mode=False)
    os.close(reading)
    assert done.return_value == 1
    assert done.stdout.endswith("2 images: 1 leaked (oci-archive:./leaking.tar), 1 clean\n")


def test_json_is_one_object_for_one_image_and_lines_for_several(images: Path) -> None:
    one = run("./leaking.tar", "--format", "json")
    assert json.loads(one.stdout)["verdict"] == "leaked"
    assert one.stdout.startswith("{\n")
    several = run(*paths("clean", "missing", "leaking"), "--format", "json")
    reports = [AuditReport.model_validate_json(line) for line in several.stdout.splitlines()]
    assert [report.verdict.value for report in reports] == ["clean", "leaked"]


def test_every_format_has_all_images_in_one_document(images: Path) -> None:
    wanted = [f"--report={form}={form}" for form in FORMATS]
    done = run(*paths("clean", "missing", "leaking"), *wanted)
    assert (images / "text").read_text() == done.stdout
    log = json.loads((images / "sarif").read_text())
    SarifLog.model_validate(log)
    assert [entry["invocations"][0]["executionSuccessful"] for entry in log["runs"]] == [True, False, True]
    assert len({entry["automationDetails"]["id"] for entry in log["runs"]}) == 3
    assert "there is no such file" in json.dumps(log["runs"][1])
    suites = ElementTree.parse(images / "junit").getroot()
    assert [(suite.get("failures"), suite.get("errors")) for suite in suites] == [("0", "0"), ("0", "1"), ("1", "0")]
    assert (suites.get("tests"), suites.get("failures"), suites.get("errors")) == ("3", "1", "1")
    page = Page((images / "html").read_text())
    for text in ("clean: oci-archive:./clean.tar", "not audited: ./missing.tar", "LEAKED: oci-archive:./leaking.tar"):
        assert text in page.text
    assert all(TOKEN not in (images / form).read_text() for form in FORMATS)


@given(names, names, names)
def test_any_name_of_an_image_that_failed_is_shown_and_not_obeyed(reference: str, message: str, image: str) -> None:
    report = EMPTY.model_copy(update={"image": EMPTY.image.model_copy(update={"reference": image})})
    outcomes = [Failure(reference, message), report]
    SarifLog.model_validate(json.loads(JOINED["sarif"](outcomes)))
    assert len(ElementTree.fromstring(JOINED["junit"](outcomes))) == 2
    assert Page(JOINED["html"](outcomes)).tags <= ELEMENTS
    for form, join in JOINED.items():
        text = join(outcomes)
        assert "\x1b" not in text
        assert form in ("text", "json") or text.isascii()


def test_an_error_of_the_command_is_told_once_before_anything_is_read(images: Path) -> None:
    with pytest.raises(Exception, match="the variable UNSET is not set"):
        raise run(*paths("clean", "leaking"), "--secret", "id=UNSET").exception or AssertionError
    with pytest.raises(Exception, match="--self-test takes one image"):
        CliRunner().invoke(
            commands,
            ["audit", "--self-test", *paths("clean", "leaking")],
            standalone_mode=False,
            catch_exceptions=False,
        )


# --quiet


@pytest.mark.parametrize(
    ("given", "status", "lines"),
    [
        (["clean"], 0, []),
        (["leaking"], 1, ["leaked ./leaking.tar"]),
        (["locked"], 3, ["incomplete ./locked.tar"]),
        (["clean", "locked", "missing", "leaking"], 1, ["incomplete ./locked.tar", "leaked ./leaking.tar"]),
    ],
)
def test_quiet_says_what_is_not_clean_and_nothing_else(
    images: Path, given: list[str], status: int, lines: list[str]
) -> None:
    done = run(*paths(*given), "--quiet", "--report", "text=report")
    assert (done.return_value, done.stdout.splitlines()) == (status, lines)
    assert "searched for 1 secret" in (images / "report").read_text()
    assert ("missing.tar" in done.stderr) == ("missing" in given)


@pytest.mark.parametrize("given", [["leaking"], ["clean", "leaking"]])
def test_quiet_shows_a_leak_whose_report_cannot_be_written(images: Path, given: list[str]) -> None:
    done = run(*paths(*given), "--quiet", "--report", "json=/dev/full")
    assert isinstance(done.exception, OutputError)
    assert done.stdout == "leaked ./leaking.tar\n"


def test_quiet_leaves_no_place_for_a_report_on_stdout(images: Path) -> None:
    with pytest.raises(Exception, match="write a file with --report json=PATH"):
        raise run("./clean.tar", "-q", "--format", "json").exception or AssertionError


# An archive on stdin


def oci(tmp_path: Path, content: bytes) -> bytes:
    builder = Builder()
    builder.archive(builder.manifest([{"file": content}]), tmp_path / "in")
    return (tmp_path / "in").read_bytes()


def saved(tmp_path: Path, content: bytes) -> bytes:
    legacy_archive([{"file": content}], tmp_path / "in")
    return (tmp_path / "in").read_bytes()


PIPED: dict[str, Callable[[Path, bytes], bytes]] = {
    "an OCI archive": oci,
    "docker save of old": saved,
    "gzip": lambda tmp_path, content: gzip.compress(oci(tmp_path, content)),
    "zstd": lambda tmp_path, content: zstandard.compress(saved(tmp_path, content)),
    "docker export": lambda _, content: layer_tar({"file": content}),
    "docker export, compressed": lambda _, content: gzip.compress(layer_tar({"file": content})),
}


@pytest.mark.parametrize("kind", PIPED)
def test_an_archive_on_stdin_is_audited(images: Path, kind: str) -> None:
    for content, status in ((b"nothing", 0), (TOKEN.encode(), 1)):
        done = run("-", "--format", "json", stdin=PIPED[kind](images, content))
        report = json.loads(done.stdout)
        transport = "rootfs" if "export" in kind else "oci-archive"
        assert (done.return_value, report["image"]["reference"]) == (status, f"{transport}:-")
        assert [item["path"] for item in report["findings"]] == ["file"] * status


def test_stdin_is_one_of_several_images(images: Path) -> None:
    done = run("./clean.tar", "-", "-", "-q", stdin=layer_tar({"file": TOKEN.encode()}))
    assert (done.return_value, done.stdout) == (1, "leaked -\n")


def test_what_is_on_stdin_may_be_named(images: Path) -> None:
    manifest = [{"Config": "c.json", "RepoTags": [f"app:{tag}"], "Layers": [f"{tag}.tar"]} for tag in ("a", "b")]
    files = {f"{tag}.tar": layer_tar({"file": text}) for tag, text in (("a", b"nothing"), ("b", TOKEN.encode()))}
    piped = layer_tar({**files, "c.json": b"{}", "manifest.json": json.dumps(manifest).encode()})
    # Each of two images in one archive; everything in the archive is searched, for either.
    done = run("docker-archive:-:app:a", "docker-archive:-:app:b", "rootfs:-", "--format", "json", stdin=piped)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [report["image"]["reference"] for report in found] == [
        "docker-archive:-:app:a", "docker-archive:-:app:b", "rootfs:-",
    ]  # fmt: skip
    assert [report["findings"][0]["surface"] for report in found] == ["metadata", "layer", "layer"]
    with pytest.raises(Exception, match=r"stdin: 2 images in manifest\.json .*; name one of them, as in"):
        raise run("-", stdin=piped).exception or AssertionError


def test_the_copy_that_a_self_test_plants_in_may_be_on_stdin(images: Path) -> None:
    piped = layer_tar({"file": b"nothing"})
    done = CliRunner().invoke(commands, ["audit", "--self-test", "-"], input=piped, standalone_mode=False)
    assert (done.return_value, done.stdout[:10]) == (0, "all found:")
    assert "image rootfs:-  sha256:" in done.stdout


@pytest.mark.parametrize(
    ("piped", "message"),
    [
        (b"", "stdin is empty; pipe an image in, as in `docker save app:dev"),
        (b"Error response from daemon\n" * 40, "stdin: not an image: neither a directory nor a tar archive"),
        (layer_tar({"a": b"x" * 9000})[:5000], "stdin: truncated"),
        (gzip.compress(layer_tar({"a": os.urandom(9000)}))[:-900], "stdin: truncated gzip stream"),
        (
            layer_tar({"index.json": b"{}"}),
            "stdin: no image in index.json; if it holds the files of a root file system",
        ),
    ],
)
def test_what_is_no_whole_image_on_stdin_is_an_error(images: Path, piped: bytes, message: str) -> None:
    error = run("-", stdin=piped).exception
    assert error is not None
    assert str(error).startswith(message)
    assert "/tmp" not in str(error)


def start(tmp_path: Path, *images: str, stdin: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
    """An audit of some images and of stdin, with a directory of its own for temporary files."""
    (tmp_path / "scratch").mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "scratch"), "TOKEN": TOKEN}
    command = [*PROGRAM, "audit", *images, "-", "--secret", "id=TOKEN"]
    return subprocess.Popen(command, env=environment, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_a_terminal_on_stdin_is_an_error_with_a_hint(tmp_path: Path) -> None:
    controlling, terminal = os.openpty()
    process = start(tmp_path, stdin=terminal)
    _, messages = process.communicate(timeout=60)
    os.close(controlling)
    os.close(terminal)
    assert process.returncode == 2
    assert messages.startswith(b"container-image: stdin is a terminal; pipe an image in, as in `docker save")


def test_a_signal_removes_what_was_kept_of_stdin_and_loses_no_report(images: Path) -> None:
    process = start(images, "./leaking.tar")
    assert process.stdin is not None
    process.stdin.write(header(b"file", size=1 << 30) + TOKEN.encode())
    process.stdin.flush()
    kept = images / "scratch"
    while process.poll() is None and not list(kept.glob("*/stdin")):
        time.sleep(0.05)
    (directory,) = kept.iterdir()
    assert directory.stat().st_mode & 0o777 == 0o700
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate()
    assert process.returncode == 143
    assert output.startswith(b"LEAKED: ")
    assert list(kept.iterdir()) == []


def test_stdin_that_has_no_room_is_an_error_that_leaves_nothing(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = ["sh", "-c", 'ulimit -f 2000; exec "$@"', "sh", *PROGRAM, "audit", "-", "--secret", "id=TOKEN"]
    environment = {**os.environ, "TMPDIR": str(scratch), "TOKEN": TOKEN}
    done = subprocess.run(command, env=environment, input=bytes(4 << 20), capture_output=True, check=False)
    assert done.returncode == 2
    assert b"File too large; save the image to a file and name that, or set TMPDIR" in done.stderr
    assert list(scratch.iterdir()) == []


def test_a_large_archive_on_stdin_takes_little_memory_and_leaves_nothing(tmp_path: Path) -> None:
    megabytes = 600
    process = start(tmp_path)
    assert process.stdin is not None
    process.stdin.write(header(b"file", size=megabytes << 20))
    for _ in range(megabytes):
        process.stdin.write(bytes(1 << 20))
    process.stdin.write(bytes(1024))
    process.stdin.close()
    assert process.stdout is not None
    assert process.stdout.read().startswith(b"clean: ")
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    assert list((tmp_path / "scratch").iterdir()) == []
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    assert used.ru_maxrss // unit < 512
