"""Dockerfiles as they are read, and their mounts as they are tagged; COPY sources as fal reads them."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_image import DockerfileError, DockerfileParser
from container_image.build.tagging import mounted_ids, restore, rewrite
from container_image.dockerfile import expand, parse, secret_mounts


@given(st.text(max_size=200))
def test_any_text_parses_or_names_what_is_wrong(text: str) -> None:
    with contextlib.suppress(DockerfileError):
        assert parse("FROM scratch\n" + text).stages


@given(st.text("${}#%/:?+-*ab\\'\" <", max_size=40))
def test_any_word_is_expanded_or_refused(text: str) -> None:
    assert isinstance(expand(text, {"a": "ab*", "b": ""}), str | None)


@pytest.mark.parametrize(
    ("mount", "expected"),
    [
        ("type=secret,id=tok", "type=secret,id=tok-9,target=/run/secrets/tok"),
        ("type=secret,id=tok,target=/x", "type=secret,id=tok-9,target=/x"),
        ("type=secret,id=tok,env=T", "type=secret,id=tok-9,env=T"),
        ("type=secret,target=/etc/tok", "type=secret,target=/etc/tok,id=tok-9"),
        ("id=tok,type=secret", "id=tok-9,type=secret,target=/run/secrets/tok"),
        ("type=secret,source=tok,dst=/x", "type=secret,source=tok-9,dst=/x"),
        ('"type=secret,id=tok"', '"type=secret,id=tok-9,target=/run/secrets/tok"'),
        ("type=secret,id=other", "type=secret,id=other"),
    ],
)
def test_mounts_are_tagged_wherever_their_id_comes_from(mount: str, expected: str) -> None:
    text = f"FROM scratch\nRUN --mount={mount} true\n"
    assert rewrite(text, {"tok": "tok-9"}) == f"FROM scratch\nRUN --mount={expected} true\n"


CACHE = "--mount=type=cache,target=/c"
TOKEN = "--mount=type=secret,id=tok"


@pytest.mark.parametrize(
    ("steps", "tagged"),
    [
        ([f"RUN {CACHE} x", f"RUN {TOKEN} {CACHE} x", f"RUN {CACHE} x"], [2, 3]),
        ([f"RUN {TOKEN} x", f"RUN {CACHE} x"], []),
        ([f"RUN {TOKEN} {CACHE} x", "RUN --mount=type=cache,id=/c,target=/d x", f"RUN {CACHE},id=d x"], [1, 2]),
        ([f"RUN {TOKEN} {CACHE} x", "FROM scratch", f"RUN {CACHE} x"], [1]),
        ([f"RUN {TOKEN} {CACHE} x", "FROM one", f"RUN {CACHE} x"], [1, 3]),
        ([f"RUN {TOKEN} {CACHE} x", "FROM scratch", "COPY --from=0 /a /a", f"RUN {CACHE} x"], [1, 4]),
        ([f"RUN {TOKEN} {CACHE} x", "FROM scratch", f"RUN {CACHE} --mount=from=one,target=/o x"], [1, 3]),
    ],
)
def test_a_cache_mount_is_tagged_in_the_step_of_a_secret_and_those_after_it(
    steps: list[str], tagged: list[int]
) -> None:
    lines = rewrite("\n".join(["FROM scratch AS one", *steps]), {"tok": "tok-9"}).splitlines()[1:]
    assert [
        number for number, line in enumerate(lines, 1) if "type=cache" in line and "-9" in line.split("cache", 1)[1]
    ] == tagged


def test_a_cache_beside_two_secrets_is_one_cache_still() -> None:
    text = f"FROM scratch\nRUN {TOKEN} {CACHE} x\nRUN --mount=type=secret,id=npm {CACHE} x\n"
    rewritten = rewrite(text, {"tok": "tok-9", "npm": "npm-8"})
    assert rewritten.count("type=cache,target=/c,id=/c-8-9 x") == 2


@pytest.mark.parametrize(
    ("head", "mount", "expected"),
    [
        ("ARG N=tok", "id=${N}", "id=${N}-9,target=/run/secrets/tok"),
        ("ARG N=tok", "target=/x/${N}", "target=/x/${N},id=${N}-9"),
        ("ENV N='tok' M=x", 'id="$N"', 'id="$N-9,target=/run/secrets/tok"'),
        ("ENV N tok", "id=$N,env=T", "id=$N-9,env=T"),
        ("ARG K\nENV N=${K:-tok}", "id=$N,env=T", "id=$N-9,env=T"),
        ("ARG GIVEN=no", "id=$GIVEN,env=T", "id=$GIVEN-9,env=T"),
        ("ARG GLOBAL", "id=$GLOBAL,env=T", "id=$GLOBAL-9,env=T"),
        ("ARG TARGETARCH", "id=${TARGETARCH:+tok},env=T", "id=${TARGETARCH:+tok}-9,env=T"),
        ("ARG N=tok.x", "id=${N%.x},env=T", "id=${N%.x}-9,env=T"),
        ("ARG N=tok.x", "id=${N%%.*},target=/y", "id=${N%%.*}-9,target=/y"),
        ("ARG N=glotok", "id=${N#glo},env=T", "id=${N#glo}-9,env=T"),
        ("ARG N=tik", "id=${N/i/o}", "id=${N/i/o}-9,target=/run/secrets/tok"),
        ("", "id=$UNSET,target=/x/tok", "id=$UNSET-9,target=/x/tok"),
        ("ARG P=/x/tok", "target=$P", "target=$P,id=$P/-9"),
        # An id that can't be told is left, for BuildKit's list to show.
        ("", "id=$GLOBAL,env=T", "id=$GLOBAL,env=T"),
        ("ARG N=tok\nARG N=${N%x}y", "id=${N%x},env=T", "id=${N%x},env=T"),
        ("ARG P=/x/tok", "id=$UNSET,target=$P", "id=$UNSET,target=$P"),
        ("", "id=tok,target=$UNSET", "id=tok,target=$UNSET"),
        ("", "id=${UNSET:?},env=T", "id=${UNSET:?},env=T"),
    ],
)
def test_an_id_with_variables_keeps_its_text(head: str, mount: str, expected: str) -> None:
    text = f"ARG GLOBAL=tok\nFROM scratch\n{head}\nRUN --mount=type=secret,%s x\n"
    found = rewrite(
        text.replace("%s", mount),
        {"tok": "tok-9", "x/tok": "x/tok-8"},
        build_args={"GIVEN": "tok"},
        predefined={"TARGETARCH": "amd64"},
    )
    assert found == text.replace("%s", expected)


def test_ids_that_buildkit_lists_are_told_from_wrong_guesses() -> None:
    ids = {"tok": "tok-9", "npm": "npm-8", "HTTP_AUTH_TOKEN_x": "HTTP_AUTH_TOKEN_x"}
    listed = ["tok-9", "-9", "/x/tok/-9", "npm-9", "/x/npm/-9", "/x/npm-9", "npm", "HTTP_AUTH_TOKEN_x", "/x/tok", "x-9"]
    tagged, untagged = mounted_ids(listed, ids)
    assert tagged == dict.fromkeys(["tok-9", "-9", "/x/tok/-9"], "tok")
    assert untagged == dict.fromkeys(["npm-9", "/x/npm/-9", "/x/npm-9", "npm"], "npm")


def test_messages_show_what_the_author_wrote() -> None:
    text = f"FROM scratch\nARG N=tok\nRUN {TOKEN} {CACHE},id=c x\nRUN --mount=type=secret,id=$N,target=/x x\n"
    ids = {"tok": "tok-0123456789abcdef0123456789abcdef"}
    assert restore(rewrite(text, ids), ids) == text
    assert restore("nothing of it", {}) == "nothing of it"


@pytest.mark.parametrize("escape", ["\\", "`"])
@pytest.mark.parametrize(
    "name", ["*", "api key", "a,b", 'q"u', "it's", "$x", "b\\s", "`t", "tab\tx", "a b/c d", "\u00fc"]
)
def test_messages_show_no_target_of_ours_whatever_the_name_is(name: str, escape: str) -> None:
    text = f"# escape={escape}\nFROM scratch\nARG N\nRUN --mount=type=secret,id=$N x\n"
    ids = {name: f"{name}-0123456789abcdef0123456789abcdef"}
    rewritten = rewrite(text, ids, build_args={"N": name})
    assert rewritten != text
    # Of a name that is not ASCII the target has the id's variables, which BuildKit replaces before it shows them.
    rewritten = rewritten if name.isascii() else rewritten.replace("/$N", f"/{name}")
    assert restore(rewritten, ids) == text


def test_an_onbuild_is_tagged_where_this_build_runs_it() -> None:
    text = f"FROM scratch AS one\nONBUILD ARG N=tok\nONBUILD RUN --mount=type=secret,id=$N,env=T x\nFROM one\nONBUILD RUN {TOKEN} x\n"
    assert rewrite(text, {"tok": "tok-9"}) == text.replace("id=$N", "id=$N-9")
    assert rewrite(text, {"tok": "tok-9"}, target="ONE") == text.replace("id=tok", "id=tok-9,target=/run/secrets/tok")


@pytest.mark.parametrize(
    "flag", ['--mount=type=secret,"id=TOK true', '--mount=type=secret,id=a\\"b', "--mount='\"id=a\"b,type=secret' x"]
)
def test_an_open_quote_in_a_mount_is_named_with_its_line(flag: str) -> None:
    with pytest.raises(DockerfileError, match="line 3: a quote in a --mount is open or out of place") as caught:
        secret_mounts(parse(f"FROM scratch\n\nRUN {flag}\n"))
    assert caught.value.line == 3


@pytest.mark.parametrize("head", ["", "cat <<EOF && ", '--network="'])
def test_a_long_dockerfile_is_read_in_linear_time(head: str) -> None:
    step = f"    echo 'some words of a long step' && echo \"and more $PATH\" >> /tmp/a-file-with-a-long-name {'a' * 20} && \\\n"

    def seconds(lines: int) -> float:
        end = "EOF\n" if "EOF" in head else ""
        text = f"FROM scratch\nRUN {TOKEN} {head}true && \\\n{step * lines} true\n{end}"
        start = time.process_time()
        assert len(rewrite(text, {"tok": "tok-9"})) > len(text)
        return time.process_time() - start

    # A megabyte; what is quadratic takes a hundred times as long.
    assert seconds(10_000) < 40 * seconds(1_000)


def test_copy_sources_are_read_leniently() -> None:
    text = (
        'COPY requirements.txt /app/\nCOPY --from=builder /x /y\nADD https://example.com/a /b\nCOPY ["a b", "/dest"]\n'
        "ADD --chown=1:1 /src \\\n    *.py dest/\ncopy only\n"
    )
    parser = DockerfileParser(text)
    assert parser.parse_copy_add_sources() == ["requirements.txt", "a b", "src", "*.py"]
    assert parser.content == text


@pytest.mark.parametrize(
    ("instruction", "sources"),
    [
        ("copy  a\tb /c/", ["a", "b"]),
        ("  COPY a /b", []),
        ("COPY a", []),
        ("ONBUILD COPY a /b", []),
        ("# COPY a /b", []),
        ("COPY a \\\n\n b /c", ["a", "b"]),
        ("COPY a \\\n# note\n b /c", ["a", "#"]),
        ("COPY --from=x \\\n a /b", []),
        ("COPY --FROM=x a /b", []),
        ("COPY --chown=1:1 --from=x a /b", ["a"]),
        ("ADD --from=x a /b", ["a"]),
        ('COPY --chown="1:1" --link --parents --exclude=*.md a/./b /c', ["a/./b"]),
        ("ADD --keep-git-dir=true a /b", ["-git-dir=true", "a"]),
        ("COPY --chown= a /b", ["=", "a"]),
        ("ADD a HTTPS://x /b", []),
        ("ADD git@github.com:a/b.git /c", ["git@github.com:a/b.git"]),
        ("COPY https://x/y /z", ["https://x/y"]),
        ('COPY --chown=1:1 [ "a b" , "/c", "/d" ]', ["a b", "c"]),
        ('COPY ["a"]', []),
        ("COPY \"a b\" c\\ d 'e f' /g", ["a b", "c d", "e f"]),
        ("COPY $A ${B} a[0-9] /c", ["$A", "${B}", "a[0-9]"]),
        ("COPY / //a ./b ../c /d", ["", "a", "./b", "../c"]),
        ("COPY <<EOF /x\nCOPY in /y\nEOF\nCOPY out /z", ["<<EOF", "in", "out"]),
        ("COPY a /b\r\nCOPY c /d\r\n", ["a", "c"]),
    ],
)
def test_each_instruction_gives_fals_sources(instruction: str, sources: list[str]) -> None:
    assert DockerfileParser(instruction).parse_copy_add_sources() == sources


@pytest.mark.parametrize("words", ["it's /c", 'a "b /c', "--exclude='a b' c /d", '["a", b]', "[1, 2]", "a /b[0]"])
def test_words_that_cannot_be_split_are_warned_of_and_skipped(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert DockerfileParser(f"COPY {words}\nCOPY x /y").parse_copy_add_sources() == ["x"]
    assert capsys.readouterr().out == (
        f"[WARNING] Failed to parse instruction arguments: {words}. Skipping this instruction. "
        "Please check the Dockerfile syntax and try again.\n"
    )
