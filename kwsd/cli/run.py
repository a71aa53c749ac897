"""``kwsd run``."""

from pathlib import Path
from typing import Annotated

import typer


def run(
    device: Annotated[
        str | None,
        typer.Option(
            help="'default', an index, a part of a name, 'file:PATH', or '-' for raw 16-bit PCM, 16 kHz mono, on stdin."
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="A bundle folder, an installed model's name, or a SavedModel folder.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="Labels of a SavedModel that does not hold them: a,b,c in order.")
    ] = None,
    address: Annotated[str | None, typer.Option(help="Where to publish: ipc:///PATH or tcp://127.0.0.1:PORT.")] = None,
    control: Annotated[
        str | None, typer.Option(help="Where to be controlled: ipc:///PATH; beside the events without it.")
    ] = None,
    threshold: Annotated[
        list[str] | None, typer.Option(help="WORD=NUMBER: over the model's threshold. May be repeated.")
    ] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
    config: Annotated[Path | None, typer.Option(help="Configuration file, instead of the usual places.")] = None,
) -> None:
    """Listen, and publish an event for each keyword.

    Stops on SIGTERM and SIGINT (Ctrl+C), and at the end of a file or pipe. Reads its configuration anew on SIGHUP.
    """
    from kwsd.config import load_config, parse_thresholds
    from kwsd.daemon import run_daemon

    flags = {
        "device": device,
        "model": model,
        "labels": labels.split(",") if labels else None,
        "address": address,
        "control": control,
        "thresholds": parse_thresholds(threshold, "--threshold") if threshold else None,
        "log_level": log_level,
    }
    run_daemon(lambda: load_config(flags, config).config)
