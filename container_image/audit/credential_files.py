"""Recognises the files of a layer that hold credentials: by their names, and by what they begin with.

A name alone proves nothing: an `.npmrc` may refer to a variable, an `.env` may hold a port. So a file counts only if its
content has a value that would be searched for if the file were a secret. The audit uses this for files that no secret was
declared for.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from container_image.forms import searchable
from container_image.oci.tar import Member
from container_image.secrets import SecretValue, look_inside
from container_image.secrets.sensitivity import is_nothing

LIMIT = 64 << 10
"""Bytes of one file that are looked at."""

MOST = 200
"""Files of one layer that are looked into; an image may hold any number, and each takes milliseconds."""

_Check = Callable[[bytes], bool]

# Such a file is a template for the real one, or encrypted.
_TEMPLATE = r"(?:[\w.-]*\.)?(?:example|sample|template|tmpl|tpl|dist|defaults?|schema|md|vault|d\.ts)"
_WITH_VALUES = (
    rf"\.env(?:\.(?!{_TEMPLATE}$)[\w.-]+)?",
    r"\.envrc",
    r"\.npmrc",
    r"\.yarnrc(?:\.ya?ml)?",
    r"[._]netrc",
    r"\.git-credentials",
    r"\.aws/(?:credentials|config)",
    r"(?:sso|cli)/cache/[^/]+\.json",
    r"\.docker/config\.json",
    r"\.dockercfg",
    r"containers/auth\.json",
    r"\.kube/config",
    r"(?:[\w.-]*\.)?kubeconfig(?:\.ya?ml)?",
    r"\.pypirc",
    r"gcloud/application_default_credentials\.json",
    r"legacy_credentials/[^/]+/(?:adc\.json|\.boto)",
    r"\.config/(?:gh/hosts|glab-cli/config)\.yml",
    r"\.config/rclone/rclone\.conf",
    r"\.azure/[^/]+\.json",
    r"\.terraformrc",
    r"\.terraform\.d/credentials\.tfrc\.json",
    r"[\w.-]*\.tfstate(?:\.backup)?",
    r"[\w.-]*\.tfvars",
    r"\.cargo/credentials(?:\.toml)?",
    r"\.gem/credentials",
    r"\.composer/auth\.json",
    r"\.m2/settings(?:-security)?\.xml",
    r"\.gradle/gradle\.properties",
    r"\.kaggle/kaggle\.json",
    r"\.my\.cnf",
    r"pip\.(?:conf|ini)",
    r"\.condarc",
    r"\.(?:curlrc|wgetrc)",
    r"auth\.conf(?:\.d/[^/]+)?",
    r"\.s3cfg",
    r"\.databrickscfg",
    r"\.streamlit/secrets\.toml",
)
_WITH_KEYS = (
    r"id_(?:rsa|dsa|ecdsa|ed25519)[\w.-]*",
    r"ssh_host_\w+_key",
    r"(?!ssl-cert-snakeoil)[^/]+\.(?:pem|key|ppk)",
)
_WITH_TOKEN = (r"\.vault-token", r"(?:\.huggingface|\.cache/huggingface)/token")
_KEYSTORES = (r"(?![\w.-]*(?:trust|cacerts))[^/]+\.(?:jks|jceks|keystore|p12|pfx|kdbx)",)

# Published with a package or a toolchain: who has the package has these files. Elsewhere below a package's directory a
# file may be the user's own.
_PUBLISHED = re.compile(
    r"(?:^|/)(?:node_modules|bower_components|\.cargo/registry|go/pkg/mod|gems/[^/]+|rustlib)/|^usr/(?:local|lib)/go[^/]*/|"
    r"^usr/(?:local/)?share/(?:doc|man|info|licenses)/|"
    r"(?:^|/)(?:site-packages|dist-packages|vendor|(?:python|perl|ruby|php)[\d.]*)/(?:.*/)?"
    r"(?:tests?|testing|test[_-]?(?:data|certs?)|fixtures|examples?|samples?|docs?|dummyserver)/"
)
_PRIVATE_KEY = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----\s[^-]{40}|^PuTTY-User-Key-File-")
_SERVICE_ACCOUNT = re.compile(rb'"type"\s*:\s*"service_account"')
_PGPASS = re.compile(rb"^(?![#\n])(?:(?:\\.|[^:\\\n])*:){4}(?=[^\n]*[^\s$])(?!\$)", re.M)
_HTPASSWD = re.compile(rb"^[^#:\s]+:(?:\$\w+\$|\{SHA\}|[./0-9A-Za-z]{13}$)", re.M)
_GOOGLE_TOKEN = re.compile(rb"ya29\.[\w-]{20}|1//0[\w-]{20}|-----BEGIN PRIVATE KEY")
# JKS, JCEKS, KeePass; PKCS #12 is a DER sequence that begins with version 3 (RFC 7292).
_KEYSTORE = re.compile(
    rb"\xfe\xed\xfe\xed|\xce\xce\xce\xce|\x03\xd9\xa2\x9a|\x30[\x80-\x84].{0,4}\x02\x01\x03", re.DOTALL
)
# A service account's file has some 2,400 bytes.
_JSON_LIMIT = 16 << 10


class CredentialFiles:
    """Watches the files of one layer go by, and keeps the paths of those that hold a credential, in `paths`.

    `watching` is true while the bytes of the present file are wanted. `omitted` is true when the layer has more
    candidates than are looked into.
    """

    def __init__(self) -> None:
        self.paths: dict[str, None] = {}
        self.omitted = False
        self.watching = False
        self._path = ""
        self._check: _Check = _has_value
        self._wanted = 0
        self._data = b""
        self._looked = 0

    def begin(self, path: str, member: Member) -> None:
        """The data of this member come next."""
        self.watching = False
        check = _check_of(path, member.size) if member.is_file and member.size else None
        if check is None:
            return
        self._looked += check is _has_value
        if self._looked > MOST:
            self.omitted = True
            return
        self.watching, self._path, self._check = True, path, check
        self._wanted, self._data = min(member.size, LIMIT), b""

    def feed(self, data: bytes) -> None:
        """Takes the next bytes of the present file; padding behind them does no harm."""
        self._data += data[: self._wanted - len(self._data)]
        if len(self._data) == self._wanted:
            self.watching = False
            if self._check(self._data):
                self.paths[self._path] = None
            self._data = b""


def _check_of(path: str, size: int) -> _Check | None:
    """How to tell whether the file at `path` holds a credential; None where its name is not that of such a file."""
    name = path[path.rfind("/") + 1 :]
    if not (name.startswith(_BEGINS) or name.endswith(_ENDS)):
        return None
    parts = path.split("/")[-_PARTS:]
    tails = ("/".join(parts[first:]) for first in range(len(parts)))
    kind = next((match.lastgroup for match in map(_NAMES.fullmatch, tails) if match is not None), None)
    if kind is None or (kind == "json" and size > _JSON_LIMIT) or _PUBLISHED.search(path):
        return None
    return _CHECKS[kind]


def _has_value(data: bytes) -> bool:
    """Whether a structured secret of these bytes would have a value to search for."""
    inside = look_inside(SecretValue("file", data)).values
    return any(not item.public and searchable(item.value) is None for item in inside)


def _is_token(data: bytes) -> bool:
    return searchable(data) is None and not is_nothing(data.strip())


def _matches(pattern: re.Pattern[bytes]) -> _Check:
    return lambda data: pattern.search(data) is not None


def _is_service_account(data: bytes) -> bool:
    return _SERVICE_ACCOUNT.search(data) is not None and _has_value(data)


_KINDS: dict[str, tuple[tuple[str, ...], _Check]] = {
    "values": (_WITH_VALUES, _has_value),
    "keys": (_WITH_KEYS, _matches(_PRIVATE_KEY)),
    "token": (_WITH_TOKEN, _is_token),
    "pgpass": ((r"\.pgpass",), _matches(_PGPASS)),
    "htpasswd": ((r"\.htpasswd",), _matches(_HTPASSWD)),
    "gcloud": ((r"gcloud/(?:credentials|access_tokens)\.db",), _matches(_GOOGLE_TOKEN)),
    "keystore": (_KEYSTORES, lambda data: _KEYSTORE.match(data) is not None),
    # Any name: the last, so that the names above go before it.
    "json": ((r"[^/]+\.json",), _is_service_account),
}
_CHECKS = {kind: check for kind, (_, check) in _KINDS.items()}
_NAMES = re.compile("|".join(f"(?P<{kind}>{'|'.join(names)})" for kind, (names, _) in _KINDS.items()))
# The longest of these names a file and two directories.
_PARTS = 3
# The expression takes 15 microseconds for a path. Most paths have none of these beginnings and endings, which takes half a
# microsecond to see.
_BEGINS = (".", "_netrc", "id_", "ssh_host_")
_ENDS = (
    ".json", ".toml", ".xml", ".yml", ".yaml", ".conf", ".properties", ".db", ".tfvars", ".tfstate", ".backup",
    ".pem", ".key", ".ppk", ".jks", ".jceks", ".keystore", ".p12", ".pfx", ".kdbx", "config", "credentials", "token",
)  # fmt: skip
