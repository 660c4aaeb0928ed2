"""Variables in a mount's id mean to the scanner what they mean to the engine, with every operator that there is."""

from __future__ import annotations

import json
import random
import secrets
import subprocess
from pathlib import Path

import pytest

from container_image.dockerfile import expand

VALUES = {
    "A": "glotok", "B": "a/b/c.tar.gz", "C": "", "D": "aXbXc", "E": "x*y?z", "F": "$0-${0}", "G": "aaa", "H": "ü€ü",
    "I": "(a+b)[c]{d}|^.$",
}  # fmt: skip
# BuildKit reads each byte of a flag as a character, so that other than ASCII comes from variables alone.
NAMES = [*VALUES, "UNSET"]
MODIFIERS = ["", "-", "+", "?", ":-", ":+", ":?", "#", "##", "%", "%%", "/", "//"]
WORDS = [
    "", "a", "glo", "*", "?", "*/", "/*", ".*", "*.", "X", "X*", "*X", "a*a", "??", "\\*", "\\?", "\\\\", "\\/", "\\}",
    "\\x", "$A", "${G}", "${C:-a}", "'a'", '"a"', "(", "[c]", "{", "+", "|", "^", "$", ".", "a b", "$UNSET", "x\\*",
]  # fmt: skip
TEXTS = ["", "x", "$0", "${0}", "$1x", "$$", "$F", "\\$0", "\\/", "$A", "a b", "\\\\"]


def words(choose: random.Random, number: int) -> list[str]:
    """Words with variables, some of which BuildKit refuses."""
    found = []
    while len(found) < number:
        modifier = choose.choice(MODIFIERS)
        inside = choose.choice(WORDS) + choose.choice(["", "", choose.choice(WORDS)]) if modifier else ""
        if modifier.startswith("/"):
            inside += "/" + choose.choice(TEXTS)
        found.append(f"<${{{choose.choice(NAMES)}{modifier}{inside}}}>")
    return found


def expanded(texts: list[str], directory: Path, escape: str) -> dict[str, str]:
    """What the engine makes of each word; those that it refuses are left out."""
    lines = [f"# escape={escape}", "FROM scratch", *(f"ARG {name}" for name in VALUES)]
    quoted = [text.replace('"', '""').replace(escape, escape * 2).replace("'", f"{escape}'") for text in texts]
    lines += [f"RUN --mount=type=secret,'\"id={text}\"',env=T x" for text in quoted]
    file = directory / secrets.token_hex(8)
    file.write_text("\n".join(lines) + "\n")
    arguments = [f"--build-arg={name}={value}" for name, value in VALUES.items()]
    command = ["docker", "buildx", "build", "--call=outline,format=json", *arguments, f"--file={file}", str(directory)]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    if not done.returncode:
        by_line = {
            item["location"]["ranges"][0]["start"]["line"]: item["name"] for item in json.loads(done.stdout)["secrets"]
        }
        start = len(lines) - len(texts) + 1
        # Of two that are the same, the first line alone is listed.
        return {text: by_line[number] for number, text in enumerate(texts, start) if number in by_line}
    if len(texts) == 1:
        return {}
    middle = len(texts) // 2
    return expanded(texts[:middle], directory, escape) | expanded(texts[middle:], directory, escape)


@pytest.mark.parametrize("escape", ["\\", "`"])
def test_the_engine_and_the_scanner_expand_alike(tmp_path: Path, escape: str) -> None:
    # Always the same words; another seed gives others.
    seed = 20
    texts = list(dict.fromkeys(words(random.Random(seed), 150)))
    # A number makes each its own, so that the engine lists all of them.
    texts = [f"{number}{text}" for number, text in enumerate(texts)]
    found = expanded(texts, tmp_path, escape)
    assert len(found) > 50
    assert {text: expand(text, VALUES, escape) for text in found} == found, f"seed {seed}"
    assert [text for text in texts if text not in found and expand(text, VALUES, escape) is not None] == [], (
        f"seed {seed}"
    )
