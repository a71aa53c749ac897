"""The prose of ``--help``."""

import inspect

import typer


def let_paragraphs_flow(app: typer.Typer) -> None:
    """Fit the help of each command to the terminal: Typer keeps line breaks after the first paragraph."""
    for command in app.registered_commands:
        paragraphs = (inspect.getdoc(command.callback) or "").split("\n\n")
        command.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
