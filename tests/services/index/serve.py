"""A private Python index (PEP 503) that serves some packages to whoever has the token, and refuses everyone else.

The token is the password of basic auth, with any user name, or `?token=` in the query. There may be several, with
blanks between them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import os
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

GREETING = "def greet(name):\n    return f'hello, {name}'\n"
FAREWELL = "def part(name):\n    return f'goodbye, {name}'\n"
PACKAGES = {
    ("acme_greeting", "1.0.0"): GREETING,
    ("acme_farewell", "1.0.0"): FAREWELL,
    ("acme_farewell", "2.0.0"): FAREWELL.replace("goodbye", "see you"),
}


def file_name(name: str, version: str) -> str:
    """What its wheel is called."""
    return f"{name}-{version}-py3-none-any.whl"


def wheel(name: str, version: str) -> bytes:
    """A package: a pure Python wheel (PEP 427) with one module. The same bytes each time."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": PACKAGES[name, version],
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},{len(text)}\n"
        for path, text in files.items()
    )
    files[f"{info}/RECORD"] = record + f"{info}/RECORD,,\n"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path, text in files.items():
            archive.writestr(zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0)), text)
    return out.getvalue()


class Index(BaseHTTPRequestHandler):
    """`/simple/NAME/` for each package, and the wheels in `/files/`."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        place, _, name = url.path.strip("/").partition("/")
        files = {file_name(*package): package for package in PACKAGES}
        project = name.replace("-", "_")
        if place == "health":
            self.answer(200, b"ok", "text/plain")
        elif not self.has_token(url.query):
            self.answer(401, b"a token is needed", "text/plain")
        elif place == "simple" and any(project == package for package, _ in PACKAGES):
            links = [f'<a href="/files/{file}">{file}</a>' for file, package in files.items() if package[0] == project]
            self.answer(200, "\n".join(links).encode(), "text/html")
        elif place == "files" and name in files:
            self.answer(200, wheel(*files[name]), "application/octet-stream")
        else:
            self.answer(404, b"not here", "text/plain")

    do_HEAD = do_GET  # noqa: N815

    def has_token(self, query: str) -> bool:
        scheme, _, given = self.headers.get("Authorization", "").partition(" ")
        passwords = [base64.b64decode(given).partition(b":")[2]] if scheme == "Basic" else []
        passwords += [token.encode() for token in parse_qs(query).get("token", [])]
        tokens = os.environ["INDEX_TOKEN"].encode().split()
        return any(hmac.compare_digest(password, token) for password in passwords for token in tokens)

    def answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="index"')
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("", int(os.environ.get("PORT", "8080"))), Index).serve_forever()
