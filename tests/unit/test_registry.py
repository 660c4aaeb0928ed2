"""What the audit makes of a registry's answers, the odd ones too: everything that refers to the image is read."""

from __future__ import annotations

import base64
import gzip
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from container_image import AuditReport, DigestMismatchError, ImageReadError, Verdict, audit
from tests.images import Builder, digest

TOKEN = "tok9aZ8bY7cX6dW5eV4fU3gT2hS1iR0"
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
Answer = tuple[int, dict[str, str], bytes]


class Registry:
    """A registry that serves what is in a `Builder`; `answers` are what it says otherwise, by path."""

    def __init__(self) -> None:
        self.builder = Builder()
        self.root = self.builder.manifest([{"a": b"nothing"}])
        self.answers: dict[str, Answer | Callable[[Mapping[str, str]], Answer]] = {}
        self.tags: dict[str, bytes] = {}
        self.referrers: dict[str, list[dict[str, Any]]] | None = {}
        self.asked: list[tuple[str, str | None]] = []
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1
            disable_nagle_algorithm = True

            def answer(self) -> None:
                registry.asked.append((self.path, self.headers.get("Authorization")))
                found = registry.answers.get(self.path) or registry.answer(self.path)
                status, headers, body = found(self.headers) if callable(found) else found
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(body))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)
                self.close_connection = len(body) != int(headers.get("Content-Length", len(body)))

            do_GET = do_HEAD = answer  # noqa: N815  # the names that http.server looks for

            def log_message(self, *_: object) -> None:
                """Nothing is said of requests."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_port}"

    def answer(self, path: str) -> Answer:
        kind, _, name = path.removeprefix("/v2/app/").partition("/")
        if kind == "manifests" and name == "1":
            return self.document(self.builder.blobs[self.root["digest"]])
        if kind == "manifests" and name in self.tags:
            return self.document(self.tags[name])
        if kind == "referrers" and self.referrers is not None:
            return self.document(index(self.referrers.get(name, [])))
        if kind in ("manifests", "blobs") and name in self.builder.blobs:
            data = self.builder.blobs[name]
            return self.document(data) if kind == "manifests" else (200, {}, data)
        return 404, {}, b"{}"

    def document(self, data: bytes) -> Answer:
        return 200, {"Content-Type": INDEX if b'"manifests"' in data else MANIFEST}, data

    def referrer(self, content: bytes, *, key: str = "layers") -> dict[str, Any]:
        """A manifest that refers to the image, with one blob."""
        body = {
            "mediaType": MANIFEST,
            "config": self.builder.add(b"{}", "application/vnd.oci.empty.v1+json"),
            key: [self.builder.add(content, "application/spdx+json")],
            "subject": {"digest": self.root["digest"]},
        }
        return self.builder.add(json.dumps(body).encode(), MANIFEST)

    def audit(self, name: str = "app:1") -> AuditReport:
        return audit(f"docker://{self.host}/{name}", {"TOKEN": TOKEN})


def index(manifests: list[dict[str, Any]]) -> bytes:
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}).encode()


@contextmanager
def serving() -> Iterator[Registry]:
    registry = Registry()
    thread = threading.Thread(target=registry.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield registry
    registry.server.shutdown()
    thread.join()
    registry.server.server_close()


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """A registry; the user has no login of any."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with serving() as served:
        yield served


def log_in(registry: Registry, tmp_path: Path) -> str:
    """Gives the user a login there; returns what the registry is to see of it."""
    auth = base64.b64encode(b"me:a password").decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {registry.host: {"auth": auth}}}))
    return f"Basic {auth}"


def unread(report: AuditReport) -> list[tuple[str | None, str]]:
    return [(item.digest, item.reason) for item in report.coverage.unread]


def test_an_image_is_read(registry: Registry) -> None:
    assert registry.audit().verdict is Verdict.CLEAN
    assert registry.audit(f"app@{registry.root['digest']}").image.digest == registry.root["digest"]


@pytest.mark.parametrize("key", ["layers", "blobs"])
def test_what_refers_to_the_image_is_read_page_by_page(registry: Registry, key: str) -> None:
    first, second = registry.referrer(b"a clean SBOM"), registry.referrer(TOKEN.encode(), key=key)
    path = f"/v2/app/referrers/{registry.root['digest']}"
    next_page = {"Link": f'<{path}?last=1>; rel="next"'}
    registry.answers[path] = (200, {"Content-Type": INDEX, **next_page}, index([first]))
    registry.answers[f"{path}?last=1"] = (200, {"Content-Type": INDEX}, index([second]))
    report = registry.audit()
    assert (report.verdict, {finding.surface for finding in report.findings}) == (Verdict.LEAKED, {"metadata"})


def test_pages_that_go_on_for_ever_or_elsewhere_are_not_followed(registry: Registry) -> None:
    path = f"/v2/app/referrers/{registry.root['digest']}"
    registry.answers[path] = (200, {"Link": f'<{path}>; rel="next"'}, index([]))
    assert [reason for _, reason in unread(registry.audit())] == ["more than 100 pages of referrers"]
    registry.answers[path] = (200, {"Link": '<http://elsewhere.example.com/x>; rel="next"'}, index([]))
    with pytest.raises(ImageReadError, match="lists referrers elsewhere"):
        registry.audit()


@pytest.mark.parametrize("status", [404, 400, 405, 501])
def test_without_a_list_of_referrers_the_tag_that_stands_for_it_is_read(registry: Registry, status: int) -> None:
    registry.answers[f"/v2/app/referrers/{registry.root['digest']}"] = (status, {}, b"no such thing")
    assert registry.audit().verdict is Verdict.CLEAN
    registry.tags[registry.root["digest"].replace(":", "-")] = index([registry.referrer(TOKEN.encode())])
    assert registry.audit().verdict is Verdict.LEAKED


@pytest.mark.parametrize("suffix", ["sig", "att", "sbom"])
def test_cosigns_tags_are_read(registry: Registry, suffix: str) -> None:
    made = registry.referrer(TOKEN.encode())
    registry.tags[f"{registry.root['digest'].replace(':', '-')}.{suffix}"] = registry.builder.blobs[made["digest"]]
    assert registry.audit().verdict is Verdict.LEAKED


def test_what_a_registry_does_not_say_of_referrers_is_never_clean(registry: Registry) -> None:
    path = f"/v2/app/referrers/{registry.root['digest']}"
    registry.answers[path] = (403, {}, b"")
    report = registry.audit()
    assert (report.verdict, unread(report)) == (
        Verdict.INCOMPLETE,
        [(registry.root["digest"], "the registry refuses to list referrers")],
    )
    registry.answers[path] = (200, {}, b"not JSON")
    assert [reason for _, reason in unread(registry.audit())] == ["the registry's list of referrers is malformed"]
    for status in (429, 500, 503):
        registry.answers[path] = (status, {}, b"")
        with pytest.raises(ImageReadError, match=f"answers {status} to the list of referrers; try again later"):
            registry.audit()
    del registry.answers[path]
    gone = registry.referrer(b"an SBOM")
    del registry.builder.blobs[digest(b"an SBOM")]
    lost = {"mediaType": MANIFEST, "digest": digest(b"lost"), "size": 4}
    registry.referrers = {registry.root["digest"]: [gone, lost]}
    assert set(unread(registry.audit())) == {
        (digest(b"an SBOM"), "blob is not in the registry"),
        (lost["digest"], "manifest is not in the registry"),
    }


@pytest.mark.parametrize("image_manifest", [True, False])
def test_a_cache_in_a_registry_is_read(registry: Registry, image_manifest: bool) -> None:
    for content, verdict in ((b"clean", Verdict.CLEAN), (TOKEN.encode(), Verdict.LEAKED)):
        registry.root = registry.builder.cache([{"a": b"x"}, {"stage": content}], image_manifest=image_manifest)
        assert registry.audit().verdict is verdict


def layer_of(registry: Registry) -> str:
    manifest = json.loads(registry.builder.blobs[registry.root["digest"]])
    return str(manifest["layers"][0]["digest"])


def test_a_blob_that_comes_short_or_otherwise_is_an_error(registry: Registry) -> None:
    layer = layer_of(registry)
    data, path = registry.builder.blobs[layer], f"/v2/app/blobs/{layer}"
    registry.answers[path] = (200, {"Content-Length": str(len(data))}, data[:-9])
    with pytest.raises(ImageReadError, match=f"{layer}: the download broke off"):
        registry.audit()
    for other in (data[:-9], data + b"more", gzip.compress(b"another")):
        registry.answers[path] = (200, {}, other)
        with pytest.raises(DigestMismatchError, match=layer):
            registry.audit()
    registry.answers[path] = (200, {"Content-Encoding": "gzip"}, gzip.compress(data))
    with pytest.raises(DigestMismatchError, match=layer):
        registry.audit()
    registry.answers[path] = (404, {}, b"")
    assert unread(registry.audit()) == [(layer, "blob is not in the image")]


def test_a_digest_that_the_registry_tells_wrong_is_an_error(registry: Registry) -> None:
    data = registry.builder.blobs[registry.root["digest"]]
    headers = {"Content-Type": MANIFEST, "Docker-Content-Digest": digest(b"another")}
    registry.answers["/v2/app/manifests/1"] = (200, headers, data)
    with pytest.raises(DigestMismatchError, match=digest(b"another")):
        registry.audit()
    registry.answers["/v2/app/manifests/1"] = (200, {"Content-Type": MANIFEST}, data + b" " * (5 << 20))
    with pytest.raises(ImageReadError, match="more than 4 MiB"):
        registry.audit()


def test_a_login_is_not_sent_to_where_a_blob_is(registry: Registry, tmp_path: Path) -> None:
    login = log_in(registry, tmp_path)
    layer = layer_of(registry)

    def guarded(answer: Answer) -> Callable[[Mapping[str, str]], Answer]:
        refused: Answer = (401, {"WWW-Authenticate": 'Basic realm="x"'}, b"")
        return lambda headers: answer if headers.get("Authorization") == login else refused

    with serving() as store:
        store.answers["/elsewhere"] = (200, {}, registry.builder.blobs[layer])
        for path in (f"/v2/app/manifests/{name}" for name in ("1", registry.root["digest"])):
            registry.answers[path] = guarded(registry.answer(path))
        moved: Answer = (307, {"Location": f"http://{store.host}/elsewhere"}, b"")
        registry.answers[f"/v2/app/blobs/{layer}"] = guarded(moved)
        assert registry.audit().verdict is Verdict.CLEAN
        assert [(path, sent) for path, sent in store.asked] == [("/elsewhere", None)]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"access_token": "t0ken"}', None),
        (b'{"token": {"a": 1}}', "gives no usable token"),
        (b'["t0ken"]', "gives no usable token"),
        (b'{"token": "a\\r\\nX-Evil: b"}', "gives no usable token"),
        (b"not JSON", "gives no usable token"),
        (b'{"token": "' + b"a" * (5 << 20) + b'"}', "gives no usable token"),
    ],
)
def test_a_token_is_taken_in_the_shapes_that_there_are(registry: Registry, body: bytes, message: str | None) -> None:
    challenge = {"WWW-Authenticate": f'Bearer realm="http://{registry.host}/token",service="x",scope="y"'}
    registry.answers["/token?service=x&scope=y"] = (200, {}, body)
    document = registry.answer("/v2/app/manifests/1")
    registry.answers["/v2/app/manifests/1"] = lambda headers: (
        document if headers.get("Authorization") == "Bearer t0ken" else (401, challenge, b"")
    )
    if message is None:
        assert registry.audit().verdict is Verdict.CLEAN
        return
    with pytest.raises(ImageReadError, match=message):
        registry.audit()


def test_indexes_in_indexes_however_deep_are_read(registry: Registry) -> None:
    registry.root = registry.builder.manifest([{"a": TOKEN.encode()}])
    for _ in range(60):
        registry.root = registry.builder.index([registry.root])
    assert registry.audit().verdict is Verdict.LEAKED
