"""The keys of the configuration, with their types, defaults and descriptions."""

import re
import shlex
from collections import Counter
from typing import Annotated

import msgspec

from kwsd.log import LogLevel

DEFAULT_MODEL = "default"
"""Name of the model that is installed with kwsd."""

EVENT_FIELDS = ("keyword", "score", "time", "id", "event")
"""Values of the event that an action can use: ``{keyword}`` in its command, ``KWSD_KEYWORD`` in its environment."""

PLACEHOLDER = re.compile(r"\{(" + "|".join(EVENT_FIELDS) + r")\}")
"""A placeholder in the command of an action."""

ANY_KEYWORD = "*"
"""Key of the action for every keyword that has no other action."""

Text = Annotated[str, msgspec.Meta(pattern=r"\A[^\0]*\Z")]
"""A string without zero bytes. The operating system rejects paths and commands that contain one."""

Threshold = Annotated[float, msgspec.Meta(gt=0, le=1)]


class CurveConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Encryption of events on tcp, and the clients that can subscribe."""

    server_key: Annotated[Text, msgspec.Meta(description="File that contains the daemon's secret key.")]
    clients: Annotated[Text, msgspec.Meta(description="Folder of the clients' public keys, in files that end in .key.")]


class ActionConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A command that ``kwsd act`` runs when a keyword is detected."""

    command: Annotated[
        Text,
        msgspec.Meta(description="Program and arguments. kwsd replaces {keyword}, {score}, {time}, {id} and {event}."),
    ]
    shell: Annotated[
        bool,
        msgspec.Meta(description="Run the command with /bin/sh. Use $KWSD_KEYWORD and so on instead of placeholders."),
    ] = False
    timeout_s: Annotated[
        float, msgspec.Meta(gt=0, le=86_400, description="Maximum run time in seconds. Then kwsd ends the command.")
    ] = 10.0
    interval_s: Annotated[
        float, msgspec.Meta(ge=0, le=86_400, description="Minimum time in seconds between two starts of the command.")
    ] = 0.0

    def split_command(self) -> list[str]:
        """The program and its arguments, with placeholders.

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
            description="Name of the stream. Its events and its status contain the name.",
        ),
    ]
    device: Annotated[Text, msgspec.Meta(description="Audio source, with the same values as the key device.")]


class ClipsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Folder in which the daemon saves the audio of detections and near misses, if the user enables it."""

    folder: Annotated[
        Text,
        msgspec.Meta(
            description="Folder for clips of detections and near misses, one second each. If empty, none are saved."
        ),
    ] = ""
    keep: Annotated[
        int,
        msgspec.Meta(
            ge=1, le=1_000_000, description="Maximum number of clips (32 KB each). The oldest ones are deleted."
        ),
    ] = 1000


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All keys of the configuration."""

    device: Annotated[
        Text,
        msgspec.Meta(
            description="Audio source: default, the index or part of the name of a device, file:PATH, or - for standard"
            " input. Standard input must deliver raw signed 16-bit samples, 16 kHz mono."
        ),
    ] = "default"
    model: Annotated[
        Text,
        msgspec.Meta(description="Model: a bundle folder, the name of an installed bundle, or a SavedModel folder."),
    ] = DEFAULT_MODEL
    labels: Annotated[
        list[str],
        msgspec.Meta(description="Labels of a SavedModel that does not contain them, in the order of its outputs."),
    ] = []
    address: Annotated[
        Text,
        msgspec.Meta(
            description="Address for events: ipc:///PATH or tcp://HOST:PORT. If empty,"
            " ipc://$XDG_RUNTIME_DIR/kwsd/events.sock."
        ),
    ] = ""
    log_level: Annotated[LogLevel, msgspec.Meta(description="Minimum log level: debug, info, warning or error.")] = (
        "info"
    )
    thresholds: Annotated[
        dict[str, Threshold],
        msgspec.Meta(
            description="For each keyword, its threshold in (0, 1]. Overrides the threshold of the model.",
            examples=[{"go": 0.95}],
        ),
    ] = {}
    control: Annotated[
        Text,
        msgspec.Meta(
            description="Address for control requests: ipc:///PATH. If empty, control.sock in the folder of the event"
            " socket."
        ),
    ] = ""
    stream: Annotated[
        list[StreamConfig],
        msgspec.Meta(
            description="Several audio sources at the same time, instead of device. One table for each.",
            examples=[[{"name": "desk", "device": "USB Audio"}, {"name": "door", "device": "Webcam"}]],
        ),
    ] = []
    curve: Annotated[
        CurveConfig | None,
        msgspec.Meta(
            description="Encryption. Required for a tcp address that other machines can reach. See docs/security.md.",
            examples=[
                {"server_key": "~/.config/kwsd/keys/server.key_secret", "clients": "~/.config/kwsd/keys/clients"}
            ],
        ),
    ] = None
    actions: Annotated[
        dict[str, Text | ActionConfig],
        msgspec.Meta(
            description="For each keyword, the command that kwsd act runs when the keyword is detected. The key"
            ' "*" applies to all other keywords. See docs/actions.md.',
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
            description="Clips for kwsd review. Without this table the daemon saves none. See docs/tuning.md.",
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
        """The streams. If the configuration has none, `device` is the only stream, and its name is empty."""
        return self.stream or [StreamConfig("", self.device)]

    def actions_by_keyword(self) -> dict[str, ActionConfig]:
        """Keyword to action. An action that is only a command becomes an `ActionConfig` with defaults."""
        return {
            keyword: ActionConfig(action) if isinstance(action, str) else action
            for keyword, action in self.actions.items()
        }
