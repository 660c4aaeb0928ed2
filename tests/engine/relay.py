"""A socket that leads to the engine, and can be taken away: an engine that goes, with its containers left running."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

from container_image.oci.endpoint import engine_host


@contextlib.contextmanager
def relay(path: Path) -> Iterator[str]:
    """The address of a socket at `path` that leads to the engine while the context lasts."""
    real = engine_host().removeprefix("unix://")
    open_sockets: list[socket.socket] = []
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        threading.Thread(target=_accept, args=(server, real, open_sockets), daemon=True).start()
        try:
            yield f"unix://{path}"
        finally:
            path.unlink()
            for each in (server, *open_sockets):
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)


def _accept(server: socket.socket, real: str, open_sockets: list[socket.socket]) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = server.accept()
            engine = socket.socket(socket.AF_UNIX)
            engine.connect(real)
            open_sockets += [client, engine]
            for source, target in ((client, engine), (engine, client)):
                threading.Thread(target=_pump, args=(source, target), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
