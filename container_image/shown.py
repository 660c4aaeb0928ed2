"""Decides whether a text that a user gave can be repeated in a message.

A credential is easily given in the place of a name (`env=$TOKEN` for `env=TOKEN`). A text is therefore shown only where
it plainly looks like a name: words, in usual case, between the separators of names and paths. A password that is made
of such words (`app-prod`, `hunter2`) cannot be told from a name, and is shown.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import PurePath

HIDDEN = "(not shown: it may be a secret's value)"
"""Stands in a message for a text that is not shown."""

_LONGEST = 255
_NAME = re.compile(r"[\w./:-]+")
_SEPARATORS = re.compile(r"[/:._-]+")
_DIGEST = re.compile(r"(?:^|@)sha(?:256:[0-9a-f]{64}|512:[0-9a-f]{128})$")
_TAGGED = re.compile(r"(?P<name>.+):(?P<tag>[\w.-]{1,128})")
_URL = re.compile(r"[a-z][a-z0-9+.-]{1,20}://(?P<rest>[^@]*?)(?:#(?P<fragment>[^@#]*))?")
_ADDRESS = re.compile(r"^(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-fA-F:.]{2,45}\])(?::\d{1,5})?(?=/|$)")
# `git@github.com:team/app.git`
_GIT = re.compile(r"git@(?P<rest>[\w-]+(?:\.[\w-]+)+:.+)")
# These begin tokens of known issuers, and are followed by the token.
_PREFIXES = re.compile(
    r"AGE-SECRET-KEY-|A[KS]IA[A-Z0-9]{12}|AIza\w{20}|eyJ\w{10}|SG\.\w{16}|github_pat_|gh[opusr]_\w{6}|glpat-|"
    r"[sr]k_(?:live|test)_|sk-\w{6}|xox[abeprs]-|pypi-AgE|(?:npm|hf|dop_v1|shpat)_[A-Za-z0-9]{16}|ya29\."
)
# Serial numbers and one-time passwords: groups of one length.
_GROUPS = re.compile("|".join(rf"[A-Za-z0-9]{{{n}}}(?:-[A-Za-z0-9]{{{n}}}){{2,}}" for n in (4, 5, 6, 8)))
_NUMBER = re.compile(r"\d{1,5}|(?:19|20)\d{6}")
_WORD = re.compile(r"(?P<lower>[^\W\d_A-Z]+\d{0,4})|(?P<upper>[A-Z]+\d{0,4})|(?P<mixed>[^\W\d_]+)")
_HUMPS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
# Technical words that mix letters and digits as tokens do.
_KNOWN = re.compile(
    r"(?i:s3|ec2|b2|h2|k8s|auth0|ed25519|i18n|l10n|e2e|a11y|b64|p12|p8|x86|x64|x509|x5[ct]|v\d{1,3}|oauth2|http2)|"
    r"\d{1,3}(?:d|h|m|s|rc\d?|a\d|b\d|bit)|2fa|py3\d{0,2}|cu1\d\d"
)
_PREFIXED = re.compile(r"^(?:[sS]3|[eE]c2|k8s|[oO]?[aA]uth[02]|http2|b64|p12|x509)(?=[A-Z])|(?<=[a-z])V\d{1,2}$")
# The 150 commonest pairs of letters in the words of Python programs: 82 % of all pairs there, 22 % of random ones.
_PAIRS = frozenset(
    re.findall(
        "..",
        "abacadagaialamanaparasatbabeblcacechcickclcocrctdadedieaecedeeefelemeneperesetexfefffifogegrhahehiho"
        "iaicidieifigiliminioipirisitivizkelalelilllolymamemimompnancndnengninonsntocodolomonoooporosotouowpa"
        "pepiplpoppprptqurardrerirmrorrrsrtsascseshsisospssstsutatethtitotrtstttutyubulumunupurusutvaveviypze",
    )
)
_USUAL = re.compile(
    r"api|auth|cert|client|config|dsn|env|file|host|id|key|license|login|name|pass|passphrase|passwd|password|path|port|pwd|"
    r"secret|token|uri|url|user|username|webhook",
    re.IGNORECASE,
)
_ONE_CASE = re.compile(r"[a-z]{1,20}|[A-Z]{1,20}")
_SHORTEST_MASKED = 6
_FIELDS = re.compile("[=,#]")
# A number, a version, an address and its port.
_NUMBERS = re.compile(r"\d{1,5}(?:[.:]\d{1,5}){0,4}")
_CUTS = re.compile(r"[=,:@/.#]+|^-+")
_MOST_CUTS = 16


def shown(text: str | os.PathLike[str], instead: str = HIDDEN) -> str:
    """The text where it plainly is a name or a path, else `instead`.

    Of an image's reference whose name is one and whose tag is not (`app:3f2a9c1d8e…`), the name is shown.

    >>> [shown(text) for text in ("PIP_TOKEN", "~/.npmrc", "app:dev", "docker://localhost:5000/team/app:1.2.3")]
    ['PIP_TOKEN', '~/.npmrc', 'app:dev', 'docker://localhost:5000/team/app:1.2.3']
    >>> shown("k3J9vQz71LmX", instead="the variable")
    'the variable'
    """
    given = os.fspath(text)
    if is_name(given):
        return given
    return f"{given.rpartition(':')[0]}:…" if is_reference(given) else instead


def listed(names: Iterable[str], none: str = "none") -> str:
    """Names with commas between them, as they can be shown.

    >>> listed(["A_TOKEN", "npmrc"])
    'A_TOKEN, npmrc'
    """
    return ", ".join(map(shown, names)) or none


def quoted(name: str) -> str:
    """A name in quotes, or `HIDDEN`.

    >>> print(quoted("PIP_TOKEN"), quoted("k3J9vQz71LmX"))
    'PIP_TOKEN' (not shown: it may be a secret's value)
    """
    told = shown(name, "")
    return repr(told) if told else HIDDEN


def is_name(text: str) -> bool:
    """Whether a text plainly is a name: of a variable, a secret, a path, an image, a module or a URL without userinfo.

    What begins with the path of a directory that exists is judged by the rest of it.
    """
    if not text or len(text) > 16 * _LONGEST or _PREFIXES.search(text) or not text.isprintable():
        return False
    if "/" in text or os.path.lexists(text):
        text = _behind_existing(text)
    text = _DIGEST.sub("", text.removeprefix("~"))
    if url := _URL.fullmatch(text):
        text = "/".join(filter(None, (url["rest"], url["fragment"])))
    elif git := _GIT.fullmatch(text):
        text = git["rest"]
    text = _ADDRESS.sub("", text)
    if not text:
        # Nothing but a digest, an address, or the path of what exists.
        return True
    return is_worded(text)


def is_reference(text: str) -> bool:
    """Whether a text may be an image's reference, by its name; the tag may be anything, as a commit's hash is."""
    tagged = _TAGGED.fullmatch(text)
    return is_name(text) or (tagged is not None and tagged["name"].islower() and is_name(tagged["name"]))


def is_setting(text: str) -> bool:
    """Whether a text plainly is a name, or a list of settings as `type=oci,dest=app.tar` of names and numbers."""
    return all(not field or is_name(field) or _NUMBERS.fullmatch(field) for field in _FIELDS.split(text))


def masked(message: str, arguments: Iterable[str]) -> str:
    """A message in which no argument that may be a credential is repeated, nor a part of one, as in `KEY=VALUE`.

    >>> print(masked("no such builder: k3J9vQz71LmX", ["build", ".", "--builder=k3J9vQz71LmX"]))
    no such builder: (not shown: it may be a secret's value)
    """
    pieces = {
        piece
        for argument in arguments
        if not is_setting(argument)
        for piece in _pieces(argument)
        if len(piece) >= _SHORTEST_MASKED and not is_setting(piece)
    }
    spelled = {spelling for piece in pieces for spelling in (piece, repr(piece)[1:-1], str(PurePath(piece)))}
    for piece in sorted(spelled, key=len, reverse=True):
        message = message.replace(piece, shown(piece))
    return message


@contextlib.contextmanager
def unrepeated(*given: str) -> Iterator[None]:
    """Masks the given texts in the message of an error that is raised inside."""
    try:
        yield
    except Exception as error:
        error.args = tuple(masked(item, given) if isinstance(item, str) else item for item in error.args)
        raise


def _pieces(argument: str) -> Iterator[str]:
    """The argument, and what is between any two of its separators."""
    cuts = [match.span() for match in _CUTS.finditer(argument)][:_MOST_CUTS]
    yield argument
    for start in (0, *(end for _, end in cuts)):
        for stop in (*(begin for begin, _ in cuts), len(argument)):
            yield argument[start:stop]


def _behind_existing(path: str) -> str:
    """The part of a path that does not exist. What exists on this machine is a name."""
    expanded = os.path.expanduser(path) if path.startswith("~") else path  # noqa: PTH111
    at = len(expanded)
    while at > 0:
        if os.path.lexists(expanded[:at]):
            return expanded[at:]
        at = expanded.rfind("/", 0, at)
    return path


def is_worded(text: str) -> bool:
    """Whether a text is made of words, in usual case, with `/`, `:`, `.`, `_` and `-` between them."""
    if len(text) > _LONGEST or not _NAME.fullmatch(text) or _PREFIXES.search(text):
        return False
    words = [word for word in _SEPARATORS.split(text) if word]
    # `HUGGINGFACEHUB_API_TOKEN`: the one word vouches for the other.
    usual = any(map(_USUAL.fullmatch, words))
    if any(_GROUPS.fullmatch(part.strip("-")) for part in re.split("[/:.]", text)) or not all(
        _is_word(word) or (usual and _ONE_CASE.fullmatch(word)) for word in words
    ):
        return False
    # Of short words alone, a text has few; of numbers alone, none is a name.
    letters = [sum(map(str.isalpha, word)) for word in words]
    short = [count for count, word in zip(letters, words, strict=True) if 0 < count < 3 and not _KNOWN.fullmatch(word)]
    return sum(letters) > 0 and (len(short) < 4 or 2 * sum(short) <= sum(letters))


def _is_word(word: str) -> bool:
    if _NUMBER.fullmatch(word) or _KNOWN.fullmatch(word):
        return True
    word = _PREFIXED.sub("", word)
    match = _WORD.fullmatch(word)
    if match is None:
        return False
    letters = word.rstrip("0123456789")
    if not (match["mixed"] and letters.isascii()) or letters.istitle() or letters.islower() or letters.isupper():
        return len(letters) < 10 or _is_pronounced(letters)
    humps = _HUMPS.findall(letters)
    return (
        "".join(humps) == letters and len(letters) >= 2.5 * len(humps) and (len(letters) < 5 or _is_pronounced(letters))
    )


def _is_pronounced(letters: str) -> bool:
    """Whether letters may be a word: half of their pairs are usual. Random letters have few such pairs."""
    if not letters.isascii():
        return True
    lower = letters.lower()
    pairs = [lower[at : at + 2] for at in range(len(lower) - 1)]
    return len(letters) <= 40 and 2 * sum(pair in _PAIRS for pair in pairs) >= len(pairs)
