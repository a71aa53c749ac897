"""Measures everything and writes the tables of ``docs/internals/performance.md``.

Run ``python benchmarks/page.py --data FOLDER``. It takes about 25 minutes. Do not use the machine during this time.
"""

import datetime
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from audio import ROOT

PAGE = ROOT / "docs" / "internals" / "performance.md"


def main(
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of recordings for peers.py and daemon.py. May be repeated."),
    ] = None,
) -> None:
    """Run the benchmarks, and replace the tables in the page."""
    folders = [option for folder in data or [] for option in ("--data", folder.resolve())]
    _replace("machine", _machine())
    _replace("peers", _output("peers.py", *folders))
    _replace("stages", _output("stages.py"))
    _replace("daemon", _output("daemon.py", *folders))


def _output(script: str, *options: str | Path) -> str:
    command = [sys.executable, Path(__file__).with_name(script), *options]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def _replace(name: str, text: str) -> None:
    """Replace the text between a pair of comments in the page."""
    between = re.compile(rf"(?<=<!-- {name} -->\n).*?(?=<!-- end -->)", re.DOTALL)
    PAGE.write_text(between.sub(lambda _: text, PAGE.read_text(), count=1))


def _machine() -> str:
    cpu = Path("/proc/cpuinfo").read_text().partition("model name\t: ")[2].partition("\n")[0]
    today = datetime.datetime.now(datetime.UTC).date()
    system = platform.freedesktop_os_release()["PRETTY_NAME"]
    return f"{today}, {os.cpu_count()} cores of {cpu}, {system}, Python {platform.python_version()}.\n"


if __name__ == "__main__":
    typer.run(main)
