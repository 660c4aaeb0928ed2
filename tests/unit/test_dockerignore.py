"""Ignore rules: Docker's as its own matcher has them, and gitignore's in the words of Docker's."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from container_image import ContainerImage, InvalidInputError
from container_image.dockerignore import DEFAULT_DOCKERIGNORE_PATTERNS, gitignore, to_docker
from container_image.excludes import docker_excludes
from tests.trees import FILES, files, gitignore_patterns, lay_out


@pytest.mark.parametrize(
    ("ignore", "excluded", "kept"),
    [
        (".env", [".env"], ["app/.env"]),
        ("**/.env", [".env", "app/.env", "a/b/.env"], [".envrc", "x.env"]),
        ("a", ["a", "a/b", "a/b/c"], ["ab", "x/a"]),
        ("/a", ["a"], ["x/a"]),
        ("./a/", ["a"], ["x/a"]),
        ("*", ["a", "a/b", ".env"], []),
        ("*/b", ["a/b", "a/b/c"], ["b", "a/c/b"]),
        ("a?", ["ab"], ["a", "abc"]),
        ("[a-c].t", ["b.t"], ["d.t"]),
        ("[^a]", ["b"], ["a"]),
        ("a/**/b", ["a/b", "a/x/y/b"], ["a", "a/xb"]),
        ("a**", ["a", "ab", "a/b"], ["ba"]),
        ("**b", ["b", "ab", "x/ab"], ["bc"]),
        ("\\*", ["*"], ["a"]),
        ("a.b", ["a.b"], ["axb"]),
        ("*\n!a", ["b"], ["a", "a/b"]),
        ("a\n!a/b", ["a/c"], ["a/b", "a/b/c"]),
        ("!a\na", ["a"], []),
        # When `a` was decided there was nothing to take back, so for what is in it `!a` says nothing.
        ("a/b\n!a", ["a/b"], ["a/c"]),
        ("# a\n #b\n\n", ["#b"], ["a", "# a"]),
        ("\ufeffa\r\nb\r\n", ["a", "b"], []),
        (".\n/\n!\n..", [], ["a"]),
        ("a\x0bb\n", ["a\x0bb"], ["a", "b"]),
        ("[", [], ["["]),
        ("*\n/!a", [], ["a"]),
        ("*\n!!a", ["a"], ["!a"]),
        ("!../../a", ["a"], ["b"]),
    ],
)
def test_dockers_rules(ignore: str, excluded: list[str], kept: list[str]) -> None:
    assert [path for path in excluded + kept if docker_excludes(ignore, path)] == excluded


@pytest.mark.parametrize(
    ("patterns", "excluded", "kept"),
    [
        # In Docker's syntax these hold at the root alone: the trap that lets `app/.env` in.
        ([".env"], [".env", "app/.env"], ["app/.envrc"]),
        (["/.env"], [".env"], ["app/.env"]),
        (["a/b"], ["a/b", "a/b/c"], ["x/a/b"]),
        (["a**b"], ["ab", "x/axb"], ["a/b"]),
        (["[!a-c]"], ["d", "x/d"], ["a"]),
        (["[-a]"], ["-", "a"], ["b"]),
        (["\\!a"], ["!a", "x/!a"], ["a"]),
        (["\\#a/b"], ["#a/b"], ["a/b"]),
        (["a[b"], [], ["ab"]),
        (["a^b"], ["a^b", "x/a^b"], ["ab"]),
        ([".", "a/..", "/", "!"], [], ["a", ".env"]),
        (["*.md", "!README.md"], ["docs/OTHER.md"], ["README.md", "docs/README.md"]),
        (["!README.md", "*.md"], ["README.md"], []),
        ([" .env\t", "  # no pattern", ""], ["app/.env"], ["# no pattern"]),
        (DEFAULT_DOCKERIGNORE_PATTERNS, [".git/config", "x/node_modules/y", "a.pyc", "x/Dockerfile.dev"], ["a.py"]),
    ],
)
def test_gitignores_rules_in_dockers_words(patterns: list[str], excluded: list[str], kept: list[str]) -> None:
    ignore = to_docker(patterns)
    assert [path for path in excluded + kept if docker_excludes(ignore, path)] == excluded


@pytest.mark.parametrize(
    ("patterns", "present", "kept"),
    [
        (["out/"], ["out/a", "x/out/a", "bin/out"], ["bin/out"]),
        (["*.log", "!keep/"], ["keep/a.log", "keep/a", "a.log"], ["keep/a"]),
        (["*", "!src"], ["src/a", "b"], []),
        (["*", "!*/", "!*.py"], ["src/a.py", "src/b", "c.py"], ["c.py", "src/a.py"]),
        (["/*", "!/src"], ["src/a.py", "b"], ["src/a.py"]),
        (["out/"], ["x/out", "y/#out", "y/ out"], ["x/out", "y/ out", "y/#out"]),
    ],
)
def test_what_dockers_words_cannot_say_is_named_path_by_path(
    patterns: list[str], present: list[str], kept: list[str], tmp_path: Path
) -> None:
    lay_out(tmp_path, present)
    ignore = to_docker(patterns, tmp_path)
    assert [path for path in sorted(present) if not docker_excludes(ignore, path)] == kept


@given(st.lists(files, max_size=12), st.lists(gitignore_patterns, max_size=6))
@settings(max_examples=100, deadline=None)
def test_what_is_kept_is_what_a_gitignore_matcher_keeps(paths: list[str], patterns: list[str]) -> None:
    spec = gitignore(patterns)
    with tempfile.TemporaryDirectory() as directory:
        present = lay_out(Path(directory), [*FILES, *paths])
        ignore = to_docker(patterns, directory)
    assert {path: docker_excludes(ignore, path) for path in present} == {
        path: spec.match_file(path) for path in present
    }


@given(st.lists(files, max_size=12), st.lists(gitignore_patterns, max_size=6))
def test_without_negations_and_patterns_of_directories_the_rules_alone_say_it(
    paths: list[str], patterns: list[str]
) -> None:
    plain = [pattern for pattern in patterns if not pattern.startswith("!") and not pattern.endswith("/")]
    spec, ignore = gitignore(plain), to_docker(plain)
    for path in [*FILES, *paths]:
        assert docker_excludes(ignore, path) is spec.match_file(path)


def test_a_pattern_that_is_none_is_one_clear_error(tmp_path: Path) -> None:
    image = ContainerImage.from_dockerfile_str("FROM scratch", dockerignore=["[z-a]"], context_dir=tmp_path)
    with pytest.raises(InvalidInputError, match=r"an ignore pattern can't be read: .*z-a.*; correct it"):
        image.request()


def test_a_directory_that_is_ignored_is_not_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay_out(tmp_path, ["node_modules/a/b", "src/a"])
    seen: list[Path] = []
    scan = os.scandir
    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", lambda path: (seen.append(path), scan(path))[1])
        to_docker(["node_modules"], tmp_path)
    assert seen == [tmp_path, tmp_path / "src"]
