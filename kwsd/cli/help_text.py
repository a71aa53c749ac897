"""Prepares the help texts that ``kwsd --help`` prints."""

import inspect

import typer


def join_help_lines(app: typer.Typer) -> None:
    """Join the lines of each paragraph in the help of each command, so that Typer can wrap the text.

    Typer joins only the lines of the first paragraph of a docstring.
    """
    for command in app.registered_commands:
        paragraphs = (inspect.getdoc(command.callback) or "").split("\n\n")
        command.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
