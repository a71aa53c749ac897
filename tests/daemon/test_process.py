"""The program that the systemd units start."""

import resource
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from helpers.command import Command
from helpers.running import Running

DAEMON = Path(sys.executable).with_name("kwsd-daemon")


def run_daemon(kwsd: Command, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [DAEMON, *arguments],
        env=kwsd.environment | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_listens_as_its_environment_says(kwsd: Command, two_words: Path) -> None:
    done = run_daemon(kwsd, KWSD_DEVICE=f"file:{two_words}", KWSD_ADDRESS=f"ipc://{kwsd.home}/events.sock")
    assert done.returncode == 0
    assert "and 2 events" in done.stderr.splitlines()[-1]


def test_it_refuses_arguments_in_one_sentence(kwsd: Command) -> None:
    done = run_daemon(kwsd, "--device", "default")
    assert done.stderr == "kwsd: kwsd-daemon takes no arguments: use  kwsd run  or the configuration file\n"
    assert done.returncode == 2


def test_a_bad_setting_is_one_sentence_and_its_exit_code(kwsd: Command) -> None:
    done = run_daemon(kwsd, KWSD_THRESHOLDS="go=2")
    assert done.returncode == 78
    assert len(done.stderr.splitlines()) == 1


def test_a_reload_that_comes_too_early_does_not_end_it(kwsd: Command, two_words: Path) -> None:
    address = f"ipc://{kwsd.home}/events.sock"
    daemon = subprocess.Popen(
        [DAEMON],
        env=kwsd.environment | {"KWSD_DEVICE": f"file:{two_words}", "KWSD_ADDRESS": address},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # without a terminal
    )
    ignored = 1 << signal.SIGHUP - 1
    # The daemon ignores the signal from its first line on, and catches it once it can reload.
    while not _signal_mask(daemon.pid, "SigIgn") & ignored and not _signal_mask(daemon.pid, "SigCgt") & ignored:
        pass
    daemon.send_signal(signal.SIGHUP)
    _, log = daemon.communicate()
    assert daemon.returncode == 0, log


def test_it_raises_its_limit_of_open_files(program: str, runtime: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft // 2, hard))
    try:
        running = Running(program, runtime)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with closing(running):
        assert resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE) == (hard, hard)


def _signal_mask(process: int, name: str) -> int:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1], 16) for line in lines if line.startswith(f"{name}:"))
