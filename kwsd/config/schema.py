"""Defines the keys of the configuration, with their types, defaults and descriptions."""

import re
import shlex
from collections import Counter
from typing import Annotated

import msgspec

from kwsd.log import LogLevel

DEFAULT_MODEL = "default"
"""Name of the default model, which is installed with kwsd."""

EVENT_FIELDS = ("keyword", "score", "time", "id", "event")
"""Event fields that an action can use: ``{keyword}`` in its command, or ``KWSD_KEYWORD`` in its environment."""

PLACEHOLDER = re.compile(r"\{(" + "|".join(EVENT_FIELDS) + r")\}")
"""Pattern of a placeholder in the command of an action."""

ANY_KEYWORD = "*"
"""Key of the action that applies to every keyword without another action."""

Text = Annotated[str, msgspec.Meta(pattern=r"\A[^\0]*\Z")]
"""A string that does not contain zero bytes. The operating system rejects paths and commands that contain a zero
byte."""

Threshold = Annotated[float, msgspec.Meta(gt=0, le=1)]


class CurveConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Encryption of events on tcp, and the clients that can subscribe."""

    server_key: Annotated[
        Text, msgspec.Meta(description="Path of the file that contains the daemon's secret CURVE key.")
    ]
    clients: Annotated[
        Text,
        msgspec.Meta(
            description="Folder that contains the public keys of the clients, in files whose names end in .key."
        ),
    ]


class ActionConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A command that ``kwsd act`` runs when a keyword is detected."""

    command: Annotated[
        Text,
        msgspec.Meta(
            description="Program to run, with its arguments. kwsd replaces {keyword}, {score}, {time}, {id} and {event}"
            " by the values of the event."
        ),
    ]
    shell: Annotated[
        bool,
        msgspec.Meta(
            description="If true, /bin/sh runs the command. A shell command uses variables like $KWSD_KEYWORD instead"
            " of placeholders like {keyword}."
        ),
    ] = False
    timeout_s: Annotated[
        float,
        msgspec.Meta(
            gt=0,
            le=86_400,
            description="Maximum run time of the command in seconds. kwsd ends the command if it runs longer.",
        ),
    ] = 10.0
    interval_s: Annotated[
        float, msgspec.Meta(ge=0, le=86_400, description="Minimum time in seconds between two starts of the command.")
    ] = 0.0

    def split_command(self) -> list[str]:
        """Return the program and its arguments, which still contain the placeholders.

        Raises
        ------
        ValueError
            The command is empty, a quotation mark is missing, or a shell command contains a placeholder.
        """
        words = shlex.split(self.command)
        if not words:
            raise ValueError("the command is empty")
        if not self.shell:
            return words
        if PLACEHOLDER.search(self.command):
            # A value inserted into shell code could close a quotation and start another command.
            raise ValueError("a shell command cannot contain placeholders: use $KWSD_KEYWORD instead of {keyword}")
        return ["/bin/sh", "-c", self.command]


class StreamConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of several audio sources that the daemon listens to at the same time."""

    name: Annotated[
        str,
        msgspec.Meta(
            pattern=r"\A[^\x00-\x1f/.][^\x00-\x1f/]*\Z",
            description="Name of the stream. The events and the status of the stream contain this name.",
        ),
    ]
    device: Annotated[
        Text,
        msgspec.Meta(description="Audio source of the stream, with the same possible values as the setting device."),
    ]


class ClipsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Folder in which the daemon saves the audio of detections and near misses, if the user enables it."""

    folder: Annotated[
        Text,
        msgspec.Meta(
            description="Folder in which the daemon saves one second of audio for each detection and each near miss."
            " If this value is empty, the daemon saves no clips."
        ),
    ] = ""
    keep: Annotated[
        int,
        msgspec.Meta(
            ge=1,
            le=1_000_000,
            description="Maximum number of saved clips, 32 KB each. The daemon deletes the oldest clips"
            " if there are more.",
        ),
    ] = 1000


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All keys of the configuration."""

    device: Annotated[
        Text,
        msgspec.Meta(
            description="Audio source: default, the index of a device, part of its name, file:PATH, or - for standard"
            " input. Standard input delivers a sound file, or raw signed 16-bit samples, 16 kHz mono."
        ),
    ] = "default"
    model: Annotated[
        Text,
        msgspec.Meta(
            description="Model: the name of an installed bundle, a bundle or SavedModel folder, or a .tflite file."
        ),
    ] = DEFAULT_MODEL
    labels: Annotated[
        list[str],
        msgspec.Meta(description="Labels for a model that contains no labels, in the order of the model's outputs."),
    ] = []
    address: Annotated[
        Text,
        msgspec.Meta(
            description="Address for events: ipc:///PATH or tcp://HOST:PORT. If this value is empty,"
            " kwsd uses ipc://$XDG_RUNTIME_DIR/kwsd/events.sock."
        ),
    ] = ""
    log_level: Annotated[LogLevel, msgspec.Meta(description="Minimum log level: debug, info, warning or error.")] = (
        "info"
    )
    thresholds: Annotated[
        dict[str, Threshold],
        msgspec.Meta(
            description="Threshold of each keyword, above 0 and at most 1. It overrides the keyword's threshold"
            " in the model.",
            examples=[{"go": 0.95}],
        ),
    ] = {}
    control: Annotated[
        Text,
        msgspec.Meta(
            description="Address for control requests: ipc:///PATH. If this value is empty, kwsd uses control.sock in"
            " the folder of the event socket."
        ),
    ] = ""
    stream: Annotated[
        list[StreamConfig],
        msgspec.Meta(
            description="Audio sources that one daemon listens to at the same time, with one table for each source. The"
            " stream tables replace the setting device.",
            examples=[[{"name": "desk", "device": "USB Audio"}, {"name": "door", "device": "Webcam"}]],
        ),
    ] = []
    curve: Annotated[
        CurveConfig | None,
        msgspec.Meta(
            description="Encryption of the events on a tcp address. Encryption is required if other machines can reach"
            " the address. See docs/security.md.",
            examples=[
                {"server_key": "~/.config/kwsd/keys/server.key_secret", "clients": "~/.config/kwsd/keys/clients"}
            ],
        ),
    ] = None
    actions: Annotated[
        dict[str, Text | ActionConfig],
        msgspec.Meta(
            description="For each keyword, the command that kwsd act runs when the keyword is detected. The command"
            ' of the key "*" runs for all other keywords. See docs/actions.md.',
            examples=[
                {
                    "left": "xdotool key Prior",
                    "go": {
                        "command": 'notify-send "I heard $KWSD_KEYWORD"',
                        "shell": True,
                        "timeout_s": 2.0,
                        "interval_s": 5.0,
                    },
                }
            ],
        ),
    ] = {}
    clips: Annotated[
        ClipsConfig,
        msgspec.Meta(
            description="Settings for saving audio clips, which kwsd review can sort. Without this table, the daemon"
            " saves no clips. See docs/tuning.md.",
            examples=[{"folder": "~/.local/share/kwsd/clips", "keep": 1000}],
        ),
    ] = ClipsConfig()

    def __post_init__(self) -> None:
        """Check that streams are distinct and that every action can be run."""
        for key in ("name", "device"):
            values = [getattr(stream, key) for stream in self.stream]
            if len(set(values)) < len(values):
                repeated = Counter(values).most_common(1)[0][0]
                raise ValueError(f"two streams have the same {key} {repeated!r}")
        for keyword, action in self.actions_by_keyword().items():
            try:
                action.split_command()
            except ValueError as error:
                raise ValueError(f"action for {keyword!r}: {error}") from None

    def streams(self) -> list[StreamConfig]:
        """Return the configured streams.

        If the configuration does not contain streams, `device` is the only stream, and the name of this stream is
        empty.
        """
        return self.stream or [StreamConfig("", self.device)]

    def actions_by_keyword(self) -> dict[str, ActionConfig]:
        """Return the action of each keyword. If an action is only a command, its `ActionConfig` has default values."""
        return {
            keyword: ActionConfig(action) if isinstance(action, str) else action
            for keyword, action in self.actions.items()
        }
