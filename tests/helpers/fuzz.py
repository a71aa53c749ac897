"""Random command lines of ``kwsd`` in random environments, and what must be true of each.

A seed always makes the same case. Commands and options come from the Typer application itself.
"""

import os
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile
import typer.main

from kwsd import errors
from kwsd.cli.commands import app
from kwsd.config.schema import Config
from kwsd.daemon.ending import INTERRUPT_EXIT_CODE, READER_ENDED_EXIT_CODE
from kwsd.models.find import find_model

EXIT_CODES = {
    0,
    3,
    READER_ENDED_EXIT_CODE,
    INTERRUPT_EXIT_CODE,
    *(kind.exit_code for kind in errors.KwsdError.__subclasses__()),
}
"""The table of docs/exit-codes.md."""

RUNS_ON = {"--follow", "-f", "run", "listen", "act", "monitor", "demo", "tune", "check", "kwsd-daemon"}
"""Commands that may run until somebody ends them. The case ends them with SIGTERM after `PATIENCE_S`."""

PATIENCE_S = 2.5
HANG_S = 5.0
"""A case that takes longer hangs. The time begins with SIGTERM for a command of `RUNS_ON`."""

FAILURES = re.compile(r"Traceback|Exception ignored|Fatal Python error|Error in sys.excepthook|internal error")
CONTROL_CHARACTERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

TEXTS = (
    *(
        "",
        " ",
        "-",
        "--",
        "~",
        "~/x",
        "~nosuchuser/x",
        ".",
        "..",
        "/",
        "0",
        "1",
        "-1",
        "3",
        "nan",
        "inf",
        "-inf",
        "1e400",
    ),
    *("9" * 5000, "a" * 300, "a" * 100_000, "é", "\udcff", "a\udcff.wav", "\x1b[2J", "a\nb", "a\rb", "\u2028", "\x85"),
    *(
        "\u202eabc",
        "%s%n",
        "{keyword}",
        "{",
        "'",
        '"',
        "$(id)",
        "go=0.5",
        "go=nan",
        "go=",
        "=1",
        "go=2",
        "go",
        "yes,no",
    ),
    *("default", "tutorial", "file:", "file:~/x", "file:/dev/null", "ipc://", "ipc://~/x.sock", "ipc://x", "ipc:///"),
    *(
        "tcp://127.0.0.1:1",
        "tcp://127.0.0.1:99999",
        "tcp://[::1]:5",
        "tcp://x:1",
        "tcp://*:5",
        "udp://x",
        "debug",
        "none",
    ),
)
"""Values for any option, valid or not."""

VARIABLES = {
    "HOME": ("", "/nonexistent", "relative", "\udcff"),
    "XDG_CONFIG_HOME": ("", "/nonexistent", "/dev/null", "relative"),
    "XDG_DATA_HOME": ("/nonexistent", "/dev/null", "relative"),
    "TMPDIR": ("/nonexistent", "/dev/null"),
    "LC_ALL": ("C", "POSIX", "en_US.ISO-8859-1", "nonsense", "C.UTF-8"),
    "LANG": ("nonsense", ""),
    "PYTHONIOENCODING": ("ascii", "latin-1", "ascii:strict"),
    "PYTHONUTF8": ("0", "1"),
    "TZ": ("nonsense", ":/nonexistent", "UTC+99", ""),
    "COLUMNS": ("0", "-1", "1", "100000", "x"),
    "LINES": ("0", "-1", "x"),
    "TERM": ("dumb", "", "nonsense", "xterm-256color"),
    "NO_COLOR": ("1",),
    "PATH": ("", "/nonexistent"),
    "JOURNAL_STREAM": ("1:1", "x", ""),
    "NOTIFY_SOCKET": ("/nonexistent", "@nobody", "a" * 300, "\udcff"),
    "KWSD_CONFIG": TEXTS,
    "KWSD_PORT": ("tcp://10.0.0.1:80", "80"),
    "KWSD_SERVICE_HOST": ("10.0.0.1", "x"),
    **{f"KWSD_{key.upper()}": TEXTS for key in Config.__struct_fields__},
}
"""Environment variables and their values. XDG_RUNTIME_DIR stays, so that no real daemon is reached."""


class Case(NamedTuple):
    """A command line and everything around it.

    Parameters
    ----------
    words : tuple of str
        Program and arguments.
    environment : dict
        Variables that differ from those of `Playground`.
    closed : tuple of int
        Standard streams that are closed.
    stdout : str
        "pipe", "full" (a full disk), or "ended" (a pipe whose reader has ended).
    folder : str
        Working folder: "playground", "deleted" or "root".
    open_files : int
        Limit of open files.
    """

    words: tuple[str, ...]
    environment: dict[str, str]
    closed: tuple[int, ...]
    stdout: str
    folder: str
    open_files: int


def list_commands() -> dict[str, list[Any]]:
    """Every command, for example "keys new", with its parameters as Typer knows them."""
    return dict(_walk(typer.main.get_command(app), ""))


def _walk(command: Any, name: str) -> Iterator[tuple[str, list[Any]]]:  # noqa: ANN401  a class of Typer's own click
    for inner_name, inner in getattr(command, "commands", {}).items():
        yield from _walk(inner, f"{name} {inner_name}".strip())
    yield name, command.params


class Playground:
    """Files of every kind in a folder of its own, and the environment of each case.

    Parameters
    ----------
    folder : Path
        An empty folder with a short path.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.commands = list_commands()
        own = ("HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS", "XDG_DATA_HOME", "XDG_RUNTIME_DIR")
        foreign = ("KWSD_", "NOTIFY_", "PYTHON", "DBUS_", "JOURNAL_")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        self.environment = inherited | dict.fromkeys(own, str(folder))
        self.files = [str(folder / name) for name in self._make_files()] + [str(folder / "missing")]

    def _make_files(self) -> Iterator[str]:
        samples = np.random.default_rng(0).normal(0, 0.01, 8000)
        soundfile.write(self.folder / "a.wav", samples, 16_000)
        sound = (self.folder / "a.wav").read_bytes()
        contents = {
            "a.wav": sound,
            "cut.wav": sound[:1000],
            "empty": b"",
            "binary": bytes(range(256)) * 40,
            "good.toml": b'device = "-"\n[thresholds]\ngo = 0.9\n',
            "actions.toml": b'[actions]\ngo = "true"\n',
            "bad.toml": b"device = [",
            "deep.toml": b"device = " + b"[" * 50_000,
            "digits.toml": b"thresholds.go = " + b"9" * 5000,
            "utf16.toml": 'device = "-"'.encode("utf-16"),
            "latin1.toml": 'device = "ü"'.encode("latin-1"),
            "escape.toml": b'device = "\\u001B[2J\\u2028\\u0085"\n',
            "line\nbreak": b"",
            os.fsdecode(b"\xff.wav"): sound,
        }
        for name, content in contents.items():
            (self.folder / name).write_bytes(content)
            yield name
        for name, target in {"loop": "loop", "zero": "/dev/zero", "null": "/dev/null", "full": "/dev/full"}.items():
            (self.folder / name).symlink_to(target)
            yield name
        os.mkfifo(self.folder / "fifo")
        yield "fifo"
        (self.folder / "folder").mkdir()
        yield "folder"
        shutil.copytree(find_model("default"), self.folder / "model")
        yield "model"
        with (self.folder / "huge").open("wb") as huge:
            huge.truncate(3 << 30)
        yield "huge"
        (self.folder / "locked").touch(mode=0)
        yield "locked"
        with socket.socket(socket.AF_UNIX) as unused:
            unused.bind(str(self.folder / "socket"))
        yield "socket"

    def make_case(self, seed: int, program: str) -> Case:
        """The case of a seed."""
        choice = random.Random(seed)  # noqa: S311  the choice of a test is not a secret
        name = choice.choice(sorted(self.commands))
        words = [program, *name.split(), *self._make_arguments(choice, self.commands[name])]
        if choice.random() < 0.03:
            words = [f"{program}-daemon", *choice.sample(TEXTS, choice.randrange(2))]
        if choice.random() < 0.05:
            words.insert(choice.randrange(1, len(words) + 1), choice.choice(TEXTS))
        names = choice.sample(sorted(VARIABLES), choice.choice((0, 0, 1, 2, 4)))
        environment = {variable: self._make_value(choice, VARIABLES[variable]) for variable in names}
        return Case(
            # Neither an argument nor a variable can contain a zero byte.
            tuple(words),
            environment,
            tuple(number for number in range(3) if choice.random() < 0.1),
            choice.choices(("pipe", "full", "ended"), (8, 1, 1))[0],
            choice.choices(("playground", "deleted", "root"), (8, 1, 1))[0],
            choice.choices((1024, 64, 20), (8, 1, 1))[0],
        )

    def _make_arguments(self, choice: random.Random, parameters: list[Any]) -> Iterator[str]:
        for parameter in parameters:
            required = parameter.required or parameter.param_type_name == "argument"
            if choice.random() > (0.95 if required else 0.3):
                continue
            for _ in range(choice.choice((1, 1, 3)) if parameter.multiple or parameter.nargs == -1 else 1):
                option = [choice.choice(parameter.opts)] if parameter.param_type_name == "option" else []
                if getattr(parameter, "is_flag", False):
                    yield from option
                    continue
                value = self._make_value(choice, TEXTS)
                if option and option[0].startswith("--") and choice.random() < 0.3:
                    yield f"{option[0]}={value}"
                else:
                    yield from (*option, value)

    def _make_value(self, choice: random.Random, texts: tuple[str, ...]) -> str:
        kind = choice.random()
        if texts is not TEXTS or kind < 0.4:
            return choice.choice(texts)
        path = choice.choice(self.files)
        return path if kind < 0.8 else choice.choice(("file:", "ipc://", "~/../")) + path


def run_case(case: Case, playground: Playground) -> str:
    """Run a case, and return what is wrong with its end; empty if all is well."""
    environment = playground.environment | case.environment
    cwd = "/" if case.folder == "root" else str(playground.folder)
    if case.folder == "deleted":
        cwd = tempfile.mkdtemp()

    def prepare() -> None:
        if case.folder == "deleted":
            Path(cwd).rmdir()
        resource.setrlimit(resource.RLIMIT_NOFILE, (case.open_files, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        # Python ignores SIGPIPE, and a job of a shell in the background ignores Ctrl+C: programs would inherit that.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        for number in case.closed:
            os.close(number)

    reading, writing = os.pipe()
    if case.stdout == "ended":
        os.close(reading)
    full = os.open("/dev/full", os.O_WRONLY)
    stdout = {"pipe": subprocess.PIPE, "full": full, "ended": writing}[case.stdout]
    process = subprocess.Popen(
        [os.fsencode(word) for word in case.words],
        env=environment,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        preexec_fn=prepare,  # noqa: PLW1509  this process has no other thread that matters
        start_new_session=True,
    )
    for descriptor in {reading, writing, full} - ({reading} if case.stdout == "ended" else set()):
        os.close(descriptor)
    terminated = False
    try:
        if RUNS_ON & {Path(case.words[0]).name, *case.words[1:]}:
            try:
                output = process.communicate(timeout=PATIENCE_S)
            except subprocess.TimeoutExpired:
                terminated = True
                process.terminate()
        output = process.communicate(timeout=HANG_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return "it hangs"
    return _judge(process.returncode, [(part or b"").decode(errors="replace") for part in output], terminated)


def _judge(code: int, output: list[str], terminated: bool) -> str:  # noqa: FBT001  a plain result
    ended = {-signal.SIGTERM} if terminated else set()
    if code not in EXIT_CODES | ended:
        return f"exit code {code}: {output[1][-300:]}"
    for text in output:
        if found := FAILURES.search(text):
            return f"{found[0]}: {text[-2000:]}"
        if found := CONTROL_CHARACTERS.search(text):
            return f"control character {found[0]!r}: {text[:500]!r}"
    return ""
