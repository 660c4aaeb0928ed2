"""The log of a store: who did what, when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from container_image.store import schema
from container_image.store.model import LogEntry, Use
from container_image.store.names import environment_name
from container_image.store.session import Access, parse_time, reading, writing


class Log:
    """What was done on a store, as `store.log`. It is not sealed: whoever can write the database can write it."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def used(self, use: Use, image: str, versions: Mapping[str, int], environment_name: str | None = None) -> None:
        """Notes that a build, a run or an audit of an image used these versions of secrets."""
        meant = _meant(environment_name)
        with writing(self._access) as session:
            for name, version in versions.items():
                session.note(use, meant, name, version, image)

    def versions(self, use: Use, image: str, name: str, environment_name: str | None = None) -> set[int]:
        """The versions of a secret that were used so."""
        table, meant = schema.log, _meant(environment_name)
        query = sa.select(table.c.version).where(
            table.c.action == use, table.c.image == image, table.c.name == name, table.c.environment == meant
        )
        with reading(self._access) as session:
            return set() if session is None else set(session.connection.execute(query).scalars().all())

    def list(self, environment_name: str | None = None, limit: int | None = None) -> Sequence[LogEntry]:
        """The entries of one environment, or all, newest first."""
        meant = None if environment_name is None else _meant(environment_name)
        with reading(self._access) as session:
            if session is None:
                return []
            table = schema.log
            query = sa.select(table).order_by(table.c.id.desc()).limit(limit)
            if meant is not None:
                query = query.where(table.c.environment == meant)
            return [
                LogEntry(parse_time(row.time), row.actor, row.action, row.environment, row.name, row.version, row.image)
                for row in session.connection.execute(query).all()
            ]


_meant = environment_name
"""The environment of an argument that has the same name as the function."""
