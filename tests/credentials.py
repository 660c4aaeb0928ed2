"""Random credentials of many kinds, and the places of the command line where one may stand instead of a name."""

from __future__ import annotations

import base64
import random
import string
import uuid
from collections.abc import Callable
from pathlib import Path

from hypothesis import strategies as st

from container_image.shown import is_name

BASE62 = string.ascii_letters + string.digits

Make = Callable[[random.Random], str]


def text_of(alphabet: str, size: int, form: str = "{}") -> Make:
    return lambda draw: form.format("".join(draw.choices(alphabet, k=size)))


def mixed(size: int) -> Make:
    """Letters of both cases and digits, two of each at least."""

    def make(draw: random.Random) -> str:
        kinds = (string.ascii_lowercase, string.ascii_uppercase, string.digits)
        letters = [draw.choice(kind) for kind in kinds * 2] + draw.choices(BASE62, k=size - 6)
        draw.shuffle(letters)
        return "".join(letters)

    return make


def password(draw: random.Random, between: str = "") -> str:
    """Twelve characters with specials, and a separator of settings in the middle."""
    letters = [*mixed(10)(draw), *draw.choices("!$%*+?^", k=2)]
    draw.shuffle(letters)
    return "".join(letters[:6]) + between + "".join(letters[6:])


def base64_of(draw: random.Random) -> str:
    return base64.b64encode(draw.randbytes(draw.randint(24, 40))).decode()


def jwt(draw: random.Random) -> str:
    return f"eyJhbGciOiJIUzI1NiJ9.{base64_of(draw).rstrip('=')}.{mixed(43)(draw)}"


def grouped(alphabet: str, size: int) -> Make:
    return lambda draw: "-".join("".join(draw.choices(alphabet, k=size)) for _ in range(4))


CREDENTIALS: dict[str, Make] = {
    "base62": mixed(24),
    "short base62": mixed(12),
    "hexadecimal": text_of("0123456789abcdef", 40),
    "hexadecimal in capitals": text_of("0123456789ABCDEF", 32),
    "base32": text_of(string.ascii_uppercase + "234567", 32),
    "base64": base64_of,
    "base64url": lambda draw: base64.urlsafe_b64encode(draw.randbytes(32)).decode().rstrip("="),
    "UUID": lambda draw: str(uuid.UUID(int=draw.getrandbits(128), version=4)),
    "GitHub": text_of(BASE62, 36, "ghp_{}"),
    "GitHub, fine-grained": text_of(BASE62, 59, "github_pat_11ABCDEFG0{}"),
    "npm": text_of(BASE62, 36, "npm_{}"),
    "Stripe": text_of(BASE62, 24, "sk_live_{}"),
    "GitLab": text_of(BASE62, 20, "glpat-{}"),
    "AWS": text_of(string.ascii_uppercase + "234567", 16, "AKIA{}"),
    "Slack": text_of(BASE62, 24, "xoxb-123456789012-1234567890123-{}"),
    "Hugging Face": text_of(string.ascii_letters, 34, "hf_{}"),
    "PyPI": lambda draw: f"pypi-AgEIcHlwaS5vcmc{base64_of(draw)}",
    "JWT": jwt,
    "password": password,
    "password with an equals sign": lambda draw: password(draw, "="),
    "password with a colon": lambda draw: password(draw, ": "),
    "password with a comma": lambda draw: password(draw, ","),
    "password with a slash": lambda draw: password(draw, "/"),
    "passphrase": lambda draw: " ".join(
        draw.choices(["correct", "horse", "battery", "staple", "orbit", "velvet"], k=5)
    ),
    "licence": grouped(string.ascii_uppercase + string.digits, 5),
    "app password": grouped(string.ascii_lowercase, 4),
    "URL with userinfo": lambda draw: f"https://deploy:{mixed(16)(draw)}@git.example.com/app.git",
}
ANY = st.builds(
    lambda kind, seed: CREDENTIALS[kind](random.Random(seed)),
    st.sampled_from(sorted(CREDENTIALS)),
    st.integers(0, 2**64),
)


def repeated(value: str, text: str) -> bool:
    """Whether a text has a value, or a run of it that is long enough to be no chance and that no name is."""
    # BuildKit's own mask of a URL's user and password.
    text = text.replace("xxxxx:xxxxx@", "")
    runs = {value[at : at + 10] for at in range(max(1, len(value) - 9))}
    return value in text or any(run in text and not is_name(run) for run in runs)


# Each is an entry point with a value in the place of a name.
ENTRIES: dict[str, list[str]] = {
    "the variable of a build's secret": ["build", ".", "--secret", "id=T,env={}"],
    "the id of a build's secret": ["build", ".", "--secret", "id={}"],
    "the id of one with a source": ["build", ".", "--secret", "id={},env=HOME"],
    "the id of one that is allowed to be unused": ["build", ".", "--allow-unused", "--secret", "id={},env=HOME"],
    "the id of one without a variable": ["build", ".", "--secret", "id={},env=NOT_SET"],
    "the file of a build's secret": ["build", ".", "--secret", "id=T,src={}"],
    "the store's name": ["build", ".", "--secret", "id=T,store={}"],
    "a secret without a key": ["build", ".", "--secret", "{}"],
    "a secret's type": ["build", ".", "--secret", "id=T,type={}"],
    "several sources": ["build", ".", "--secret", "id={},env=A,store=B"],
    "the target": ["build", "{}"],
    "the target of a check": ["check", "{}"],
    "a declaration": ["check", "{}::image"],
    "a declaration's name": ["check", "app.py::{}"],
    "a module": ["check", "pkg:{}"],
    "the Dockerfile": ["check", ".", "-f", "{}"],
    "a tag": ["build", ".", "-t", "{}"],
    "a tag's tag": ["build", ".", "-t", "app:{}"],
    "an environment": ["build", ".", "--env", "{}"],
    "an environment of a check": ["check", ".", "--secret", "id=T", "--env", "{}"],
    "a cache scope": ["build", ".", "--secret-cache-scope", "{}"],
    "a cache scope's id": ["build", ".", "--secret-cache-scope", "{}=ci"],
    "a cache scope's name": ["build", ".", "--secret", "id=T,env=HOME", "--secret-cache-scope", "T={}"],
    "an earlier value": ["build", ".", "--secret", "id=T,env=HOME", "--earlier", "id=T,env={}"],
    "an earlier file": ["build", ".", "--secret", "id=T,env=HOME", "--earlier", "id=T,src={}"],
    "an earlier id": ["build", ".", "--secret", "id=T,env=HOME", "--earlier", "id={},env=HOME"],
    "the ids that there are": ["build", ".", "--secret", "id={},env=HOME", "--earlier", "id=T,env=HOME"],
    "an earlier value without a key": ["build", ".", "--earlier", "{}"],
    "a report": ["build", ".", "--report", "{}"],
    "a report's path": ["build", ".", "--report", "json=/no/such/{}"],
    "a report's format": ["build", ".", "--report", "{}=out.json"],
    "the format": ["audit", "app:dev", "--format", "{}"],
    "a builder": ["build", ".", "--builder", "{}"],
    "a network": ["build", ".", "--network", "{}"],
    "an output": ["build", ".", "--output", "type={}"],
    "a cache to write": ["build", ".", "--cache-to", "type={},ref=x"],
    "a label": ["build", ".", "--label", "{}"],
    "a build context": ["build", ".", "--build-context", "{}"],
    "a build context's path": ["build", ".", "--build-context", "x={}"],
    "an option": ["build", ".", "--{}"],
    "a number": ["audit", "app:dev", "--max-depth", "{}"],
    "a second target": ["build", ".", "{}"],
    "an image": ["audit", "{}", "--secret", "id=T,env=HOME"],
    "an image's tag": ["audit", "app:{}", "--secret", "id=T,env=HOME"],
    "an archive": ["audit", "docker-archive:{}", "--secret", "id=T,env=HOME"],
    "a layout": ["audit", "oci:{}", "--secret", "id=T,env=HOME"],
    "a path": ["audit", "./{}", "--secret", "id=T,env=HOME"],
    "a registry's image": ["audit", "docker://{}", "--secret", "id=T,env=HOME"],
    "an image for a self-test": ["audit", "--self-test", "./{}"],
    "the variable of an audit's secret": ["audit", "./no.tar", "--secret", "id=T,env={}"],
    "the id of an audit's secret": ["audit", "./no.tar", "--secret", "id={},env=HOME"],
    "an environment of an audit": ["audit", "./no.tar", "--env", "{}"],
    "a platform": ["audit", "./no.tar", "--platform", "{}", "--secret", "id=T,env=HOME"],
    "a program": ["exec", "--", "{}"],
    "a program without dashes": ["exec", "{}"],
    "a program under a mask": ["exec", "--mask", "--", "{}"],
    "a program's environment": ["exec", "--env", "{}", "--", "true"],
    "a secret of a program": ["exec", "--only", "{}", "--", "true"],
    "an option of exec": ["exec", "--{}", "--", "true"],
    "a container's image": ["run", "{}"],
    "a container's environment": ["run", "--env", "{}", "app:dev"],
    "a secret of a container": ["run", "--only", "{}", "app:dev"],
    "a container to replace": ["run", "--replace", "{}"],
    "an option of run": ["run", "--{}", "app:dev"],
    "a secret to set": ["secrets", "set", "{}"],
    "a secret to set to nothing": ["secrets", "set", "T", "{}"],
    "an environment to set in": ["secrets", "set", "T=1", "--env", "{}"],
    "a file to set": ["secrets", "set", "--from-file", "T={}"],
    "a file to set without a name": ["secrets", "set", "--from-file", "{}"],
    "a name for stdin": ["secrets", "set", "--stdin", "{}"],
    "a secret to unset": ["secrets", "unset", "{}"],
    "versions of a secret": ["secrets", "versions", "{}"],
    "a file to import": ["secrets", "import", "{}"],
    "an environment to list": ["secrets", "list", "--env", "{}"],
    "a declaration to look into": ["secrets", "missing", "{}"],
    "a command of secrets": ["secrets", "{}"],
    "an environment to delete": ["environments", "delete", "{}", "--yes"],
    "an environment's key": ["environments", "key", "{}"],
    "a command of environments": ["environments", "{}"],
    "a command": ["{}"],
}


def write_context(directory: Path) -> Path:
    """A build context with a Python module in it, which no build gets beyond."""
    (directory / "Dockerfile").write_text("FROM scratch\nRUN --mount=type=secret,id=OTHER,required=true true\n")
    (directory / "app.py").write_text("x = 1\n")
    return directory
