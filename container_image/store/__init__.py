"""The store: secrets in environments, encrypted. Values go in, and come out for a build, a run or an audit alone.

`store.py` has what users call; each call is a `session.py` (a transaction, opened with the key from `keys.py`) on a
`database.py`, in which an `environment.py` is believed as far as its sealed `head.py` says.

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
