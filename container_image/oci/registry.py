"""An image in a registry, read over HTTP (OCI distribution-spec), with the logins of the user's Docker configuration."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import IO

import docker.auth
import requests
from docker.errors import DockerException
from urllib3.exceptions import HTTPError

from container_image.errors import ImageNotFoundError, ImageReadError, UnknownReferenceError
from container_image.oci.model import (
    CHUNK,
    INDEX_TYPES,
    MANIFEST_TYPES,
    Blob,
    Descriptor,
    DigestKind,
    Image,
    assemble,
    children,
    read_document,
    to_descriptor,
)

_ACCEPT = ", ".join(sorted(INDEX_TYPES | MANIFEST_TYPES))
_DIGEST = re.compile(r"[a-z0-9]+:[0-9a-f]{32,}")
_NAME = re.compile(
    r"(?:(?P<host>[^/@]+)/)?(?P<path>[a-z0-9._/-]+?)(?::(?P<tag>[\w][\w.-]{0,127}))?(?:@(?P<digest>\S+))?"
)
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_TIMEOUT = (15, 120)
_HUB = "registry-1.docker.io"


class Registry:
    """One repository of a registry, over HTTP. `login` is a user and password; the user's Docker login where it is None.

    `wanted` is the tag or digest of the name.
    """

    def __init__(self, name: str, login: tuple[str, str] | None = None) -> None:
        host, self.path, self.wanted = _split(name)
        self.host = _HUB if host == "docker.io" else host
        scheme = "http" if re.match(r"(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$", host) else "https"
        self.base = f"{scheme}://{self.host}/v2/{self.path}"
        self._session = requests.Session()
        self._login = login or _login(host)
        self._authorization: str | None = None

    def close(self) -> None:
        self._session.close()

    def get(self, path: str, *, accept: str | None = None, missing_ok: bool = False) -> requests.Response:
        """What is at a path of the repository; with `missing_ok`, a 404 is an answer.

        Raises:
            ImageReadError: the registry does not answer, or refuses.
            ImageNotFoundError: there is no such thing.
        """
        response = self.send("GET", f"{self.base}/{path}", headers={"Accept": accept} if accept else {})
        if response.status_code == 404 and missing_ok:
            return response
        if response.status_code == 404:
            raise ImageNotFoundError(f"no image {self.path} ({path.rsplit('/', 1)[-1]}) in the registry {self.host}")
        if response.status_code != 200:
            raise ImageReadError(f"the registry {self.host} answers {response.status_code} for {path}; try again later")
        return response

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str], data: bytes | IO[bytes] | None = None
    ) -> requests.Response:
        """The answer to a request, logged in if the registry wants that.

        Raises:
            ImageReadError: the registry does not answer, or refuses.
        """
        try:
            response = self._send(method, url, headers, data)
            if response.status_code == 401 and self._authorize(response):
                if data is not None and not isinstance(data, bytes):
                    data.seek(0)
                response = self._send(method, url, headers, data)
        except requests.RequestException as error:
            raise ImageReadError(f"the registry {self.host} does not answer: {type(error).__name__}") from None
        if response.status_code in (401, 403):
            raise ImageReadError(
                f"the registry {self.host} refuses access to {self.path}; run `docker login {self.host}`"
            )
        return response

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], data: bytes | IO[bytes] | None
    ) -> requests.Response:
        extra = {"Authorization": self._authorization} if self._authorization else {}
        return self._session.request(
            method, url, headers={**headers, **extra}, data=data, stream=True, timeout=_TIMEOUT
        )

    def _authorize(self, response: requests.Response) -> bool:
        challenge = response.headers.get("WWW-Authenticate", "")
        kind = challenge.split(" ", 1)[0].lower()
        if kind == "basic" and self._login:
            request = requests.Request("GET", "http://localhost", auth=self._login).prepare()
            self._authorization = request.headers["Authorization"]
            return True
        if kind != "bearer":
            return False
        fields = dict(_CHALLENGE.findall(challenge))
        realm = fields.pop("realm", "")
        answer = self._session.get(realm, params=fields, auth=self._login, timeout=_TIMEOUT)
        if answer.status_code != 200:
            return False
        token = answer.json().get("token") or answer.json().get("access_token")
        self._authorization = f"Bearer {token}"
        return bool(token)


class RegistrySource:
    """A repository's image: its name is resolved to a digest when it is opened."""

    def __init__(self, reference: str, name: str, login: tuple[str, str] | None = None) -> None:
        self.reference = reference
        self._registry = Registry(name, login)
        wanted = self._registry.wanted
        response = self._registry.get(f"manifests/{wanted}", accept=_ACCEPT)
        data = response.content
        digest = wanted if _DIGEST.fullmatch(wanted) else "sha256:" + hashlib.sha256(data).hexdigest()
        media_type = response.headers.get("Content-Type", "").split(";")[0]
        self._document = data
        self._root = Descriptor(digest, media_type)
        self.digest = digest
        self.digest_kind: DigestKind = "index" if media_type in INDEX_TYPES else "manifest"

    def config_digest(self) -> str | None:
        """The config's digest, where the name is one manifest's: what names an image in the classic store."""
        config = read_document({self.digest: self._document}, self.digest).get("config")
        return to_descriptor(config).digest if config is not None else None

    def blobs(self) -> Iterator[Blob]:
        done: set[str] = set()
        yield from self._manifest(self._root, done)

    def _manifest(self, descriptor: Descriptor, done: set[str]) -> Iterator[Blob]:
        if descriptor.digest in done:
            return
        done.add(descriptor.digest)
        response = self._registry.get(f"manifests/{descriptor.digest}", accept=_ACCEPT, missing_ok=True)
        if response.status_code == 404:
            return
        data = response.content
        yield Blob(descriptor.digest, descriptor.digest, iter([data]))
        document = read_document({descriptor.digest: data}, descriptor.digest)
        if "manifests" in document:
            for child in children(document):
                yield from self._manifest(child, done)
        if "layers" in document:
            layers = document["layers"]
            parts = [document.get("config"), *(layers if isinstance(layers, list) else [])]
            for part in map(to_descriptor, parts):
                if part.digest not in done and not part.urls:
                    done.add(part.digest)
                    stream = self._registry.get(f"blobs/{part.digest}", missing_ok=True)
                    if stream.status_code != 404:
                        yield Blob(part.digest, part.digest, _pieces(stream, part.digest))
        yield from self._referrers(descriptor, done)

    def _referrers(self, descriptor: Descriptor, done: set[str]) -> Iterator[Blob]:
        """Signatures, SBOMs and the like that refer to a manifest (distribution-spec 1.1); a registry may have none."""
        response = self._registry.get(f"referrers/{descriptor.digest}", accept=_ACCEPT, missing_ok=True)
        if response.status_code == 404:
            return
        try:
            document = json.loads(response.content)
        except ValueError:
            return
        for child in children(document) if isinstance(document, dict) else []:
            yield from self._manifest(child, done)

    def assemble(self, documents: Mapping[str, bytes], seen: Collection[str]) -> Image:
        return assemble(self._root, documents, seen)

    def __enter__(self) -> RegistrySource:
        return self

    def __exit__(self, *_: object) -> None:
        self._registry.close()


def _split(name: str) -> tuple[str, str, str]:
    match = _NAME.fullmatch(name)
    if match is None:
        raise UnknownReferenceError(f"docker://{name}: not a repository's name; write docker://HOST/NAME:TAG")
    host, path = match["host"], match["path"]
    if host is None or not ("." in host or ":" in host or host == "localhost"):
        path = f"{host}/{path}" if host else f"library/{path}"
        host = "docker.io"
    return host, path, match["digest"] or match["tag"] or "latest"


def _login(host: str) -> tuple[str, str] | None:
    try:
        found = docker.auth.load_config().resolve_authconfig(host)
    except DockerException:
        raise ImageReadError(f"the credential helper for {host} failed; run `docker login {host}`") from None
    if not found or not found.get("username"):
        return None
    return str(found["username"]), str(found["password"])


def _pieces(response: requests.Response, digest: str) -> Iterator[bytes]:
    try:
        while piece := response.raw.read(CHUNK, decode_content=False):
            yield piece
    except (requests.RequestException, HTTPError, OSError) as error:
        raise ImageReadError(f"{digest}: the download broke off: {type(error).__name__}; try again") from None
    finally:
        response.close()
