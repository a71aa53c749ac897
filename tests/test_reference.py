"""The documentation of commands, options, settings and exit codes is correct and complete."""

import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from helpers.command import Command
from manpage import list_commands, list_parameters
from reference import ROOT, generate_pages, list_exit_codes

import kwsd_train.cli
from kwsd import errors
from kwsd.cli.commands import app as kwsd_app
from kwsd.config.load import load_config
from kwsd.config.show import list_settings

PAGES = generate_pages()
SHARE = ROOT / "share"
MAN_PAGES = sorted(SHARE.glob("man/man1/*.1"))
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]


def command_lines() -> Iterator[tuple[str, Any, typer.Context]]:
    """Each command of both programs: its path, the command and its context."""
    for app in (kwsd_app, kwsd_train.cli.app):
        root = typer.main.get_command(app)
        for command, context in list_commands(root, typer.Context(root, info_name=app.info.name)):
            yield context.command_path, command, context


COMMANDS = {path: (command, context) for path, command, context in command_lines()}


# Generated files


@pytest.mark.locked
@pytest.mark.parametrize("path", PAGES, ids=str)
def test_a_generated_file_is_what_scripts_reference_py_writes(path: Path) -> None:
    assert (ROOT / path).read_text("utf-8") == PAGES[path]


def test_nothing_that_is_installed_is_left_from_before() -> None:
    assert {path for path in SHARE.rglob("*") if path.is_file()} == {
        ROOT / path for path in PAGES if "share" in path.parts
    }


@pytest.mark.skipif(not shutil.which("man"), reason="man is not installed")
@pytest.mark.parametrize("page", MAN_PAGES, ids=lambda page: page.name)
def test_a_man_page_is_shown_without_a_complaint(page: Path) -> None:
    command: list[str | Path] = ["man", "--warnings", "--encoding=UTF-8", "--local-file", page]
    shown = subprocess.run(command, env=os.environ | {"MANWIDTH": "80"}, capture_output=True, text=True, check=True)
    assert shown.stderr == ""
    assert shown.stdout.startswith(f"{page.stem.upper()}(1)")
    assert "EXIT STATUS" in shown.stdout


@pytest.mark.skipif(not shutil.which("mandoc"), reason="mandoc is not installed")
@pytest.mark.parametrize("page", MAN_PAGES, ids=lambda page: page.name)
def test_mandoc_finds_no_error_in_a_man_page(page: Path) -> None:
    assert subprocess.run(["mandoc", "-T", "lint", "-W", "error", page], capture_output=True, check=False).stdout == b""


# The documentation is complete


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_and_option_has_a_description(path: str) -> None:
    command, context = COMMANDS[path]
    assert command.help
    assert [term for term, meaning in list_parameters(command, context) if not re.search("[a-z]{3}", meaning)] == []
    # A terminal does not show text in square brackets, because rich takes it for markup.
    assert not any("[" in (text or "") for text in (command.help, *(each.help for each in command.params)))


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_is_in_a_hand_written_document(path: str) -> None:
    program, *words = path.split()
    # A list names the program only once: `kwsd status`, `mute`, `unmute`.
    short = rf"`{' '.join(words)}`"
    written = [document.read_text("utf-8") for document in DOCUMENTS if document.relative_to(ROOT) not in PAGES]
    assert any(re.search(rf"\b{path}\b", text) or (program == "kwsd" and short in text) for text in written)


def test_every_setting_has_a_description() -> None:
    page = (ROOT / "docs/config.md").read_text("utf-8")
    for setting in list_settings():
        for each in (setting, *setting.inner):
            assert each.description
            assert f"{each.key}` | " in page


def test_every_exit_code_is_in_the_tree_of_errors_with_its_meaning() -> None:
    tree = errors.__doc__
    for kind in errors.KwsdError.__subclasses__():
        assert re.search(rf"── {kind.__name__} +{kind.exit_code}  ", tree)
    assert {kind.exit_code for kind in errors.KwsdError.__subclasses__()} < dict(list_exit_codes()).keys()


# The documentation is correct


def code(document: Path) -> Iterator[str]:
    """The lines of a document's code blocks, and the text in backticks elsewhere."""
    for number, part in enumerate(re.split(r"^ *```.*$", document.read_text("utf-8"), flags=re.MULTILINE)):
        yield from part.splitlines() if number % 2 else re.findall(r"`([^`]+)`", part.replace("\n", " "))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
def test_every_command_and_option_in_a_document_exists(document: Path) -> None:
    for line in code(document):
        for found in re.finditer(r"(?:^|[$|&;(] ?|bin/)(kwsd(?:-train)?) ([a-z][^|&;()#]*)", line):
            words = found[2].split()
            path = next((path for n in (2, 1) if (path := " ".join([found[1], *words[:n]])) in COMMANDS), None)
            group = f"{found[1]} {words[0]}"
            assert path or any(known.startswith(f"{group} ") for known in COMMANDS), line
            if path:
                known = {
                    option for term, _ in list_parameters(*COMMANDS[path]) for option in re.findall("--[a-z-]+", term)
                }
                assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", found[2])) <= known | {"--help"}, line


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
def test_every_configuration_in_a_document_is_one(document: Path, tmp_path: Path) -> None:
    for block in re.findall(r"^ *```toml\n(.*?)^ *```", document.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL):
        # The other TOML blocks are recipes.
        if "[network]" not in block and "[data]" not in block:
            path = tmp_path / "config.toml"
            path.write_text(block)
            load_config(file=path, environment={})


@pytest.mark.parametrize("path", [path for path in PAGES if path.parts[0] == "share"], ids=str)
def test_man_pages_and_completions_are_installed_with_the_package(path: Path) -> None:
    assert (Path(sys.prefix) / path).is_file()


# Completion


def typed(shell: list[str], keys: str, kwsd: Command) -> str:
    """The output of a shell in a terminal after some keys are typed."""
    ours, theirs = pty.openpty()
    path = f"{Path(kwsd.program).parent}:{os.environ['PATH']}"
    environment = kwsd.environment | {"PATH": path, "TERM": "dumb"}
    with subprocess.Popen(
        shell, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True, text=True
    ) as process:
        kwsd.started.append(process)
        os.close(theirs)
        os.write(ours, keys.encode())
        shown = b""
        # The terminal closes when the shell ends.
        while chunk := _read(ours):
            shown += chunk
    os.close(ours)
    return shown.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""


def test_bash_completes_a_command(kwsd: Command) -> None:
    script = SHARE / "bash-completion/completions/kwsd"
    shown = typed(["bash", "--norc", "--noprofile", "-i"], f"source {script}\nkwsd mod\t--json\nexit\n", kwsd)
    assert '{"name": "default", ' in shown


def test_bash_offers_options_choices_and_files(kwsd: Command) -> None:
    def offered(*words: str, program: str = "kwsd") -> list[str]:
        script = SHARE / "bash-completion/completions" / program
        function = f"_{program.replace('-', '_')}_completion"
        typed_so_far = " ".join(f"'{word}'" for word in (program, *words))
        code = (
            f"source {script}; COMP_WORDS=({typed_so_far}); COMP_CWORD={len(words)}; {function} {program};"
            ' printf "%s\\n" "${COMPREPLY[@]}"'
        )
        path = f"{Path(kwsd.program).parent}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-c", code], env=kwsd.environment | {"PATH": path}, capture_output=True, text=True, check=True
        )
        return done.stdout.split()

    assert {"--json", "--exec", "--keyword"} <= set(offered("listen", "--"))
    assert offered("run", "--log-level", "w") == ["warning"]
    assert offered("service", "in") == ["install"]
    assert offered("exp", program="kwsd-train") == ["explore", "export"]
    # If kwsd offers no completion, bash offers files.
    assert offered("scan", "rec") == []


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
def test_zsh_completes_a_command_at_the_first_tab(kwsd: Command) -> None:
    setup = f"fpath=({SHARE}/zsh/site-functions $fpath); autoload -Uz compinit; compinit -u -d $HOME/dump\n"
    assert '{"name": "default", ' in typed(["zsh", "-f", "-i"], f"{setup}kwsd mod\t--json\nexit\n", kwsd)


@pytest.mark.skipif(not shutil.which("fish"), reason="fish is not installed")
def test_fish_offers_commands_with_their_meaning(kwsd: Command) -> None:
    path = f"{Path(kwsd.program).parent}:{os.environ['PATH']}"
    code = f"set fish_complete_path {SHARE}/fish/vendor_completions.d; complete -C 'kwsd mod'"
    done = subprocess.run(
        ["fish", "--no-config", "-c", code],
        env=kwsd.environment | {"PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("models\tList the installed models")


# Colour


@pytest.mark.parametrize("arguments", ["--help", "run --device -"])
def test_a_terminal_is_coloured_unless_its_user_wants_no_colour(kwsd: Command, arguments: str) -> None:
    colour = re.compile(r"\x1b\[[0-9;]*3[0-7]")
    command = ["sh", "-c", f"TERM=xterm {kwsd.program} {arguments} </dev/null"]
    assert colour.search(typed(command, "", kwsd))
    assert not colour.search(typed(["env", "NO_COLOR=1", *command], "", kwsd))
