"""Which stages of a Dockerfile take something from which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from container_image.dockerfile import Dockerfile, Instruction, Mount, Scope, Stage, expand


def with_origins(
    dockerfile: Dockerfile, stage: Stage, mounted: Mapping[int, Sequence[Mount]], scopes: Mapping[int, Scope]
) -> Iterator[tuple[Instruction, list[Stage]]]:
    """Each instruction of a stage with the earlier stages that it reads; `mounted` and `scopes` are by its line."""
    for item in stage.instructions:
        named = [stage.base] if item.keyword == "FROM" else [(item.trigger or item).flag("from")]
        named += [mount.origin for mount in mounted.get(item.line, [])]
        names = [expand(name, scopes[item.line], dockerfile.escape) or name for name in filter(None, named)]
        found = [dockerfile.stage(name, before=stage.index) for name in names]
        yield item, [source for source in found if source is not None]


def needed_stages(
    dockerfile: Dockerfile, target: str | None, mounted: Mapping[int, Sequence[Mount]], scopes: Mapping[int, Scope]
) -> set[int]:
    """The numbers of the stages that the target is made of."""
    built = dockerfile.stage(target)
    waiting = [] if built is None else [built]
    found: set[int] = set()
    while waiting:
        stage = waiting.pop()
        if stage.index not in found:
            found.add(stage.index)
            waiting += [source for _, sources in with_origins(dockerfile, stage, mounted, scopes) for source in sources]
    return found
