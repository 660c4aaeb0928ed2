"""The store: secrets in environments, encrypted. Values go in, and come out for a build, a run or an audit alone.

`store.py` is what users open, with `secrets.py`, `environments.py` and `log.py` on it. Each call is a transaction
(`session.py`) on the `database.py`, opened with the key from `keys.py`; an environment in it (`opened.py`) is believed as
far as its sealed `head.py` says.

Importing this takes SQLAlchemy and cryptography along, so the rest of the package imports it where it is needed.
"""

from container_image.store.model import (
    EnvironmentInfo,
    LogEntry,
    RevealedSecret,
    SecretVersion,
    StoredSecret,
    Use,
)
from container_image.store.store import SecretStore

__all__ = [
    "EnvironmentInfo",
    "LogEntry",
    "RevealedSecret",
    "SecretStore",
    "SecretVersion",
    "StoredSecret",
    "Use",
]
