"""``kwsd check``."""

import json as jsonlib
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from kwsd.cli.options import ConfigFile

if TYPE_CHECKING:
    from rich.text import Text

    from kwsd.check import Finding

MARKS = {
    "ok": ("ok  ", "green"),
    "warning": ("warn", "yellow"),
    "failed": ("FAIL", "bold red"),
    "skipped": ("-   ", "dim"),
}


def check(
    json: Annotated[bool, typer.Option("--json", help="One JSON object: ready, next, and the checks.")] = False,
    device: Annotated[
        str | None, typer.Option(help="As for `kwsd run`, instead of the one of the configuration.")
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Look at everything that can be wrong, record three seconds, and say what to type next.

    The last line is "ready", or the command against the first fault, whose exit code is that of the check. Warnings do
    not keep kwsd from hearing. Nothing is kept of what is recorded.
    """
    from rich.console import Console

    from kwsd.check import check_all

    console = Console(highlight=False, soft_wrap=True)
    found = []
    for finding in check_all(device, config):
        found.append(finding)
        if not json:
            console.print(_line(finding))
            _prompt(finding)
    fault = next((finding for finding in found if finding.state == "failed"), None)
    if json:
        print(_object(found, fault))
    else:
        console.print("ready" if fault is None else f"next: {fault.cure}", style="bold", markup=False)
    if fault:
        raise typer.Exit(fault.exit_code)


def _line(finding: "Finding") -> "Text":
    from rich.text import Text

    cure = f"; try: {finding.cure}" if finding.cure else ""
    return Text.assemble(MARKS[finding.state], f"  {finding.check:<14}{finding.text}{cure}")


def _prompt(finding: "Finding") -> None:
    """After the last finding before the level, say that it is time to speak."""
    if finding.check == "device" and finding.state == "ok" and sys.stderr.isatty():
        print("recording three seconds: say one of the words", file=sys.stderr)


def _object(found: "list[Finding]", fault: "Finding | None") -> str:
    import msgspec

    checks = [msgspec.to_builtins(finding) for finding in found]
    return jsonlib.dumps({"ready": fault is None, "next": fault.cure if fault else "", "checks": checks})
