"""An image in a registry, read over HTTP (OCI distribution-spec), with the logins of the user's Docker configuration."""

from __future__ import annotations

import hashlib
import re
import urllib.parse
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import IO

import docker.auth
import requests
from docker.errors import DockerException
from urllib3.exceptions import HTTPError

from container_image.errors import ImageNotFoundError, ImageReadError, UnknownReferenceError
from container_image.oci.model import (
    CHUNK,
    DOCUMENT_LIMIT,
    INDEX_TYPES,
    MANIFEST_TYPES,
    Blob,
    Descriptor,
    DigestKind,
    Image,
    assemble,
    children,
    is_content,
    is_digest,
    read_document,
    to_descriptor,
)

_ACCEPT = ", ".join(sorted(INDEX_TYPES | MANIFEST_TYPES))
_DIGEST = re.compile(r"[a-z0-9]+:[0-9a-f]{32,}")
_NAME = re.compile(
    r"(?:(?P<host>[^/@]+)/)?(?P<path>[a-z0-9._/-]+?)(?::(?P<tag>[\w][\w.-]{0,127}))?(?:@(?P<digest>\S+))?"
)
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
# RFC 6750, section 2.1, and what else registries write.
_TOKEN = re.compile(r"[\x21-\x7e]+")
_COSIGN = (".sig", ".att", ".sbom")
_MAX_PAGES = 100
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
        # Otherwise a .netrc would take the place of the registry's token.
        self._session.auth = _as_it_is
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
        response = self.send("GET", self._url(path), headers={"Accept": accept} if accept else {})
        if response.status_code == 404 and not missing_ok:
            raise ImageNotFoundError(f"no image {self.path} ({path.rsplit('/', 1)[-1]}) in the registry {self.host}")
        if response.status_code not in (200, 404):
            raise ImageReadError(f"the registry {self.host} answers {response.status_code} for {path}; try again later")
        return response

    def ask(self, method: str, path: str) -> requests.Response:
        """Whatever is answered for a path of the repository, or for a URL on the registry, refusals included."""
        return self._answer(method, self._url(path), {"Accept": _ACCEPT}, None)

    def _url(self, path: str) -> str:
        return path if "://" in path else f"{self.base}/{path}"

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str], data: bytes | IO[bytes] | None = None
    ) -> requests.Response:
        """The answer to a request, logged in if the registry wants that.

        Raises:
            ImageReadError: the registry does not answer, or refuses.
        """
        response = self._answer(method, url, headers, data)
        if response.status_code in (401, 403):
            raise ImageReadError(
                f"the registry {self.host} refuses access to {self.path}; run `docker login {self.host}`"
            )
        return response

    def _answer(
        self, method: str, url: str, headers: Mapping[str, str], data: bytes | IO[bytes] | None
    ) -> requests.Response:
        try:
            response = self._send(method, url, headers, data)
            if response.status_code == 401 and self._authorize(response):
                if data is not None and not isinstance(data, bytes):
                    data.seek(0)
                response = self._send(method, url, headers, data)
        except requests.RequestException as error:
            raise ImageReadError(f"the registry {self.host} does not answer: {type(error).__name__}") from None
        return response

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], data: bytes | IO[bytes] | None
    ) -> requests.Response:
        # A blob's bytes are those of its digest, whatever compression there is on the way.
        extra = {"Accept-Encoding": "identity"}
        if self._authorization:
            extra["Authorization"] = self._authorization
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
        if not realm.startswith("https://") and self.base.startswith("https://"):
            raise ImageReadError(f"the registry {self.host} wants the login sent unencrypted; ask whoever runs it")
        answer = self._session.get(realm, params=fields, auth=self._login, timeout=_TIMEOUT, stream=True)
        if answer.status_code != 200:
            return False
        try:
            given = read_document({"token": document_of(answer, "the token")}, "token")
        except ImageReadError:
            given = {}
        token = given.get("token") or given.get("access_token")
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise ImageReadError(f"the registry {self.host} gives no usable token; try again, or ask whoever runs it")
        self._authorization = f"Bearer {token}"
        return True


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def document_of(response: requests.Response, name: str) -> bytes:
    """The body of an answer that is a document.

    Raises:
        ImageReadError: it is longer than any, or breaks off.
    """
    data = b""
    for piece in _pieces(response, name):
        data += piece
        if len(data) > DOCUMENT_LIMIT:
            response.close()
            raise ImageReadError(f"{name}: more than {DOCUMENT_LIMIT >> 20} MiB; it is no index or manifest")
    return data


class RegistrySource:
    """A repository's image: its name is resolved to a digest when it is opened."""

    def __init__(self, reference: str, name: str, login: tuple[str, str] | None = None) -> None:
        self.reference = reference
        self._registry = Registry(name, login)
        wanted = self._registry.wanted
        response = self._registry.get(f"manifests/{wanted}", accept=_ACCEPT)
        document = document_of(response, wanted)
        told = wanted if _DIGEST.fullmatch(wanted) else response.headers.get("Docker-Content-Digest", "")
        algorithm = told.partition(":")[0] if is_digest(told) else "sha256"
        # That the bytes are those of the digest, `Blob` sees to.
        digest = told if is_digest(told) else f"{algorithm}:{hashlib.sha256(document).hexdigest()}"
        for _ in Blob(digest, digest, iter([document])).chunks():
            pass
        media_type = response.headers.get("Content-Type", "").split(";")[0]
        self._root = Descriptor(digest, media_type)
        # What was asked for by a tag is not asked for again.
        self._documents = {digest: document}
        self._missing: dict[str, str] = {}
        self.digest = digest
        self.digest_kind: DigestKind = "index" if media_type in INDEX_TYPES else "manifest"

    def config_digest(self) -> str | None:
        """The config's digest, where the name is one manifest's: what names an image in the classic store."""
        config = read_document(self._documents, self.digest).get("config")
        return to_descriptor(config).digest if config is not None else None

    def blobs(self) -> Iterator[Blob]:
        """The root, everything below it, and what refers to any of it."""
        done: set[str] = set()
        # What is still to be read, and whether only a referrer names it, so that the image's own documents do not.
        stack = [(self._root, False)]
        while stack:
            descriptor, aside = stack.pop()
            if descriptor.digest in done:
                continue
            done.add(descriptor.digest)
            if is_content(descriptor) and descriptor is not self._root:
                # The index of a build cache lists layers.
                yield from self._blob(descriptor, aside)
                continue
            data = self._manifest(descriptor, aside)
            if data is None:
                continue
            yield Blob(descriptor.digest, descriptor.digest, iter([data]))
            document = read_document({descriptor.digest: data}, descriptor.digest)
            for part in _parts(document):
                if part.digest not in done:
                    done.add(part.digest)
                    yield from self._blob(part, aside)
            found = [(child, aside) for child in children(document)]
            found += [(child, True) for child in self._referrers(descriptor)]
            stack.extend(reversed(found))

    def _manifest(self, descriptor: Descriptor, aside: bool) -> bytes | None:
        if descriptor.digest in self._documents:
            return self._documents[descriptor.digest]
        response = self._registry.get(f"manifests/{descriptor.digest}", accept=_ACCEPT, missing_ok=True)
        if response.status_code == 200:
            return document_of(response, descriptor.digest)
        response.close()
        if aside:
            self._missing[descriptor.digest] = "manifest is not in the registry"
        return None

    def _blob(self, part: Descriptor, aside: bool) -> Iterator[Blob]:
        if part.urls:
            if aside:
                self._missing[part.digest] = "foreign layer, kept elsewhere"
            return
        response = self._registry.get(f"blobs/{part.digest}", missing_ok=True)
        if response.status_code == 200:
            yield Blob(part.digest, part.digest, _pieces(response, part.digest))
        elif aside:
            self._missing[part.digest] = "blob is not in the registry"
        response.close()

    def _referrers(self, descriptor: Descriptor) -> Iterator[Descriptor]:
        """Signatures, SBOMs and the like that refer to a manifest.

        From the registry's list (distribution-spec 1.1, listing referrers), or, where it keeps none, from the tag that
        stands for it; and from the tags that cosign makes beside either.
        """
        tag = descriptor.digest.replace(":", "-", 1)
        page = f"referrers/{descriptor.digest}"
        for _ in range(_MAX_PAGES):
            response = self._registry.ask("GET", page)
            if response.status_code != 200:
                response.close()
                break
            try:
                yield from children(read_document({page: document_of(response, page)}, page))
            except ImageReadError:
                self._missing[descriptor.digest] = "the registry's list of referrers is malformed"
            following = response.links.get("next", {}).get("url")
            if following is None:
                break
            page = urllib.parse.urljoin(response.url, following)
            if urllib.parse.urlsplit(page)[:2] != urllib.parse.urlsplit(self._registry.base)[:2]:
                raise ImageReadError(
                    f"the registry {self._registry.host} lists referrers elsewhere; ask whoever runs it"
                )
        else:
            self._missing[descriptor.digest] = f"more than {_MAX_PAGES} pages of referrers"
        status = response.status_code
        if status in (401, 403):
            self._missing[descriptor.digest] = "the registry refuses to list referrers"
        self._require_answer(status)
        tags = [f"{tag}{suffix}" for suffix in _COSIGN]
        for name in tags if status == 200 else [tag, *tags]:
            found = self._registry.ask("HEAD", f"manifests/{name}")
            found.close()
            self._require_answer(found.status_code)
            if found.status_code == 200:
                yield self._tagged(name)

    def _require_answer(self, status: int) -> None:
        """Too many requests, or an error of the registry's own, says nothing about what is there."""
        if status == 429 or (status >= 500 and status != 501):
            raise ImageReadError(
                f"the registry {self._registry.host} answers {status} to the list of referrers; try again later"
            )

    def _tagged(self, tag: str) -> Descriptor:
        """What a tag names, by its digest."""
        response = self._registry.get(f"manifests/{tag}", accept=_ACCEPT)
        data = document_of(response, tag)
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        self._documents[digest] = data
        return Descriptor(digest)

    def assemble(self, documents: Mapping[str, bytes], seen: Collection[str]) -> Image:
        image = assemble(self._root, documents, seen)
        return replace(image, missing=tuple({**dict(image.missing), **self._missing}.items()))

    def __enter__(self) -> RegistrySource:
        return self

    def __exit__(self, *_: object) -> None:
        self._registry.close()


def _parts(document: Mapping[str, object]) -> Iterator[Descriptor]:
    """The blobs that a manifest names: its config and layers, or an artifact's blobs (OCI image-spec 1.1-rc)."""
    for key in ("config", "layers", "blobs"):
        value = document.get(key)
        if "layers" in document or "blobs" in document:
            for part in value if isinstance(value, list) else [] if value is None else [value]:
                yield to_descriptor(part)


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
