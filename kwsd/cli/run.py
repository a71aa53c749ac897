"""``kwsd run``."""

from pathlib import Path
from typing import Annotated

import typer

from kwsd.cli.options import ConfigFile, Labels, ModelName, split_labels
from kwsd.log import LogLevel


def run(
    device: Annotated[
        str | None,
        typer.Option(
            help="'default', an index, a part of a name, 'file:PATH', or '-' for raw 16-bit PCM, 16 kHz mono, on stdin."
        ),
    ] = None,
    model: ModelName = None,
    labels: Labels = None,
    address: Annotated[str | None, typer.Option(help="Where to publish: ipc:///PATH or tcp://127.0.0.1:PORT.")] = None,
    control: Annotated[
        str | None, typer.Option(help="Where to be controlled: ipc:///PATH; beside the events without it.")
    ] = None,
    threshold: Annotated[
        list[str] | None,
        typer.Option(metavar="WORD=NUMBER", help="Over the model's threshold for a keyword. May be repeated."),
    ] = None,
    save_clips: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Keep the audio of detections and near misses, a second each, in this folder, for `kwsd review`.",
        ),
    ] = None,
    log_level: Annotated[LogLevel | None, typer.Option(help="The least grave messages that are logged.")] = None,
    config: ConfigFile = None,
) -> None:
    """Listen, and publish an event for each keyword.

    Stops on SIGTERM and SIGINT (Ctrl+C), and at the end of a file or pipe. Reads its configuration anew on SIGHUP.
    """
    from kwsd.config.load import load_config, parse_thresholds
    from kwsd.daemon.loop import run_daemon

    flags = {
        "device": device,
        "model": model,
        "labels": split_labels(labels),
        "address": address,
        "control": control,
        "thresholds": parse_thresholds(threshold, "--threshold") if threshold else None,
        "clips": {"folder": str(save_clips)} if save_clips else None,
        "log_level": log_level,
    }
    run_daemon(lambda: load_config(flags, config).config)
