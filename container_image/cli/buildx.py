"""The options of `docker buildx build` that `build` and `check` take, and what each changes in a build."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from container_image.build import BuildRequest, parse_caches, parse_outputs
from container_image.cli.options import Command, environment_options, secret_option
from container_image.errors import InvalidInputError

PASSED_ON = {
    "add-host": ("HOST:IP", "A line for /etc/hosts in RUN steps."),
    "allow": ("ENTITLEMENT", "An extra privilege, such as network.host."),
    "annotation": ("NAME=VALUE", "An annotation of the image."),
    "attest": ("type=TYPE,…", "An attestation, as sbom or provenance."),
    "cgroup-parent": ("NAME", "The parent cgroup of RUN steps."),
    "no-cache-filter": ("STAGE", "Run every step of this stage again."),
    "provenance": ("false|mode=MODE", "The provenance attestation."),
    "sbom": ("true|false", "The SBOM attestation."),
    "shm-size": ("SIZE", "The size of /dev/shm in RUN steps."),
    "ulimit": ("NAME=SOFT:HARD", "A limit of RUN steps."),
}
"""Options that BuildKit alone is concerned with: each with its value's form, and what it is for."""

REFUSED = {
    "call": "`container-image check` is --call=check, with more",
    "check": "`container-image check` does that, and more",
}
"""Options that can't be honoured, each with the reason."""


class DockerCommand(click.Command):
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
    """Everything that a build and a check can be told alike."""
    options = [
        click.option("-f", "--file", metavar="PATH", help="The Dockerfile, when it is not CONTEXT/Dockerfile."),
        secret_option,
        environment_options,
        click.option(
            "-t", "--tag", "tags", multiple=True, metavar="NAME[:TAG]", help="A name for the image, once it is clean."
        ),
        click.option("--build-arg", "build_args", multiple=True, metavar="NAME[=VALUE]", help="A build argument."),
        click.option(
            "--build-arg-public",
            "build_args_public",
            multiple=True,
            metavar="NAME",
            help="This build argument holds no credential, whatever its name or value looks like.",
        ),
        click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="A label of the image."),
        click.option("--build-context", "build_contexts", multiple=True, metavar="NAME=PATH", help="A named context."),
        click.option("--cache-from", multiple=True, metavar="CACHE", help="A cache to read."),
        click.option("--cache-to", multiple=True, metavar="CACHE", help="Where to send the cache, once it is clean."),
        click.option("--ssh", multiple=True, metavar="default|ID[=SOCKET|KEY]", help="An SSH agent or key."),
        click.option("--platform", "platforms", multiple=True, metavar="OS/ARCH", help="A platform to build for."),
        click.option("--target", "stage", metavar="STAGE", help="The stage to build."),
        click.option("--network", type=click.Choice(["default", "none", "host"]), help="The network of RUN steps."),
        click.option("--builder", metavar="NAME", help="The buildx builder, or a Docker context."),
        click.option("--no-cache", is_flag=True, help="Run every step again."),
        click.option("--pull", is_flag=True, help="Look for newer base images."),
        click.option(
            "-o", "--output", "outputs", multiple=True, metavar="type=TYPE,dest=PATH", help="A file to write."
        ),
        click.option("--push", is_flag=True, help="Push the image, once it is clean."),
        click.option("--load", is_flag=True, help="Nothing more: a clean image is in the engine's store anyway."),
        click.option("--iidfile", metavar="PATH", help="Write the image's digest to a file."),
        click.option("--metadata-file", metavar="PATH", help="Write BuildKit's metadata to a file."),
        click.option("--allow-unused", is_flag=True, help="Accept secrets that no step mounts."),
        click.option("--secret-tmpdir", metavar="DIRECTORY", help="Hand secrets over in files there, not in memory."),
        click.option(
            "--secret-cache-scope",
            "cache_scopes",
            multiple=True,
            metavar="ID=SCOPE",
            help="Keep the steps that mount this secret in the cache while its value changes; each scope has its own.",
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
