"""The text of ``--help``."""

import inspect

import typer


def join_help_lines(app: typer.Typer) -> None:
    """Join the lines of each paragraph in the help of each command, so that it fits the width of the terminal.

    Typer does this only for the first paragraph of a docstring.
    """
    for command in app.registered_commands:
        paragraphs = (inspect.getdoc(command.callback) or "").split("\n\n")
        command.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
