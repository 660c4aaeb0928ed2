"""What an audit looks for: every version of every secret, and the values inside those that have some."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from container_image.audit.needles import Target, targets
from container_image.audit.policy import AuditPolicy
from container_image.audit.report import SearchedSecret
from container_image.forms import searchable
from container_image.records import Record, built_with
from container_image.secrets import SecretValue, look_inside


@dataclass
class Hunted:
    """The targets, and for the report a row for each name; `roots` maps a name to the declared secret it belongs to.

    `incomplete` is true when something that should have been searched for can't be, or was not given (the value that
    the image was built with), and the policy doesn't accept it.
    """

    targets: list[Target] = field(default_factory=list)
    rows: dict[str, SearchedSecret] = field(default_factory=dict)
    roots: dict[str, str] = field(default_factory=dict)
    incomplete: bool = False

    def root_of(self, target: Target) -> str:
        """The declared secret that a target's value comes from."""
        return self.roots[target.secret]


def hunt(secrets: Mapping[str, SecretValue], policy: AuditPolicy, record: Record | None = None) -> Hunted:
    """Turns the values into targets. `record` is what is known of the image's build.

    A structured secret is hunted as a whole only where all of it is there: a part of it is a leak if it holds one of
    the values inside, and those are hunted on their own.
    """
    hunted = Hunted()
    for secret in secrets.values():
        if not secret.sensitive:
            hunted.rows[secret.name] = SearchedSecret(name=secret.name, searched=False, reason="declared public")
            continue
        for version, value in enumerate((secret.reveal(), *secret.earlier), start=1):
            _add_version(hunted, policy, secret.name, version, value)
        told = built_with(record, secret.name, secret)
        hunted.rows[secret.name] = hunted.rows[secret.name].model_copy(update={"built_with": told})
        hunted.incomplete |= told == "different"
    return hunted


def _add_version(hunted: Hunted, policy: AuditPolicy, name: str, version: int, value: bytes) -> None:
    inside = look_inside(SecretValue(name, value))
    structured = False
    for item in inside.values:
        reason = "public by key" if item.public else searchable(item.value)
        accepted = item.name in policy.accept_unsearchable or name in policy.accept_unsearchable
        row = SearchedSecret(
            name=item.name, versions=version, searched=reason is None, reason=reason, accepted=bool(reason and accepted)
        )
        _add_row(hunted, row, root=name)
        if reason is None:
            structured = True
            hunted.targets.extend(targets(item.name, version, item.value, whole_only=item.whole))
        elif item.credential and not item.public and not accepted:
            hunted.incomplete = True
    if inside.omitted:
        accepted = name in policy.accept_unsearchable
        row = SearchedSecret(
            name=f"{name}:more", versions=version, searched=False, reason="too many", accepted=accepted
        )
        _add_row(hunted, row, root=name)
        hunted.incomplete |= not accepted
    if inside.unlisted:
        more = SearchedSecret(name=f"{name}:more (public)", versions=version, searched=False, reason="public by key")
        _add_row(hunted, more, root=name)
    # Certificates and public keys are never needles, so a file of nothing else holds nothing to search for.
    reason = "public by key" if inside.public else searchable(value)
    accepted = name in policy.accept_unsearchable
    row = SearchedSecret(
        name=name, versions=version, searched=reason is None, reason=reason, accepted=bool(reason and accepted)
    )
    _add_row(hunted, row, root=name)
    if reason is None:
        hunted.targets.extend(targets(name, version, value, whole_only=structured))
    elif not inside.public and not accepted:
        hunted.incomplete = True


def _add_row(hunted: Hunted, row: SearchedSecret, *, root: str) -> None:
    """One row for each name; if any of its versions can't be searched for, the row says so."""
    hunted.roots[row.name] = root
    earlier = hunted.rows.get(row.name)
    if earlier is not None and not earlier.searched:
        row = earlier.model_copy(update={"versions": row.versions})
    hunted.rows[row.name] = row


def ordered(rows: Iterable[SearchedSecret]) -> tuple[SearchedSecret, ...]:
    """Declared secrets in their order, each before the values inside it."""
    listed = list(rows)
    places = {row.name: place for place, row in enumerate(listed) if ":" not in row.name}
    return tuple(sorted(listed, key=lambda row: (places.get(row.name.split(":")[0], len(listed)), row.name)))
