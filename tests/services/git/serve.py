"""A git server over http (the dumb protocol) that refuses everyone without the token."""

from __future__ import annotations

import base64
import hmac
import os
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer


class Repository(SimpleHTTPRequestHandler):
    """The files of `/srv`, behind basic auth with any user name."""

    def do_GET(self) -> None:
        scheme, _, given = self.headers.get("Authorization", "").partition(" ")
        password = base64.b64decode(given).partition(b":")[2] if scheme == "Basic" else b""
        if hmac.compare_digest(password, os.environ["GIT_TOKEN"].encode()):
            super().do_GET()
            return
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="git"')
        self.send_header("Content-Length", "0")
        self.end_headers()


ThreadingHTTPServer(("", 8080), partial(Repository, directory="/srv")).serve_forever()
