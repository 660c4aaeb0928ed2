"""A git server over http (the smart protocol, by git's own program) that refuses everyone without the token.

It serves the repository acme.git, with the package acme-tools, from the directory `GIT_PROJECT_ROOT`. The package is
built by a backend of its own (PEP 517 and 660), so that nothing else is needed to install it.
"""

from __future__ import annotations

import base64
import hmac
import os
import subprocess
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FILES = {
    "acme_tools.py": 'NAME = "acme"\n',
    "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    '[project]\nname = "acme-tools"\nversion = "1.0"\n',
    "backend.py": """\
import pathlib
import zipfile

INFO = "acme_tools-1.0.dist-info"


def build_wheel(directory, config_settings=None, metadata_directory=None):
    return write(directory, "acme_tools.py", pathlib.Path("acme_tools.py").read_text())


def build_editable(directory, config_settings=None, metadata_directory=None):
    return write(directory, "acme_tools.pth", str(pathlib.Path.cwd()))


def write(directory, name, text):
    files = {
        name: text,
        f"{INFO}/METADATA": "Metadata-Version: 2.1\\nName: acme-tools\\nVersion: 1.0\\n",
        f"{INFO}/WHEEL": "Wheel-Version: 1.0\\nGenerator: tests\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    files[f"{INFO}/RECORD"] = "".join(f"{path},,\\n" for path in [*files, f"{INFO}/RECORD"])
    with zipfile.ZipFile(pathlib.Path(directory, "acme_tools-1.0-py3-none-any.whl"), "w") as wheel:
        for path, content in files.items():
            wheel.writestr(path, content)
    return "acme_tools-1.0-py3-none-any.whl"
""",
}


def make(root: Path) -> None:
    """Makes the repository: a commit on main, with the tag v1."""
    with tempfile.TemporaryDirectory() as directory:

        def git(*arguments: str) -> None:
            own = ["-c", "user.name=acme", "-c", "user.email=acme@example.com", "-c", "init.defaultBranch=main"]
            subprocess.run(["git", *own, *arguments], cwd=directory, check=True, capture_output=True)

        git("init")
        for name, text in FILES.items():
            Path(directory, name).write_text(text)
        git("add", ".")
        git("commit", "--message=The tools")
        git("tag", "v1")
        git("clone", "--bare", directory, str(root / "acme.git"))


class Repository(BaseHTTPRequestHandler):
    """`git http-backend` (a CGI program, RFC 3875) behind basic auth with any user name."""

    def do_GET(self) -> None:
        scheme, _, given = self.headers.get("Authorization", "").partition(" ")
        password = base64.b64decode(given).partition(b":")[2] if scheme == "Basic" else b""
        if hmac.compare_digest(password, os.environ["GIT_TOKEN"].encode()):
            self.serve()
            return
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="git"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_GET  # noqa: N815

    def serve(self) -> None:
        path, _, query = self.path.partition("?")
        variables = {
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REMOTE_USER": "acme",
        }
        headers = {"Content-Type": "CONTENT_TYPE", "Content-Encoding": "HTTP_CONTENT_ENCODING", "Git-Protocol": "HTTP_GIT_PROTOCOL"}  # fmt: skip
        variables |= {variable: self.headers[name] for name, variable in headers.items() if name in self.headers}
        done = subprocess.run(
            ["git", "http-backend"],
            env={**os.environ, **variables},
            input=self.body(),
            capture_output=True,
            check=False,
        )
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in fields.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        return b"".join(chunks)


if __name__ == "__main__":
    os.environ.setdefault("GIT_PROJECT_ROOT", "/srv")
    # It belongs to whoever made the image.
    os.environ.update(GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0="safe.directory", GIT_CONFIG_VALUE_0="*")
    if not Path(os.environ["GIT_PROJECT_ROOT"], "acme.git").exists():
        make(Path(os.environ["GIT_PROJECT_ROOT"]))
    ThreadingHTTPServer(("", int(os.environ.get("PORT", "8080"))), Repository).serve_forever()
