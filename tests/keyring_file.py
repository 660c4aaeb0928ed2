"""A keyring in a file, for the tests of what is kept in one: `KEYRING_FILE` names it."""

from __future__ import annotations

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend
from keyring.errors import PasswordDeleteError


class Keyring(KeyringBackend):
    """Keeps passwords as JSON."""

    priority = 1.0

    def get_password(self, service: str, username: str) -> str | None:
        return self._entries().get(f"{service} {username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self._path().write_text(json.dumps({**self._entries(), f"{service} {username}": password}))

    def delete_password(self, service: str, username: str) -> None:
        entries = self._entries()
        if entries.pop(f"{service} {username}", None) is None:
            raise PasswordDeleteError
        self._path().write_text(json.dumps(entries))

    def _path(self) -> Path:
        return Path(os.environ["KEYRING_FILE"])

    def _entries(self) -> dict[str, str]:
        return json.loads(self._path().read_text()) if self._path().exists() else {}
