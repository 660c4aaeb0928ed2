"""`container-image environments`: makes, lists and deletes the store's environments."""

from __future__ import annotations

import sys

import click

from container_image.cli.command import Group
from container_image.cli.once import once
from container_image.cli.secrets import debug_option, json_option, open_store
from container_image.cli.signals import undone
from container_image.cli.streams import say
from container_image.cli.tables import local, show_json, show_table, utc
from container_image.errors import InvalidInputError


@click.group(
    cls=Group,
    examples="""
    # Create an environment, and set a secret in it
    container-image environments create staging
    container-image secrets set TOKEN --env staging
    """,
)
def environments() -> None:
    """Create, list and delete environments of the store.

    Each environment has its own secrets and its own key. The environment `main` is there from the beginning.
    """


@environments.command(
    "create",
    examples="""
    # Create an environment
    container-image environments create staging --description "before production"
""",
)
@click.argument("name")
@once("--description", metavar="TEXT", help="A note for whoever lists the environments.")
@debug_option
def create_command(name: str, description: str | None) -> None:
    """Create the environment NAME."""
    created = open_store().environments.create(name, description)
    say(f"created the environment {created.name}")


@environments.command(
    "list",
    examples="""
    # List the environments, for a script
    container-image environments list --json
""",
)
@json_option
@debug_option
def list_command(as_json: bool) -> None:
    """List the environments that the store's key opens."""
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


@environments.command(
    "delete",
    examples="""
    # Delete an environment and its secrets, without being asked
    container-image environments delete staging --yes
""",
)
@click.argument("name")
@click.option("--yes", is_flag=True, help="Don't ask for confirmation.")
@debug_option
def delete_command(name: str, yes: bool) -> None:
    """Delete the environment NAME with all its secrets. Its name must be typed to confirm that."""
    store = open_store()
    if not yes:
        held = len(store.secrets.list(name))
        if not sys.stdin.isatty():
            raise InvalidInputError("there is no terminal to ask on whether to delete it; say so with --yes")
        sys.stderr.write(f"This deletes {name} and its {held} secrets for good. Type its name: ")
        sys.stderr.flush()
        with undone("nothing was deleted"):
            typed = sys.stdin.readline().strip()
        if typed != name:
            raise InvalidInputError("that is not its name; nothing was deleted")
    store.environments.delete(name)
    say(f"deleted the environment {name}")


@environments.command(
    "key",
    examples="""
    # The key for the CI of staging, which sets it as the variable CONTAINER_IMAGE_KEY
    container-image environments key staging
""",
)
@click.argument("name")
@debug_option
def key_command(name: str) -> None:
    """Print the key of the environment NAME, which opens no other environment.

    Give it to a CI as the variable CONTAINER_IMAGE_KEY. Whoever has the key can read and set that environment's secrets,
    until `container-image secrets rotate-key` replaces it.
    """
    click.echo(open_store().environments.key(name))
