"""Defines the command ``kwsd run``."""

from pathlib import Path
from typing import Annotated

import typer

from kwsd.cli.options import ConfigFile, Labels, ModelName, split_labels
from kwsd.log import LogLevel


def run(
    device: Annotated[
        str | None,
        typer.Option(
            help="'default', an index, part of a name, 'file:PATH', or '-': a sound file, or raw 16-bit PCM, 16 kHz,"
            " mono, on standard input."
        ),
    ] = None,
    model: ModelName = None,
    labels: Labels = None,
    address: Annotated[
        str | None, typer.Option(help="Address for events: ipc:///PATH or tcp://127.0.0.1:PORT.")
    ] = None,
    control: Annotated[
        str | None,
        typer.Option(help="Address for commands such as `kwsd mute`: ipc:///PATH. Default: beside the event address."),
    ] = None,
    threshold: Annotated[
        list[str] | None,
        typer.Option(metavar="WORD=NUMBER", help="Overrides the threshold of a keyword. May be repeated."),
    ] = None,
    save_clips: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Save one second of audio for each detection and near miss in this folder, for `kwsd review`.",
        ),
    ] = None,
    log_level: Annotated[LogLevel | None, typer.Option(help="Minimum log level.")] = None,
    config: ConfigFile = None,
) -> None:
    """Listen, and publish an event for each detected keyword.

    The daemon stops on SIGTERM, on SIGINT (Ctrl+C), and at the end of a file or pipe. In a terminal, it also stops when
    the terminal is closed. Without a terminal, it reads its configuration again on SIGHUP.

    Example: kwsd run --device 'USB Audio' --threshold stop=0.9
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
