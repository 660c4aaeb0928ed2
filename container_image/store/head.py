"""An environment's head: which secrets it has, in which versions. It is sealed, and all else is held against it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Version:
    """A value that was set. `serial` is the head's counter when its row was written: no two rows have one."""

    number: int
    serial: int
    created_at: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A secret: its first creation, its exposure, and its versions, the current one last."""

    created_at: str
    exposed: bool
    versions: tuple[Version, ...]

    @property
    def current(self) -> Version:
        """The newest version."""
        return self.versions[-1]


@dataclass(frozen=True, slots=True)
class Head:
    """The secrets by name. `retired` has the last version of each that was unset: no number is given twice."""

    counter: int = 0
    secrets: Mapping[str, Entry] = field(default_factory=dict)
    retired: Mapping[str, int] = field(default_factory=dict)

    def rows(self) -> set[tuple[str, int, int, str]]:
        """Name, version, serial and date of every row that there must be, and no other."""
        return {
            (name, version.number, version.serial, version.created_at)
            for name, entry in self.secrets.items()
            for version in entry.versions
        }

    def next_number(self, name: str) -> int:
        """The number of the next version of a secret."""
        entry = self.secrets.get(name)
        return (entry.current.number if entry else self.retired.get(name, 0)) + 1

    def with_entry(self, name: str, entry: Entry) -> Head:
        """With a secret, new or in place of what it was."""
        retired = {other: number for other, number in self.retired.items() if other != name}
        return replace(self, counter=self.counter + 1, secrets={**self.secrets, name: entry}, retired=retired)

    def without(self, name: str) -> Head:
        """Without a secret."""
        secrets = {other: entry for other, entry in self.secrets.items() if other != name}
        retired = {**self.retired, name: self.secrets[name].current.number}
        return replace(self, counter=self.counter + 1, secrets=secrets, retired=retired)


def encode(head: Head) -> bytes:
    """The head as JSON."""
    return json.dumps(asdict(head)).encode()


def decode(data: bytes) -> Head:
    """The head that was encoded."""
    fields = json.loads(data)
    secrets = {
        name: Entry(entry["created_at"], entry["exposed"], tuple(Version(**version) for version in entry["versions"]))
        for name, entry in fields["secrets"].items()
    }
    return Head(fields["counter"], secrets, fields["retired"])
