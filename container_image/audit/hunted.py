"""What an audit looks for: every version of every secret, and the values inside those that have some."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from container_image.audit.needles import Target, targets
from container_image.audit.policy import AuditPolicy
from container_image.audit.report import SearchedSecret, Unsearched
from container_image.forms import searchable
from container_image.records import Record, built_with, with_former
from container_image.secrets import SecretValue, look_inside
from container_image.secrets.value import labelled

_Named = tuple[str | None, str]


@dataclass
class Hunted:
    """The targets, and for the report a row for each environment and name; `roots` has the secret that it belongs to.

    `incomplete` is true when something that should have been searched for can't be, or was not given (the value that
    the image was built with), and the policy doesn't accept it.
    """

    targets: list[Target] = field(default_factory=list)
    rows: dict[_Named, SearchedSecret] = field(default_factory=dict)
    roots: dict[_Named, str] = field(default_factory=dict)
    incomplete: bool = False

    def root_of(self, target: Target) -> str:
        """The declared secret that a target's value comes from."""
        return self.roots[target.environment, target.secret]


def hunt(
    secrets: Iterable[SecretValue], policy: AuditPolicy, record: Record | None = None, unknown: Collection[str] = ()
) -> Hunted:
    """Turns the values into targets. `record` is what is known of the image's build: the values in it are hunted too.

    `unknown` are the secrets of which the image may hold values that are neither given nor in the record.

    A structured secret is hunted as a whole only where all of it is there: a part of it is a leak if it holds one of
    the values inside, and those are hunted on their own.
    """
    hunted = Hunted()
    searched: list[tuple[SecretValue, tuple[bytes, ...]]] = []
    for secret in with_former(tuple(secrets), record):
        if secret.public is not None:
            _add_row(hunted, _row(secret, secret.name, 1, secret.public, policy), root=secret.name)
            continue
        versions = tuple(dict.fromkeys((secret.reveal(), *secret.earlier)))
        for version, value in enumerate(versions, start=1):
            _add_version(hunted, policy, secret, version, value)
        searched.append((secret, versions))
    told = {id(secret): built_with(record, secret.name, versions) for secret, versions in searched}
    same = {secret.name for secret, _ in searched if told[id(secret)] == "same"}
    for secret, _ in searched:
        outcome = told[id(secret)]
        if secret.name in unknown:
            outcome = "different"
        elif secret.name in same and outcome == "different":
            # It was built in another of the environments that it is audited against.
            outcome = "unknown"
        named = secret.environment, secret.name
        hunted.rows[named] = hunted.rows[named].model_copy(update={"built_with": outcome})
        hunted.incomplete |= outcome == "different"
    return hunted


def _add_version(hunted: Hunted, policy: AuditPolicy, secret: SecretValue, version: int, value: bytes) -> None:
    name = secret.name
    inside = look_inside(SecretValue(name, value))
    structured = False
    for item in inside.values:
        if item.public and item.whole:
            # A URL, say, that is public but for what is hunted in it.
            continue
        reason = "public by key" if item.public else searchable(item.value)
        row = _row(secret, item.name, version, reason, policy)
        _add_row(hunted, row, root=name)
        if reason is None:
            structured = True
            hunted.targets += targets(
                item.name, version, item.value, whole_only=item.whole, environment=secret.environment
            )
        elif item.credential and not item.public and not row.accepted:
            hunted.incomplete = True
    if inside.omitted:
        row = _row(secret, f"{name}:more", version, "too many", policy)
        _add_row(hunted, row, root=name)
        hunted.incomplete |= not row.accepted
    if inside.unlisted:
        _add_row(hunted, _row(secret, f"{name}:more (public)", version, "public by key", policy), root=name)
    # Certificates and public keys are never needles, so a file of nothing else holds nothing to search for.
    reason = "public by key" if inside.public else searchable(value)
    row = _row(secret, name, version, reason, policy)
    _add_row(hunted, row, root=name)
    if reason is None:
        hunted.targets += targets(name, version, value, whole_only=structured, environment=secret.environment)
    elif not inside.public and not row.accepted:
        hunted.incomplete = True


def _row(
    secret: SecretValue, name: str, versions: int, reason: Unsearched | None, policy: AuditPolicy
) -> SearchedSecret:
    public = reason in ("declared public", "public by key")
    accepted = reason is not None and not public and not {name, secret.name}.isdisjoint(policy.accept_unsearchable)
    return SearchedSecret(
        name=name,
        environment=secret.environment,
        versions=versions,
        searched=reason is None,
        reason=reason,
        accepted=accepted,
    )


def _add_row(hunted: Hunted, row: SearchedSecret, *, root: str) -> None:
    """One row for each name; if any of its versions can't be searched for, the row says so."""
    named = row.environment, row.name
    hunted.roots[named] = labelled(root, row.environment)
    earlier = hunted.rows.get(named)
    if earlier is not None and not earlier.searched:
        row = earlier.model_copy(update={"versions": row.versions})
    hunted.rows[named] = row


def ordered(rows: Iterable[SearchedSecret]) -> tuple[SearchedSecret, ...]:
    """Declared secrets in their order, each before the values inside it."""
    listed = list(rows)
    places = {(row.environment, row.name): place for place, row in enumerate(listed) if ":" not in row.name}
    return tuple(
        sorted(listed, key=lambda row: (places.get((row.environment, row.name.split(":")[0]), len(listed)), row.name))
    )
