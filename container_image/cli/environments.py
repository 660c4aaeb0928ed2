"""`container-image environments`: makes, lists and deletes the store's environments."""

from __future__ import annotations

import sys

import click

from container_image.cli.once import once
from container_image.cli.secrets import debug_option, json_option, open_store
from container_image.cli.streams import say
from container_image.cli.tables import local, show_json, show_table, utc
from container_image.errors import InvalidInputError


@click.group()
def environments() -> None:
    """Keep secrets apart: an environment has its own, and its own key."""


@environments.command("create")
@click.argument("name")
@once("--description", metavar="TEXT", help="What it is for.")
@debug_option
def create_command(name: str, description: str | None) -> None:
    """Make the environment NAME."""
    created = open_store().environments.create(name, description)
    say(f"created the environment {created.name}")


@environments.command("list")
@json_option
@debug_option
def list_command(as_json: bool) -> None:
    """List the environments that the key opens."""
    listed = open_store().environments.list()
    if as_json:
        show_json("environments", [
            {"name": item.name, "description": item.description, "is_default": item.is_default,
             "created_at": utc(item.created_at)}
            for item in listed
        ])  # fmt: skip
        return
    rows = [
        (item.name, item.description or "", "yes" if item.is_default else "", local(item.created_at)) for item in listed
    ]
    show_table(("Name", "Description", "Default", "Created At"), rows)


@environments.command("delete")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Don't ask.")
@debug_option
def delete_command(name: str, yes: bool) -> None:
    """Delete the environment NAME with all its secrets, after asking for its name."""
    store = open_store()
    if not yes:
        held = len(store.secrets.list(name))
        if not sys.stdin.isatty():
            raise InvalidInputError("there is no terminal to ask on whether to delete it; say so with --yes")
        sys.stderr.write(f"This deletes {name} and its {held} secrets for good. Type its name: ")
        sys.stderr.flush()
        if sys.stdin.readline().strip() != name:
            raise InvalidInputError("that is not its name; nothing was deleted")
    store.environments.delete(name)
    say(f"deleted the environment {name}")


@environments.command("key")
@click.argument("name")
@debug_option
def key_command(name: str) -> None:
    """Print the key of the environment NAME, which opens it and no other: CONTAINER_IMAGE_KEY for its CI.

    Who has it can read and set that environment's secrets, until `container-image secrets rotate-key`.
    """
    click.echo(open_store().environments.key(name))
