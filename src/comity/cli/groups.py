"""Groups of commands: the root, where every error becomes text and an exit code, and a noun that takes an id.

Also the place where singular and plural, and a verb before or after the id, are the same to a person.
"""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from comity import errors
from comity.cli import exits, output


class Root(TyperGroup):
    """The root: shows an error as a sentence and a hint, and takes `partners` for `partner` and the like."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except errors.ComityError as error:
            output.error(error)
            raise typer.Exit(exits.code(error.code)) from None

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Find the command, in singular or plural."""
        name = args[0]
        for each in (name, f"{name}s", name.removesuffix("s")):
            if each in self.commands:
                return super().resolve_command(ctx, [each, *args[1:]])
        return super().resolve_command(ctx, args)


class Noun(TyperGroup):
    """A noun: alone it lists, with an id it shows that one; a verb may stand before the id or after it."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Find the verb; without one it is `show`."""
        first, *rest = args
        if first not in self.commands:
            if rest and rest[0] not in self.commands and not rest[0].startswith("-"):
                verb = first if self.no_args_is_help else rest[0]  # a noun that needs a verb has it first
                ctx.fail(f"There is no {verb} here; there is: {', '.join(self.commands)}.")
            args = [rest[0], first, *rest[1:]] if rest and rest[0] in self.commands else ["show", *args]
        return super().resolve_command(ctx, args)
