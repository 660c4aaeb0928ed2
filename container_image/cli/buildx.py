"""The options of `docker buildx build` that `build` and `check` take, and what each changes in a build."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from container_image.build import BuildRequest, parse_caches, parse_outputs
from container_image.cli import command as base
from container_image.cli.options import Command, environment_options, secret_option
from container_image.cli.streams import say
from container_image.errors import InvalidInputError

PASSED_ON = {
    "add-host": ("HOST:IP", "Add a line to /etc/hosts in RUN steps."),
    "allow": ("ENTITLEMENT", "Allow RUN steps an extra privilege, such as network.host."),
    "annotation": ("NAME=VALUE", "Annotate the image."),
    "attest": ("type=TYPE,…", "Attach an attestation to the image: sbom or provenance."),
    "cgroup-parent": ("NAME", "Run RUN steps in this cgroup."),
    "no-cache-filter": ("STAGE", "Don't take the steps of this stage from the cache."),
    "provenance": ("false|mode=MODE", "Attach provenance to the image, or don't."),
    "sbom": ("true|false", "Attach a list of the image's software."),
    "shm-size": ("SIZE", "The size of /dev/shm in RUN steps."),
    "ulimit": ("NAME=SOFT:HARD", "Limit what RUN steps use."),
}
"""Options that are passed on to BuildKit: each with its value's form, and its help."""

REFUSED = {
    "call": "`container-image check` is --call=check, with more",
    "check": "`container-image check` does that, and more",
}
"""Options that can't be honoured, each with the reason."""

IGNORED = {"compress": "", "rm": "", "force-rm": "", "squash": ""}
IGNORED_VALUES = {
    "cpu-period": "", "cpu-quota": "", "cpu-shares": "c", "cpuset-cpus": "", "cpuset-mems": "", "isolation": "",
    "memory": "m", "memory-swap": "", "security-opt": "",
}  # fmt: skip
"""Options of the builder before BuildKit: `docker build` takes them still, and they have no effect there either. Each
with its letter, if it has one."""

BUILD_SECTIONS = {
    "Secrets": (
        "secrets", "environments", "all_environments", "earlier", "cache_scopes", "ssh", "allow_unused",
        "secret_tmpdir", "keep_history", "forget_history",
    ),
    "Audit": (
        "no_audit", "accept_unread", "accept_unsearchable", "accept_base", "fail_on_warning", "max_depth", "max_bytes",
        "max_ratio", "max_seconds",
    ),
    "Output": (
        "tags", "push", "outputs", "load", "iidfile", "metadata_file", "form", "reports", "quiet", "progress",
    ),
    "Build, as in docker buildx build": (
        "file", "build_args", "build_args_public", "stage", "platforms", "build_contexts", "labels", "no_cache", "cache_from", "cache_to",
        "pull", "network", "builder", *(name.replace("-", "_") for name in PASSED_ON),
    ),
}  # fmt: skip
"""The groups of options in the help of `build` and `check`: titles, and the names of the options' parameters."""


class DockerCommand(base.Command):
    """A command whose flags take `=true` and `=false` too, as Docker's do."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # Each flag with what says the opposite, where something does.
        flags = {
            name: option.secondary_opts[:1]
            for option in self.params
            if isinstance(option, click.Option) and option.is_flag
            for name in option.opts
        }
        given = []
        for argument in args:
            name, separator, value = argument.partition("=")
            if separator and name in flags and value.lower() in ("true", "false", "1", "0", "t", "f"):
                given += [name] if value.lower() in ("true", "1", "t") else flags[name]
            else:
                given.append(argument)
        return super().parse_args(ctx, given)


def buildx_options(function: Command) -> Command:
    """Adds the options that `build` and `check` share."""
    options = [
        click.option("-f", "--file", metavar="PATH", help="The Dockerfile, unless it is CONTEXT/Dockerfile."),
        secret_option,
        environment_options,
        click.option(
            "-t", "--tag", "tags", multiple=True, metavar="NAME[:TAG]", help="Name the image so if it is clean."
        ),
        click.option("--build-arg", "build_args", multiple=True, metavar="NAME[=VALUE]", help="Set a build argument."),
        click.option(
            "--build-arg-public",
            "build_args_public",
            multiple=True,
            metavar="NAME",
            help="This build argument holds no credential, whatever its name or value looks like.",
        ),
        click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="Label the image."),
        click.option(
            "--build-context", "build_contexts", multiple=True, metavar="NAME=PATH", help="Add a named build context."
        ),
        click.option("--cache-from", multiple=True, metavar="CACHE", help="Read the build cache from there."),
        click.option(
            "--cache-to", multiple=True, metavar="CACHE", help="Write the build cache there if it is clean too."
        ),
        click.option("--ssh", multiple=True, metavar="default|ID[=SOCKET|KEY]", help="Give steps an SSH agent or key."),
        click.option("--platform", "platforms", multiple=True, metavar="OS/ARCH", help="Build for this platform."),
        click.option("--target", "stage", metavar="STAGE", help="Build this stage of the Dockerfile."),
        click.option("--network", type=click.Choice(["default", "none", "host"]), help="The network of RUN steps."),
        click.option("--builder", metavar="NAME", help="Build with this buildx builder or Docker context."),
        click.option("--no-cache", is_flag=True, help="Run every step, also those that are in the cache."),
        click.option("--pull", is_flag=True, help="Look for newer base images."),
        click.option(
            "-o",
            "--output",
            "outputs",
            multiple=True,
            metavar="type=TYPE,dest=PATH",
            help="Write the image or its files there if it is clean.",
        ),
        click.option("--push", is_flag=True, help="Push the image to the registry of its name if it is clean."),
        click.option("--load", is_flag=True, help="Nothing more: a clean image is in the engine's store anyway."),
        click.option("--iidfile", metavar="PATH", help="Write the image's digest to a file."),
        click.option("--metadata-file", metavar="PATH", help="Write BuildKit's metadata to a file."),
        click.option("--allow-unused", is_flag=True, help="Build although a secret is given that no step mounts."),
        click.option(
            "--secret-tmpdir",
            metavar="DIRECTORY",
            help="Give BuildKit the secrets in short-lived files in this directory, instead of in memory.",
        ),
        click.option(
            "--secret-cache-scope",
            "cache_scopes",
            multiple=True,
            metavar="ID=SCOPE",
            help="Keep the steps that mount this secret in the cache while its value changes. Each scope has its own steps.",
        ),
        click.option(
            "--keep-history", is_flag=True, help="Keep the builder's record of the build even if its log holds a value."
        ),
        click.option("--forget-history", is_flag=True, help="Remove the builder's record of the build in any case."),
        *(
            click.option(f"--{name}", multiple=True, metavar=form, help=text)
            for name, (form, text) in PASSED_ON.items()
        ),
        *(
            click.option(f"--{name}", is_flag=False, flag_value="", expose_value=False, hidden=True, callback=_refuse)
            for name in REFUSED
        ),
        *(_ignored(name, letter, is_flag=True) for name, letter in IGNORED.items()),
        *(_ignored(name, letter) for name, letter in IGNORED_VALUES.items()),
    ]
    for option in reversed(options):
        function = option(function)
    return function


def apply(request: BuildRequest, options: dict[str, Any]) -> BuildRequest:
    """The build with what the options add to it or put in its place."""
    platforms = tuple(name for item in options["platforms"] for name in item.split(","))
    outputs = parse_outputs(options["outputs"], push=options["push"])
    passed = [f"--{name}={value}" for name in PASSED_ON for value in options[name.replace("-", "_")]]
    return replace(
        request,
        build_args={**request.build_args, **_pairs("--build-arg", options["build_args"])},
        build_args_public=request.build_args_public.union(options["build_args_public"]),
        labels={**request.labels, **_pairs("--label", options["labels"])},
        build_contexts={**request.build_contexts, **_pairs("--build-context", options["build_contexts"])},
        cache_from=(*request.cache_from, *options["cache_from"]),
        cache_to=(*request.cache_to, *parse_caches(options["cache_to"])),
        ssh=(*request.ssh, *options["ssh"]),
        platforms=platforms or request.platforms,
        target=options["stage"] or request.target,
        network=options["network"],
        builder=options["builder"],
        no_cache=options["no_cache"],
        pull=options["pull"],
        tags=(*options["tags"], *outputs.names),
        push=outputs.push,
        image_options={**request.image_options, **outputs.image},
        exports=outputs.files,
        iidfile=_path(options["iidfile"]),
        metadata_file=_path(options["metadata_file"]),
        options=tuple(passed),
        allow_unused=options["allow_unused"],
        secret_tmpdir=_path(options["secret_tmpdir"]),
        keep_history=options["keep_history"],
        forget_history=options["forget_history"],
    )


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def _refuse(_context: click.Context, option: click.Parameter, value: str | None) -> None:
    if value is not None:
        raise InvalidInputError(f"--{option.name}: can't be honoured here: {REFUSED[str(option.name)]}")


def _ignored(name: str, letter: str, *, is_flag: bool = False) -> Callable[[Command], Command]:
    letters = [f"-{letter}"] if letter else []
    return click.option(
        *letters, f"--{name}", is_flag=is_flag, multiple=not is_flag, hidden=True, expose_value=False,
        callback=_say_ignored,
    )  # fmt: skip


def _say_ignored(_context: click.Context, option: click.Parameter, value: object) -> None:
    # --rm, --force-rm and --compress ask for what BuildKit does by itself.
    if value and option.name not in ("rm", "force_rm", "compress"):
        say(f"{option.opts[-1]} has no effect with BuildKit, as in docker")


def _pairs(option: str, given: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for text in given:
        name, separator, value = text.partition("=")
        if not name or (not separator and option != "--build-arg"):
            raise InvalidInputError(f"{option}: expected NAME=VALUE")
        if separator:
            pairs[name] = value
        elif name in os.environ:
            # As Docker: a name alone takes the variable's value, and is left out where there is none.
            pairs[name] = os.environ[name]
    return pairs
