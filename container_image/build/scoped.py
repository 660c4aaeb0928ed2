"""Which values the cached steps ran with that mount a secret with a cache scope.

The scope stands for the value in BuildKit's cache, so that such a step is not run again when the value changes: what it
made may hold a former one. So each value that such a step runs with is noted: of a secret of the store, its version, in
the store's log; of any other, the value itself, sealed, in the state directory. A step that comes from the cache ran
with one of those that were noted for it, and the image is searched for all of them.

A step is told by its text, which has the scope in it. Two of one text share their notes: that is more to search for.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from container_image.seal import NotSealedHereError, seal, unseal
from container_image.secrets import SecretValue
from container_image.state import build_key, derive, state_directory
from container_image.stored import note_step, step_versions

_PLACE = re.compile(r"^\[[^\]]*\] ")
_MOST = 100
_PENDING = "running"


@dataclass(frozen=True, slots=True, repr=False)
class CachedStep:
    """A step from the cache that may have run with another value of `secret` than those that were given.

    `values` are those that it may have run with, None where that is not known here.
    """

    secret: SecretValue
    step: str
    values: tuple[bytes, ...] | None


@dataclass
class ScopedSteps:
    """Notes what steps run with, and looks up what those in the cache ran with.

    `secrets` are those with a cache scope, by the ids that they are mounted under. Where results in the cache may have
    been made by somebody with the same build key and a state directory of his own, it is `shared`: what the state
    directory knows is then not all.
    """

    secrets: Mapping[str, SecretValue]
    shared: bool
    cached: list[CachedStep] = field(default_factory=list)
    _running: dict[tuple[str, str], Path] = field(default_factory=dict)
    _told: set[tuple[str, str, bool]] = field(default_factory=set)

    def begun(self, name: str) -> None:
        """A step begins, or is taken from the cache: that is yet to be told. A cached one may run after all."""
        for identifier, secret in self._mounted(name):
            if secret.stored is None and (identifier, name) not in self._running:
                self._running[identifier, name] = _note(_step(identifier, name), secret)

    def ended(self, name: str, shown: str, *, cached: bool, failed: bool) -> None:
        """A step is done, or came from the cache. One that failed leaves nothing there. `shown` is its name in messages."""
        for identifier, secret in self._mounted(name):
            step = _step(identifier, name)
            running = self._running.pop((identifier, name), None)
            if (cached or failed) and running is not None:
                running.unlink(missing_ok=True)
            if failed or (identifier, name, cached) in self._told:
                continue
            self._told.add((identifier, name, cached))
            if cached:
                self._look_up(step, shown, secret)
            elif secret.stored is not None:
                note_step(step, secret)
            else:
                # One for each value.
                note = running or _note(step, secret)
                note.replace(note.with_name(f"{step}.{_tag(step, secret.reveal())}"))

    def _mounted(self, name: str) -> Iterator[tuple[str, SecretValue]]:
        return ((identifier, secret) for identifier, secret in self.secrets.items() if identifier in name)

    def _look_up(self, step: str, shown: str, secret: SecretValue) -> None:
        values: tuple[bytes, ...] | None
        if secret.stored is not None:
            ran, kept = step_versions(step, secret)
            # What the store keeps of a secret is searched for anyway.
            values = () if ran and ran <= kept else None
            other = ran != {secret.stored.version}
        else:
            found = _noted(step)
            values = None if self.shared or not found or len(found) > _MOST else found
            other = not all(hmac.compare_digest(value, secret.reveal()) for value in found)
        if other or values is None:
            self.cached.append(CachedStep(secret, shown, values))


def _step(identifier: str, name: str) -> str:
    return _tag(identifier, _PLACE.sub("", name).encode("utf-8", "surrogatepass"))


def _tag(label: str, data: bytes) -> str:
    return hmac.digest(derive(build_key(), f"step {label}"), data, "sha256").hex()[:32]


def _note(step: str, secret: SecretValue) -> Path:
    path = state_directory("steps") / f"{step}.{_PENDING}-{os.urandom(8).hex()}"
    path.touch(mode=0o600)
    path.write_bytes(seal(derive(build_key(), "sealed step"), secret.reveal(), step))
    return path


def _noted(step: str) -> tuple[bytes, ...]:
    """The values that a step ran with on this machine, or may have, where the build was killed."""
    key = derive(build_key(), "sealed step")
    found = set()
    for path in state_directory("steps").glob(f"{step}.*"):
        # One that another build takes back at this moment was not run with.
        with contextlib.suppress(FileNotFoundError, NotSealedHereError):
            found.add(unseal(key, path.read_bytes(), step))
    return tuple(sorted(found))
