"""Defines the command ``kwsd check``."""

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from kwsd.cli.options import ConfigFile, Device
from kwsd.log import create_console, print_data, print_message

if TYPE_CHECKING:
    from rich.text import Text

    from kwsd.check import Finding

STATE_MARKS = {
    "ok": ("ok  ", "green"),
    "warning": ("warn", "yellow"),
    "failed": ("FAIL", "bold red"),
    "skipped": ("-   ", "dim"),
}


def check(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object: ready, next, and the checks.")
    ] = False,
    device: Device = None,
    config: ConfigFile = None,
) -> None:
    """Check everything that kwsd needs, record three seconds, and print the next command to type.

    The last line is "ready", or the command for the first failure. The exit code is that of the first failure.
    Warnings do not stop kwsd from working. The recording is not saved.
    """
    from kwsd.check import check_all

    console = create_console(highlight=False, soft_wrap=True)
    findings = []
    for finding in check_all(device, config):
        findings.append(finding)
        if not as_json:
            console.print(_format_finding(finding))
            _prompt_to_speak(finding)
    failure = next((finding for finding in findings if finding.state == "failed"), None)
    if as_json:
        print_data(_format_json(findings, failure))
    else:
        console.print("ready" if failure is None else f"next: {failure.cure}", style="bold", markup=False)
    if failure:
        raise typer.Exit(failure.exit_code)


def _format_finding(finding: "Finding") -> "Text":
    from rich.text import Text

    cure = f"; try: {finding.cure}" if finding.cure else ""
    return Text.assemble(STATE_MARKS[finding.state], f"  {finding.check:<14}{finding.text}{cure}")


def _prompt_to_speak(finding: "Finding") -> None:
    """Ask the user to speak, after the last check result before the recording."""
    if finding.check == "device" and finding.state == "ok" and sys.stderr.isatty():
        print_message("recording three seconds: say one of the keywords")


def _format_json(findings: "list[Finding]", failure: "Finding | None") -> str:
    import msgspec

    checks = [msgspec.to_builtins(finding) for finding in findings]
    return json.dumps({"ready": failure is None, "next": failure.cure if failure else "", "checks": checks})
