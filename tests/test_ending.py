"""The end of a process: its exit code, its message, and what happens when standard error is closed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.command import Command

OPEN_MISSING_FILE = """
from kwsd.daemon.ending import run_and_exit
run_and_exit(lambda: open("/nowhere/notes.txt"))
"""

EXIT_BESIDE_A_CAPTURE_THREAD = """
import sys
from pathlib import Path
from threading import Event, Thread
from kwsd.audio import capture
from kwsd.daemon.ending import run_and_exit
Thread(target=Event().wait, name=capture.THREAD, daemon=True).start()
run_and_exit(lambda: sys.exit({code!r}))
"""

LOAD_MODEL = """
import os, kwsd
kwsd.load_model()
try:
    os.fstat(2)
except OSError:
    print("still closed")
"""

RAISE = """
import sys, threading
from kwsd.daemon.ending import run_and_exit
def recurse():
    recurse()
def program():
    {action}
run_and_exit(program)
"""


def python(kwsd: Command, program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a Python program to its end."""
    return subprocess.run(
        [sys.executable, "-c", program],
        env=kwsd.environment | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def without(streams: str, *command: str, kwsd: Command) -> subprocess.CompletedProcess[str]:
    """Run a command with some of its standard streams closed, such as ``2>&-``."""
    return subprocess.run(
        ["sh", "-c", f'"$@" {streams}', "-", *command],
        env=kwsd.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_unexpected_system_error_names_its_file(kwsd: Command) -> None:
    done = python(kwsd, OPEN_MISSING_FILE)
    assert done.returncode == 74
    assert done.stderr == "kwsd: cannot go on: No such file or directory: /nowhere/notes.txt\n"


def test_the_log_level_debug_shows_where_an_unexpected_system_error_came_from(kwsd: Command) -> None:
    done = python(kwsd, OPEN_MISSING_FILE, KWSD_LOG_LEVEL="debug")
    first, *_, last = done.stderr.splitlines()
    assert first == "Traceback (most recent call last):"
    assert last == "kwsd: cannot go on: No such file or directory: /nowhere/notes.txt"


@pytest.mark.parametrize(
    ("code", "expected", "message"), [(None, 0, ""), (0, 0, ""), (3, 3, ""), ("out of paper", 1, "out of paper\n")]
)
def test_a_capture_thread_that_still_runs_does_not_change_the_exit_code(
    kwsd: Command, code: object, expected: int, message: str
) -> None:
    done = python(kwsd, EXIT_BESIDE_A_CAPTURE_THREAD.format(code=code))
    assert (done.returncode, done.stderr) == (expected, message)


def test_a_model_loads_without_standard_error_which_stays_closed(kwsd: Command) -> None:
    done = without("2>&-", sys.executable, "-c", LOAD_MODEL, kwsd=kwsd)
    assert (done.returncode, done.stdout) == (0, "still closed\n")


@pytest.mark.parametrize("streams", ["2>&-", ">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_daemon_without_standard_streams_ends_with_its_exit_code(kwsd: Command, streams: str) -> None:
    assert without(streams, kwsd.program, "run", "--device", "-", kwsd=kwsd).returncode == 65
    assert without(streams, kwsd.program, "run", "--device", "file:none.wav", kwsd=kwsd).returncode == 65


def test_a_daemon_without_standard_error_spots_keywords_in_a_file(kwsd: Command, two_words: str) -> None:
    assert without("2>&-", kwsd.program, "run", "--device", f"file:{two_words}", kwsd=kwsd).returncode == 0


@pytest.mark.parametrize(
    ("action", "exit_code", "message"),
    [
        ("raise MemoryError", 71, "there is not enough memory"),
        ('raise RuntimeError("can\'t start new thread")', 71, "the system does not allow another thread"),
        ("import zmq; raise zmq.ZMQError(24)", 71, "cannot go on: Too many open files"),
        ("recurse()", 70, "internal error: RecursionError: maximum recursion depth exceeded"),
        ('raise ValueError("a\\x1b[2J\\nb")', 70, "internal error: ValueError: a?[2J?b"),
        ("raise BrokenPipeError", 1, ""),
    ],
)
def test_an_unexpected_error_is_one_sentence_with_its_exit_code(
    kwsd: Command, action: str, exit_code: int, message: str
) -> None:
    done = python(kwsd, RAISE.format(action=action))
    assert done.returncode == exit_code
    assert done.stderr.startswith(f"kwsd: {message}" if message else "")
    assert len(done.stderr.splitlines()) == bool(message)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&-", "<&- 2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(
    ("command", "exit_code"),
    [
        (("scan", "{sound}"), 0),
        (("config",), 0),
        (("--help",), 0),
        (("models",), 0),
        (("listen", "--timeout=0"), 0),
        (("status",), 69),
        (("no-such-command",), 2),
    ],
)
def test_a_command_without_standard_streams_ends_with_its_exit_code(
    kwsd: Command, two_words: Path, closed: str, command: tuple[str, ...], exit_code: int
) -> None:
    arguments = [word.format(sound=two_words) for word in command]
    done = without(closed, kwsd.program, *arguments, kwsd=kwsd)
    assert done.returncode == exit_code
    assert "Traceback" not in done.stderr


def test_commands_that_need_standard_input_say_that_it_is_closed(kwsd: Command, runtime: Path) -> None:
    done = without("<&-", kwsd.program, "review", str(runtime), "--into", str(runtime / "data"), kwsd=kwsd)
    assert done.returncode == 2
    assert done.stderr == "kwsd: kwsd review reads your answers from standard input, which is closed\n"
    assert without("<&-", kwsd.program, "run", "--device", "-", kwsd=kwsd).returncode == 65


@pytest.mark.parametrize("arguments", ["scan {sound} {sound}", "config", "config --json", "--help", "models"])
def test_a_command_whose_reader_has_ended_ends_quietly(kwsd: Command, two_words: Path, arguments: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [kwsd.program, *arguments.format(sound=two_words).split()]
    done = subprocess.run(command, env=kwsd.environment, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.parametrize("arguments", ["scan {sound}", "config", "config --json", "--help", "--version"])
def test_a_full_disk_is_one_sentence(kwsd: Command, two_words: Path, arguments: str) -> None:
    command = [kwsd.program, *arguments.format(sound=two_words).split()]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, env=kwsd.environment, stdout=full, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (74, b"kwsd: cannot go on: No space left on device\n")


@pytest.mark.parametrize(
    "failure",
    [
        "ImportError('libfoo.so.1: cannot open shared object file')",
        "OSError('cannot load')",
        "SyntaxError('null bytes')",
    ],
)
@pytest.mark.parametrize("library", [("numpy", "numpy"), ("ai_edge_litert", "ai-edge-litert")])
def test_a_library_that_cannot_be_loaded_is_named_with_its_cure(
    kwsd: Command, runtime: Path, two_words: Path, library: tuple[str, str], failure: str
) -> None:
    name, package = library
    (runtime / f"{name}.py").write_text(f"raise {failure}")
    done = kwsd.run("scan", two_words, PYTHONPATH=str(runtime))
    assert done.returncode == 69
    assert done.stderr.startswith(f"kwsd: the library {name} cannot be loaded (")
    assert done.stderr.endswith(f"); install it with  pip install --force-reinstall {package}\n")


@pytest.mark.parametrize("library", ["numpy", "ai_edge_litert", "zmq"])
def test_check_reports_a_library_that_cannot_be_loaded_and_all_other_findings(
    kwsd: Command, runtime: Path, library: str
) -> None:
    (runtime / f"{library}.py").write_text("raise ImportError('damaged')")
    done = kwsd.run("check", "--device", "-", PYTHONPATH=str(runtime))
    lines = done.stdout.splitlines()
    assert done.returncode == 69
    assert done.stderr == ""
    assert lines[0].startswith("ok    configuration ")
    assert any(line.split()[1] == "service" for line in lines)
    assert any(line.startswith("FAIL") and "(damaged)" in line for line in lines)
    assert lines[-1].startswith("next: pip install --force-reinstall ")


def test_the_version_is_printed_without_numpy(kwsd: Command, runtime: Path) -> None:
    (runtime / "numpy.py").write_text("raise ImportError('damaged')")
    done = kwsd.run("--version", PYTHONPATH=str(runtime))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "the models cannot be listed: the library numpy cannot be loaded (damaged)"


def test_a_process_that_may_open_few_files_says_so(kwsd: Command) -> None:
    command = ["sh", "-c", 'ulimit -n 40; exec "$@"', "-", kwsd.program, "config"]
    done = subprocess.run(command, env=kwsd.environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (71, "")
    assert done.stderr == ("kwsd: this process may open only 40 files, but needs 64: raise the limit (ulimit -n)\n")


def test_a_folder_that_was_removed_stops_no_command(kwsd: Command, tmp_path: Path, two_words: Path) -> None:
    gone = tmp_path / "gone"
    for command in (["config"], ["scan", str(two_words)], ["models"]):
        gone.mkdir()
        start = ["sh", "-c", f'cd "{gone}" && rmdir "{gone}" && exec "$@"', "-", kwsd.program, *command]
        done = subprocess.run(start, env=kwsd.environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "environment",
    [
        *({"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, {"LC_ALL": "nonsense"}),
        *({"PYTHONIOENCODING": "ascii"}, {"TZ": "nonsense"}, {"TERM": "dumb"}, {"COLUMNS": "0"}, {"COLUMNS": "-1"}),
        {"TMPDIR": "/nonexistent"},
    ],
)
def test_an_unusual_environment_changes_no_exit_code(
    kwsd: Command, two_words: Path, environment: dict[str, str]
) -> None:
    kwsd.environment |= environment
    odd = two_words.with_name("größer 👩.wav")
    odd.write_bytes(two_words.read_bytes())
    done = kwsd.run("scan", odd)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 2
    assert kwsd.run("--help").returncode == 0
    assert kwsd.run("check", "--device", "-").returncode == 0


def test_a_file_name_that_is_not_utf_8_is_scanned_like_any_other(kwsd: Command, two_words: Path) -> None:
    odd = two_words.with_name("\udcff\x1b[2J.wav")
    odd.write_bytes(two_words.read_bytes())
    done = kwsd.run("scan", odd, two_words)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 4
    assert done.stdout.splitlines()[0].startswith(f"{two_words.parent}/??[2J.wav ")


def test_an_internal_error_names_the_line_that_raised_it(kwsd: Command) -> None:
    done = python(kwsd, RAISE.format(action="from kwsd.levels import rms_db; rms_db(None)"))
    assert done.returncode == 70
    assert done.stderr.startswith("kwsd: internal error in kwsd.levels, line ")
    done = python(kwsd, RAISE.format(action="recurse()"), KWSD_LOG_LEVEL="debug")
    assert done.stderr.startswith("Traceback (most recent call last):\n")
