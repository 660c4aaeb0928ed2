"""A private Python index (PEP 503) that serves one package to whoever has the token, and refuses everyone else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import os
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NAME, VERSION = "acme_greeting", "1.0.0"
WHEEL = f"{NAME}-{VERSION}-py3-none-any.whl"


def wheel() -> bytes:
    """The package: a pure Python wheel (PEP 427) with one module."""
    info = f"{NAME}-{VERSION}.dist-info"
    files = {
        f"{NAME}.py": "def greet(name):\n    return f'hello, {name}'\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {VERSION}\n",
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
    """`/simple/acme-greeting/` and the wheel, behind basic auth with any user name."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        scheme, _, given = self.headers.get("Authorization", "").partition(" ")
        password = base64.b64decode(given).partition(b":")[2] if scheme == "Basic" else b""
        if self.path == "/health":
            self.answer(200, b"ok", "text/plain")
        elif not hmac.compare_digest(password, os.environ["INDEX_TOKEN"].encode()):
            self.answer(401, b"a token is needed", "text/plain")
        elif self.path == "/simple/acme-greeting/":
            self.answer(200, f'<a href="/files/{WHEEL}">{WHEEL}</a>'.encode(), "text/html")
        elif self.path == f"/files/{WHEEL}":
            self.answer(200, wheel(), "application/octet-stream")
        else:
            self.answer(404, b"not here", "text/plain")

    def answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="index"')
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("", 8080), Index).serve_forever()
