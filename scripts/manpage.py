"""Makes a man page from the commands, arguments and options of a Typer application and their help texts."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import typer

COMMON = ("--help", "--install-completion", "--show-completion")
"""Options that Typer adds to every application. The page describes them once."""


def manpage(app: typer.Typer, version: str, sections: Mapping[str, list[tuple[str, str]]]) -> str:
    """The man page of an application, in the format of man(7).

    Parameters
    ----------
    app : Typer
        The application to describe.
    version : str
        Version for the footer.
    sections : mapping
        Heading to pairs of a term and its meaning, for the sections after the commands. The term can be empty.
    """
    root: Any = typer.main.get_command(app)
    context = typer.Context(root, info_name=app.info.name)
    name = str(app.info.name)
    lines = [
        f'.\\" Written by scripts/reference.py from the help of {name}: change that.',
        f'.TH {name.upper()} 1 "" "{name} {version}"',
        ".SH NAME",
        f"{_escaped(name)} \\- {_escaped(root.help.rstrip('.'))}",
        ".SH SYNOPSIS",
        f"{_bold(name)} [{_italic('options')}] {_italic('command')} [{_italic('arguments')}]",
        ".SH OPTIONS",
        *_parameters(root, context),
        ".SH COMMANDS",
        *_commands(root, context),
    ]
    for heading, terms in sections.items():
        lines.append(f".SH {heading}")
        for term, meaning in terms:
            lines += [".TP", _bold(term), _text(meaning)] if term else [_text(meaning)]
    return "\n".join(lines) + "\n"


def parameters(command: Any, context: typer.Context) -> Iterator[tuple[str, str]]:  # noqa: ANN401  Typer's is private
    """Each argument and option of a command with its help text."""
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record and not (context.parent and record[0] in COMMON):
            yield record


def commands(root: Any, context: typer.Context) -> Iterator[tuple[Any, typer.Context]]:  # noqa: ANN401  see above
    """Each command with its context, including the commands of groups."""
    for name, command in root.commands.items():
        inner = typer.Context(command, info_name=name, parent=context)
        if hasattr(command, "commands"):
            yield from commands(command, inner)
        else:
            yield command, inner


def _commands(root: Any, context: typer.Context) -> Iterator[str]:  # noqa: ANN401  see above
    for command, inner in commands(root, context):
        pieces = [piece.strip("{}").replace("}...", "...") for piece in command.collect_usage_pieces(inner)]
        arguments = " ".join(_italic(piece.lower()) for piece in pieces)
        yield f".SS {_bold(inner.command_path)} {arguments}"
        for number, paragraph in enumerate(command.help.split("\n\n")):
            yield from [".PP"] * bool(number)
            yield _text(" ".join(paragraph.split()))
        yield from _parameters(command, inner)


def _parameters(command: Any, context: typer.Context) -> Iterator[str]:  # noqa: ANN401  see above
    for term, meaning in parameters(command, context):
        name, _, value = term.partition(" ")
        yield from (".TP", f"{_bold(name)} {_italic(value)}" if value else _bold(name), _text(meaning))


def _text(text: str) -> str:
    """Format text: the parts in backticks become bold."""
    pieces = re.split(r"`([^`]+)`", text)
    return "".join(_bold(piece) if number % 2 else _escaped(piece) for number, piece in enumerate(pieces))


def _bold(text: str) -> str:
    return f"\\fB{_escaped(text)}\\fR"


def _italic(text: str) -> str:
    return f"\\fI{_escaped(text)}\\fR"


def _escaped(text: str) -> str:
    r"""Escape text, so that a hyphen can be copied and a dot at the start does not begin a macro."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + escaped if escaped.startswith((".", "'")) else escaped
