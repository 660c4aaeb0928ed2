"""Which cache mounts may hold what a step made of a secret, and so need its tag.

A step that mounts a secret and a cache leaves in the cache what it made of the value, and whoever mounts that cache
afterwards reads it. So the cache of such a step is one for each value: its id gets the tag. The steps that come after
it, in its stage or in one that takes something from it, get the same cache, because they may count on what is in it;
their results depend on the step's anyway, so that this rebuilds nothing which a changed value would not. What comes
before keeps the plain cache: it mounts no secret and is not to be rebuilt for one.

A cache that several steps mount beside different secrets gets the tags of all, in each of them: tagged step by step, it
would be several caches, where the Dockerfile has one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

from container_image.build.stages import with_origins
from container_image.dockerfile import Dockerfile, Mount, Scope, expand


def tainted_caches(
    dockerfile: Dockerfile,
    mounted: Mapping[int, Sequence[Mount]],
    scopes: Mapping[int, Scope],
    tags: Mapping[int, Collection[str]],
) -> Iterator[tuple[Mount, list[str]]]:
    """The cache mounts to tag, each with its tags. `tags` are those of the secrets; these and mounts are by the step's line."""
    caches = {
        line: [(mount, _id(mount, scopes[line], dockerfile.escape)) for mount in found if mount.type == "cache"]
        for line, found in mounted.items()
    }
    beside: defaultdict[str, set[str]] = defaultdict(set)
    for line, found in tags.items():
        for _, identifier in caches[line]:
            beside[identifier].update(found)
    reached: dict[int, set[str]] = {}
    for stage in dockerfile.stages:
        here: set[str] = set()
        for item, sources in with_origins(dockerfile, stage, mounted, scopes):
            for source in sources:
                here |= reached[source.index]
            if tags.get(item.line):
                here.update(identifier for _, identifier in caches[item.line])
            for mount, identifier in caches.get(item.line, []):
                if identifier in here:
                    yield mount, sorted(beside[identifier])
        reached[stage.index] = here


def _id(mount: Mount, scope: Scope, escape: str) -> str:
    return expand(mount.effective_id, scope, escape) or mount.effective_id
