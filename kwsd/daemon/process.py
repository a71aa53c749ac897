"""The daemon's process: what ``kwsd run`` becomes when it has read its command line."""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from kwsd.ending import run_and_exit


def become_daemon(flags: dict[str, Any], file: Path | None) -> None:
    """Put the daemon in the place of this process, which keeps its number and its open files.

    Typer, and the libraries that it loads, would take 11 MB of memory for as long as the daemon listens.

    Parameters
    ----------
    flags : dict
        As for `kwsd.config.load.load_config`, but the thresholds are texts.
    file : Path or None
        Configuration.
    """
    sys.stdout.flush()
    given = {key: value for key, value in flags.items() if value is not None}  # ps(1) shows what is told
    told = json.dumps({"flags": given, "file": file and str(file)})
    # Ctrl+C waits until it is caught again: until then it would kill, or show what Python was about.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    # Without -P, modules would be looked for in the working directory.
    os.execv(sys.executable, [sys.executable, "-P", "-m", __spec__.name, told])  # noqa: S606  there is no shell


def main() -> None:
    """Run the daemon as the command line says, and end the process."""
    from kwsd.config.load import load_config, parse_thresholds  # noqa: PLC0415  `kwsd run` needs none of it
    from kwsd.daemon.loop import run_daemon  # noqa: PLC0415  see above

    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    told = json.loads(sys.argv[1])
    flags, file = told["flags"], told["file"] and Path(told["file"])
    if "thresholds" in flags:
        flags["thresholds"] = parse_thresholds(flags["thresholds"], "--threshold")
    run_daemon(lambda: load_config(flags, file).config)


if __name__ == "__main__":
    run_and_exit(main)
