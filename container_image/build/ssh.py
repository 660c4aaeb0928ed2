"""The agents and keys of `--ssh`, looked at before buildx does, whose errors show its own data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

_VARIABLE = "SSH_AUTH_SOCK"


def ssh_problems(specs: Iterable[str], environment: Mapping[str, str]) -> Iterator[str]:
    """A message for each `default|ID[=SOCKET|KEY[,KEY]]` that buildx would refuse because a file is not there."""
    for spec in specs:
        name, _, places = spec.partition("=")
        paths = [place for place in places.split(",") if place and not place.startswith("raw=")]
        for path in paths:
            if not Path(path).exists():
                yield f"--ssh {name}: {path}: no such socket or key; name one that exists"
        if paths:
            continue
        remedy = f"start one (`eval $(ssh-agent)` and `ssh-add`), or name a key: --ssh {name}=$HOME/.ssh/id_ed25519"
        agent = environment.get(_VARIABLE)
        if not agent:
            yield f"--ssh {name}: there is no SSH agent, as {_VARIABLE} is not set; {remedy}"
        elif not Path(agent).exists():
            yield f"--ssh {name}: there is no SSH agent at {agent}, which {_VARIABLE} names; {remedy}"
