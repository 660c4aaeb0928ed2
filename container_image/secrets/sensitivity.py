"""Whether a value inside a structured secret is one itself: what its key says, and what it looks like."""

from __future__ import annotations

import math
import re
from collections import Counter
from functools import lru_cache

_CREDENTIAL = re.compile(
    r"(?<!ask)(?<!by)(?<!com)pass(?:word|wd|phrase|code)?$|pwd$|(?:^|[_-])pw$|password|passphrase|secret|token(?!i[sz])|"
    r"api[_-]?key|credential|bearer|cookie|"
    r"(?:access|private|account|shared|master|encryption|signing|license|deploy|app|auth|session|service|host|ssh|pre)"
    r"[_-]?(?:shared[_-]?|access[_-]?)?key$|^_?auth$|authorization$|^key$|^pat$|_pat$|^sig$|signature$|signing|"
    r"connection[_-]?string|client[_-]?key[_-]?data|userinfo|oauth",
    re.IGNORECASE,
)
# Where a password is kept, how long it holds or how it is called is no password.
_PLAIN = re.compile(
    r"(?:^|[_.\-/])(?:uri|url|email|mail|type|name|endpoint|issuer|file|path|dir|host|port|scope|scopes|realm|ttl|"
    r"timeout|lifetime|limit|length|size|enabled|version|region|user|username|login|registry|server|algorithm|alg|"
    r"machine|command|provider|store|helper|env|description|comment|domain|audience|prefix|header|format|method|mode|level|"
    r"required|policy|strategy|backend|driver|engine|class|status|state|label|group|role|namespace|rotation|age|days|hours|"
    r"minutes|seconds|interval|retries|validity|min|max|count)$|keyfile$|^identityfile$|^max[_-]?tokens?$|expir|"
    r"(?<=[a-z])(?:Uri|Url|Name|Type|File|Path|Host|Endpoint)$"
)
# What anybody may know, however random it looks.
_PUBLIC = re.compile(
    r"(?:^|[_.\-/])(?:id|ids|fingerprint|thumbprint|checksum|integrity|digest|sha\d*|md5|etag|revision|commit|lineage|"
    r"serial|modulus|exponent|kid|kty|x5c|x5t|x5t#s256)$|(?<=[a-z])Ids?$|(?:^|(?:content|commit|git)[_-]?)hash$|"
    r"public[ _-]?keys?(?:[_-]?data)?$|key_?id$|"
    r"(?:^|[_.\-])(?:ca|cert|certs|certificates?|cacert|ca[_-]?file|cafile|ca[_-]?bundle|clientcert)"
    r"(?:[_-]?(?:authority|data|pem|chain|crt|bundle))*$"
)
_CREDENTIAL_ID = re.compile(r"(?:secret|session)[_-]?id$", re.IGNORECASE)
_NOTHING = frozenset(
    {b"true", b"false", b"yes", b"no", b"on", b"off", b"null", b"none", b"nil", b"~", b"{}", b"[]"}
) | {
    # What GitHub, PyPI and GitLab take in the place of a user or a password.
    b"x-oauth-basic",
    b"x-access-token",
    b"__token__",
    b"oauth2",
    b"gitlab-ci-token",
    b"bearer",
    b"basic",
}
# The value comes from elsewhere: `${NPM_TOKEN}`, `%TOKEN%`, `{{ token }}`, `%(token)s`, `${{ secrets.TOKEN }}`.
_REFERENCE = re.compile(
    rb"\$\{\{?[\w .:-]{1,100}\}?\}|%[A-Z_][A-Z0-9_]{1,100}%|\{\{[^{}\n]{1,100}\}\}|%\(\w{1,100}\)s|<[a-z][a-z _-]{1,60}>"
)
_PLACES = re.compile(
    rb"\s|^[A-Za-z][A-Za-z+.-]*://|^[~.]?/|^[A-Za-z]:\\|^sha\d+[:-]|^[\w.+-]+@[\w.-]+$|"
    rb"^[a-z0-9.-]+\.[a-z]{2,}(?::\d+)?(?:/[a-z0-9._/-]*)?$|^[\d.:TZ+-]+$|"
    rb"^arn:|^[a-z]{1,8}-[0-9a-f]{8}(?:[0-9a-f]{9})?$|^[\w.+-]+(?:/[\w.+-]+)+\.[a-z]{1,5}$",
)
# Tokens that say what they are, whatever follows.
_KNOWN = re.compile(
    rb"AGE-SECRET-KEY-1|gh[opusr]_|github_pat_|glpat-|npm_|pypi-|hf_|sk-|[sr]k_live_|xox[abprs]-|eyJ[\w-]+\.eyJ"
)
# Characters by their kind, and where one of another kind follows; a capital at the beginning of a word is of the word.
_KINDS = bytes(
    (0x30 if 0x30 <= code <= 0x39 else 0x41 if 0x41 <= code <= 0x5A else 0x61 if 0x61 <= code <= 0x7A else 0x20)
    for code in range(256)
)
_CHANGE = re.compile(rb"0(?=[Aa])|[Aa](?=0)|a(?=A)")
_PAD = re.compile(rb"=+")
_MIN_LENGTH = 16
_MIN_ENTROPY = 2.8
# Of each character; what is in capitals and small letters may be words written together, LikeThis.
_MIN_CHANGES, _MIN_CHANGES_IN_ONE_CASE = 0.2, 0.15
_LONGEST_JUDGED = 4096


@lru_cache(maxsize=1024)
def names_credential(key: str) -> bool:
    """Whether a key such as `_authToken` or `client-key-data` names a credential."""
    if _CREDENTIAL_ID.search(key):
        return True
    plain = _PLAIN.search(key) or _PLAIN.search(key.lower())
    return bool(_CREDENTIAL.search(key)) and not plain and not names_public(key)


@lru_cache(maxsize=1024)
def names_public(key: str) -> bool:
    """Whether a key such as `private_key_id` or `certificate-authority-data` names what anybody may know."""
    return not _CREDENTIAL_ID.search(key) and bool(_PUBLIC.search(key) or _PUBLIC.search(key.lower()))


def is_nothing(value: bytes) -> bool:
    """A switch, or a reference to where the value is."""
    return value.lower() in _NOTHING or bool(_REFERENCE.fullmatch(value) or _PAD.fullmatch(value))


def is_plain(value: bytes) -> bool:
    """A word, a number, a switch, a host or a path: what an application's settings are, and what its secrets are not."""
    text = value.strip()
    return is_nothing(text) or text.isalpha() or (len(text.split()) == 1 and bool(_PLACES.search(text)))


def is_known_token(value: bytes) -> bool:
    """Whether a value begins as the tokens of a known service do, such as `ghp_` or `npm_`."""
    return len(value) >= _MIN_LENGTH and _KNOWN.match(value) is not None


def looks_random(value: bytes) -> bool:
    """Long, without spaces, and of high entropy: what a token is, and a host name, a path, a word or a date is not.

    In what people name, letters come with letters and digits with digits; in a token, every other character or so is
    of another kind than the one before.
    """
    value = value[:_LONGEST_JUDGED]
    if len(value) < _MIN_LENGTH or _PLACES.search(value) or not re.search(rb"\d", value):
        return False
    if _KNOWN.match(value):
        return True
    counts = Counter(value)
    entropy = -sum(count / len(value) * math.log2(count / len(value)) for count in counts.values())
    if entropy < min(_MIN_ENTROPY, math.log2(len(value)) * 0.8):
        return False
    kinds = value.translate(_KINDS)
    one_case = not (b"A" in kinds and b"a" in kinds)
    least = _MIN_CHANGES_IN_ONE_CASE if one_case else _MIN_CHANGES
    return len(_CHANGE.findall(kinds)) >= least * (len(kinds) - kinds.count(b" "))
