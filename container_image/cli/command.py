"""Commands whose help has examples and groups of options, and whose errors suggest what was meant."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import click
from typing_extensions import override

from container_image.cli.color import choose, styled
from container_image.near import did_you_mean

OTHERS = "Options"


class Formatter(click.HelpFormatter):
    """Help with its headings in bold."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        super().write_usage(
            prog, args, styled("Usage:", sys.stdout, None, bold=True) + " " if prefix is None else prefix
        )

    def write_heading(self, heading: str) -> None:
        self.write(f"{'':>{self.current_indent}}{styled(heading + ':', sys.stdout, None, bold=True)}\n")


class Context(click.Context):
    """A context whose help is formatted by `Formatter`."""

    formatter_class = Formatter

    def __init__(self, *args: Any, **settings: Any) -> None:
        # `styled` decides about colour; click would strip it from what is no terminal, though it was asked for.
        super().__init__(*args, **{"color": True, "max_content_width": 100, **settings})


def _choose(_context: click.Context, _option: click.Parameter, choice: str | None) -> None:
    if choice is not None:
        choose(choice)


COLOR = click.Option(
    ["--color"], type=click.Choice(["auto", "always", "never"]), expose_value=False, is_eager=True, callback=_choose,
    help="Whether output is coloured. auto: on a terminal, unless NO_COLOR is set; or where FORCE_COLOR is.",
)  # fmt: skip


class _Described(click.Command):
    """What commands and groups have in common.

    `examples` is a text of command lines, each below a comment that says what it does.
    """

    context_class = Context

    def __init__(self, *args: Any, examples: str = "", **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.examples = inspect.cleandoc(examples)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        *own, asking_for_help = super().get_params(ctx)
        return [*own, COLOR, asking_for_help]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            name = error.option_name
            known = [text for option in self.get_params(ctx) for text in (*option.opts, *option.secondary_opts)]
            # A letter that is unknown is near to nothing.
            hint = did_you_mean(name, [text for text in known if text.startswith("--")]) if len(name) > 3 else ""
            raise click.UsageError(f"No such option: {name}{hint}", ctx) from None

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_help_text(ctx, formatter)
        if self.examples:
            with formatter.section("Examples"):
                for line in self.examples.splitlines():
                    formatter.write(f"{'':>{formatter.current_indent}}{line}".rstrip() + "\n")


class Command(_Described):
    """A command. `sections` are the titles of groups of options, each with the names of their parameters.

    Options that are in no section come last, as "Options".
    """

    def __init__(self, *args: Any, sections: Mapping[str, Sequence[str]] | None = None, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.sections = sections or {}

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        options = [parameter for parameter in self.get_params(ctx) if isinstance(parameter, click.Option)]
        records = {str(option.name): record for option in options if (record := option.get_help_record(ctx))}
        for title, names in self.sections.items():
            rows = [records.pop(name) for name in names if name in records]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)
        with formatter.section(OTHERS):
            formatter.write_dl(list(records.values()))


class Group(_Described, click.Group):
    """A group, whose unknown commands are told with what is near."""

    command_class = Command
    aliases: Mapping[str, str] = {}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args:
            # As docker: a group alone is a question, not a mistake.
            click.echo(ctx.get_help())
            ctx.exit()
        return super().parse_args(ctx, args)

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, command.get_short_help_str(200)) for name, command in self.commands.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return super().get_command(ctx, self.aliases.get(name, name))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            raise self.unknown(ctx, name)
        return super().resolve_command(ctx, args)

    def unknown(self, ctx: click.Context, name: str) -> click.UsageError:
        """The error of a command that is not there."""
        return click.UsageError(f"No such command: {name}{did_you_mean(name, self.list_commands(ctx))}", ctx)


class Late(NamedTuple):
    """A command that is imported when it is used: `module:attribute`, and its line in the list of commands."""

    place: str
    help: str


class LateGroup(Group):
    """A group of commands that are imported when they are used, because each brings its own libraries along."""

    def __init__(self, *args: Any, late: Mapping[str, Late], aliases: Mapping[str, str], **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.late, self.aliases = late, aliases

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.late)

    @override
    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        found = self.late.get(self.aliases.get(name, name))
        if found is None:
            return None
        module, _, attribute = found.place.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, found.help) for name, found in self.late.items()])
