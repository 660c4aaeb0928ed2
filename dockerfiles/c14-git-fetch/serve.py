"""Serves the directory that it runs in, to whoever sends credentials; anyone else is asked for them."""

import http.server


class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        if "Authorization" in self.headers:
            super().do_GET()
            return
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="acme"')
        self.send_header("Content-Length", "0")
        self.end_headers()


http.server.HTTPServer(("127.0.0.1", 8765), Handler).serve_forever()
