"""What can be said before a build starts: everything that would fail, or ship a value as written, in one error."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from container_image.build.mounted import Mounted, written_mounts
from container_image.build.redact import Redactor, patterns
from container_image.build.remote import is_remote
from container_image.build.request import BuildRequest
from container_image.build.tagging import RESERVED
from container_image.dockerfile import parse
from container_image.errors import InvalidInputError, PreflightError
from container_image.excludes import docker_excludes
from container_image.near import near
from container_image.secrets import SecretValue, inner_values
from container_image.secrets.value import MAX_SIZE
from container_image.shown import is_name, quoted, shown

_MIN_WRITTEN = 8
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
# The grammar of distribution's reference package, without a digest.
_REFERENCE = re.compile(
    rf"(?:[A-Za-z0-9.-]+(?::\d+)?/|\[[0-9A-Fa-f:]+\](?::\d+)?/)?{_COMPONENT}(?:/{_COMPONENT})*(?::\w[\w.-]{{0,127}})?",
    re.ASCII,
)


def preflight(request: BuildRequest, mounted: Collection[Mounted] | None = None) -> None:
    """Checks a build. `mounted` are the secrets that the target mounts, None where that is not known.

    Raises:
        PreflightError: with every problem.
        DockerfileError: the Dockerfile can't be parsed.
    """
    written = list(_written(request))
    problems = [
        *_tags(request),
        *_names(request),
        *_overrides(request),
        *(_mounts(request, mounted) if mounted is not None else ()),
        *_files(request),
        *written,
    ]
    if problems:
        raise PreflightError(problems, would_ship=bool(written))


def check_contexts(request: BuildRequest) -> None:
    """Checks that the named contexts are there, because BuildKit's own error on one that is not says no next step.

    Raises:
        PreflightError: with every context that is not.
    """
    missing = {
        name: place
        for name, place in request.build_contexts.items()
        if not (Path(place).is_dir() or "://" in place or is_remote(place))
    }
    if missing:
        raise PreflightError(
            [
                f"build context {quoted(name)}: {shown(place)}: no such directory; name one, or a URL, docker-image://NAME or oci-layout://PATH"
                for name, place in missing.items()
            ]
        )


def _tags(request: BuildRequest) -> Iterator[str]:
    for tag in request.tags:
        if not _REFERENCE.fullmatch(tag):
            yield f"{quoted(tag)} is no name for an image; write [HOST[:PORT]/]name[:TAG], the name in lower case"
    if request.push and not request.tags:
        yield "there is no name to push the image under; give one with -t HOST/NAME:TAG"
    if request.keep_history and request.forget_history:
        yield "--keep-history and --forget-history contradict each other; give one of them"


def _names(request: BuildRequest) -> Iterator[str]:
    for name, value in request.secrets.items():
        if not name or not all(character.isprintable() or character == "\t" for character in name):
            yield f"secret {quoted(name)}: its id is empty or has control characters; give it one that can be printed"
        if len(value) > MAX_SIZE:
            yield f"secret {quoted(name)} is {len(value)} bytes; BuildKit takes {MAX_SIZE} at most: give less, or COPY nothing secret"


def _overrides(request: BuildRequest) -> Iterator[str]:
    """What is written behind the last stage is for that one, so that is the stage to build."""
    given = ["entrypoint and cmd"] if request.entrypoint is not None or request.cmd is not None else []
    given += ["requirements"] if request.own_lines is not None else []
    if request.target is not None and given:
        last = parse(request.dockerfile).stages[-1]
        if request.target.lower() not in ((last.name or "").lower(), str(last.index)):
            yield f"{' and '.join(given)} apply to the last stage, and the target is {request.target!r}; build the last stage"


def _mounts(request: BuildRequest, mounted: Collection[Mounted]) -> Iterator[str]:
    written = written_mounts(request)
    missing = {item.name: item for item in mounted if item.required and not item.is_given(request)}
    for name, item in missing.items():
        yield f"{request.place(item.line)}: the secret {name!r} is required by a mount and not given; {_advice(name)}"
    names = {item.name for item in (*mounted, *written)}
    for name in request.secrets:
        # Reports name each secret, so a name that may be the value itself must be in the Dockerfile.
        allowed = request.allow_unused and is_name(name)
        if allowed or name in names or RESERVED.fullmatch(name):
            continue
        like = _nearest(name, [item for item in written if not item.is_given(request)])
        if like is not None:
            yield f"secret {quoted(name)} is given and never mounted; did you mean {like.name!r}, which {request.place(like.line)} mounts?"
        else:
            yield (
                f"secret {quoted(name)} is given and never mounted; add RUN --mount=type=secret,id={shown(name, 'NAME')}, drop the secret, "
                "or allow it (--allow-unused)"
            )
    yield from _collisions(request, written)


def not_given(request: BuildRequest, mounted: Iterable[Mounted]) -> list[str]:
    """Messages on the secrets that are mounted without being required, and that the build was not given."""
    return [
        f"{request.place(item.line)}: the secret {item.name!r} is mounted and not given, so the step runs without it; {_advice(item.name)}"
        for item in {item.name: item for item in mounted if not item.required and not item.is_given(request)}.values()
    ]


def _advice(name: str) -> str:
    return f"give it, as --secret id={name},env=… or in `secrets`"


def _nearest(name: str, mounted: Sequence[Mounted]) -> Mounted | None:
    """The mount whose id is spelled most like a name."""
    by_name = {item.name: item for item in mounted}
    found = near(name, by_name)
    return by_name[found[0]] if found else None


def _collisions(request: BuildRequest, written: Iterable[Mounted]) -> Iterator[str]:
    """Two secrets that a step finds at one path: the second would hide the first."""
    found: dict[tuple[int | None, str | None], str] = {}
    for item in written:
        other = found.setdefault((item.line, item.place), item.name)
        if item.place is not None and other != item.name and item.name in request.secrets:
            yield (
                f"{request.place(item.line)}: secrets {other!r} and {item.name!r} would both be /run/secrets/{item.place}; "
                "give one mount a target"
            )


def _files(request: BuildRequest) -> Iterator[str]:
    """A secret's file is sent with the context that it is in, whether a COPY takes it or not.

    A link to it is sent as a link, and what BuildKit fetches by itself is not looked into.
    """
    contexts = {"": (request.context, ignore_text(request), ".dockerignore")}
    for name, place in request.build_contexts.items():
        # A context with a name has an ignore file of its own.
        ignore = Path(place) / ".dockerignore"
        if Path(place).is_dir():
            contexts[f" {name!r}"] = (Path(place), _read(ignore) or "", str(ignore))
    held = request.held
    for context, (directory, rules, file) in contexts.items():
        if isinstance(directory, str):
            continue
        try:
            root = directory.resolve(strict=True)
        except OSError:
            raise InvalidInputError(f"{directory}: no such build context; name a directory") from None
        for name, source in request.sources.items():
            if source.path is None or name not in held or not held[name].sensitive:
                continue
            resolved = source.path.resolve()
            if resolved.is_relative_to(root):
                inside = resolved.relative_to(root).as_posix()
                if not docker_excludes(rules, inside):
                    yield f"secret {name!r} is the file {inside} in the build context{context}, and no ignore rule excludes it; add /{inside} to {file}"


def ignore_text(request: BuildRequest) -> str:
    """The ignore file that BuildKit will read: the request's, else the Dockerfile's own, else the context's.

    It reads none for a context that it fetches.
    """
    if request.ignore is not None or isinstance(request.context, str):
        return request.ignore or ""
    text = None
    if request.dockerfile_path is not None:
        text = _read(request.dockerfile_path.with_name(request.dockerfile_path.name + ".dockerignore"))
    if text is None:
        text = _read(request.context / ".dockerignore")
    return text or ""


def _read(path: Path) -> str | None:
    """An ignore file's text, with its own line ends, or None where there is none."""
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InvalidInputError(f"{path}: can't be read: {error.strerror}; correct it") from None


def _written(request: BuildRequest) -> Iterator[str]:
    places = [(f"build argument {key}", text) for key, text in request.build_args.items()]
    places += [(f"label {key}", text) for key, text in request.labels.items()]
    places += [("name of a build argument", key) for key in request.build_args]
    places += [("name of a label", key) for key in request.labels]
    places += [("name of the image", tag) for tag in request.tags]
    places += [(f"option {option.partition('=')[0]}", option) for option in request.options]
    for key, words in (("entrypoint", request.entrypoint), ("cmd", request.cmd)):
        if words is not None:
            places.append((key, words if isinstance(words, str) else "\n".join(words)))
    lines = request.dockerfile.splitlines()
    values = (*request.secrets.values(), *request.beside)
    redacted = Redactor(values)
    whole = request.dockerfile.encode("utf-8", "surrogateescape")
    encoded = [line.encode("utf-8", "surrogateescape") for line in lines]
    for value in values:
        if not value.sensitive:
            continue
        found = _patterns(value)
        for place, text in places:
            for name, _ in _found_in(value, found, text.encode("utf-8", "surrogateescape")):
                yield f"the value of secret {name} is in the {redacted.text(place)}, which ships; mount the secret instead"
        for name, written in _found_in(value, found, whole):
            line = next(
                (number for number, text in enumerate(encoded, 1) if any(data in text for data in written)), None
            )
            yield f"{request.place(line)}: the value of secret {name} is written in the Dockerfile, which ships in the history; mount it instead"


def _found_in(value: SecretValue, found: list[bytes], text: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """The name of what of a value is in a text, with the byte strings that show it.

    These are the values inside a structured secret (`env:TOKEN`); where none of them is there, the secret itself.
    """
    if not any(data in text for data in found):
        return
    inner: dict[str, list[bytes]] = {}
    for version in (value.reveal(), *value.earlier):
        for item in inner_values(SecretValue(value.name, version)):
            if not item.public and not item.whole:
                inner.setdefault(item.name, []).extend(_patterns(SecretValue(item.name, item.value)))
    named = {name: written for name, written in inner.items() if any(data in text for data in written)}
    for name, written in (named or {value.name: found}).items():
        yield (repr(name) if value.environment is None else f"{name!r} of {value.environment}"), written


def _patterns(value: SecretValue) -> list[bytes]:
    return [data for data in patterns(value) if len(data) >= _MIN_WRITTEN]
