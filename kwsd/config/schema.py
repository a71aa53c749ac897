"""The keys of the configuration, with their types, defaults and descriptions."""

import re
import shlex
from typing import Annotated

import msgspec

from kwsd.log import LogLevel

DEFAULT_MODEL = "default"

EVENT_FIELDS = ("keyword", "score", "time", "id", "event")
"""What an action is told of its event, as ``{keyword}`` in its command and as ``KWSD_KEYWORD`` in its environment."""

PLACEHOLDER = re.compile(r"\{(" + "|".join(EVENT_FIELDS) + r")\}")

ANY_KEYWORD = "*"
"""Stands for every keyword without an action of its own."""

Text = Annotated[str, msgspec.Meta(pattern=r"\A[^\0]*\Z")]
"""No path, device or command has a zero byte in it."""

Threshold = Annotated[float, msgspec.Meta(gt=0, le=1)]


class CurveConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Encryption of events over tcp, and the clients that may have them."""

    server_key: Annotated[Text, msgspec.Meta(description="File with the daemon's secret key.")]
    clients: Annotated[
        Text, msgspec.Meta(description="Folder with the public key of each client, in files that end in .key.")
    ]


class ActionConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A command that `kwsd act` runs when a keyword is spoken."""

    command: Annotated[
        Text,
        msgspec.Meta(
            description="The program and its arguments. {keyword}, {score}, {time}, {id} and {event} are filled in."
        ),
    ]
    shell: Annotated[
        bool,
        msgspec.Meta(description="Give the command to /bin/sh, which finds the event in $KWSD_KEYWORD and the like."),
    ] = False
    timeout_s: Annotated[
        float, msgspec.Meta(gt=0, le=86_400, description="Seconds after which a command that still runs is ended.")
    ] = 10.0
    interval_s: Annotated[
        float, msgspec.Meta(ge=0, le=86_400, description="Seconds from one start to the next, at least.")
    ] = 0.0

    def split_command(self) -> list[str]:
        """The program and its arguments, nothing filled in.

        Raises
        ------
        ValueError
            The command is empty, a quotation in it does not end, or a shell's command is to be filled in.
        """
        words = shlex.split(self.command)
        if not words:
            raise ValueError("the command is empty")
        if not self.shell:
            return words
        if PLACEHOLDER.search(self.command):
            # Filled into a shell's program text, a word could end a quotation and begin a command.
            raise ValueError("a shell finds the keyword in $KWSD_KEYWORD: nothing is filled into its command")
        return ["/bin/sh", "-c", self.command]


class StreamConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of several things to listen to at once."""

    name: Annotated[
        str,
        msgspec.Meta(pattern=r"\A[^\x00-\x1f/.][^\x00-\x1f/]*\Z", description="Carried by its events and its status."),
    ]
    device: Annotated[Text, msgspec.Meta(description="As the key device.")]


class ClipsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the daemon keeps the audio of detections and near misses, if at all."""

    folder: Annotated[
        Text,
        msgspec.Meta(
            description="Folder for the audio of detections and near misses, a second each. When empty, none is kept."
        ),
    ] = ""
    keep: Annotated[
        int, msgspec.Meta(ge=1, le=1_000_000, description="Clips in the folder, of 32 KB each; the oldest are removed.")
    ] = 1000


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a daemon does, and what is done with its events."""

    device: Annotated[
        Text,
        msgspec.Meta(
            description="What to listen to: default, a device's index or a part of its name, file:PATH, or - for raw"
            " signed 16-bit samples, 16 kHz mono, on standard input."
        ),
    ] = "default"
    model: Annotated[
        Text, msgspec.Meta(description="A bundle folder, the name of an installed bundle, or a SavedModel folder.")
    ] = DEFAULT_MODEL
    labels: Annotated[
        list[str], msgspec.Meta(description="Labels of a SavedModel that does not hold them, in order.")
    ] = []
    address: Annotated[
        Text,
        msgspec.Meta(
            description="Where events are published: ipc:///PATH or tcp://HOST:PORT. When empty,"
            " ipc://$XDG_RUNTIME_DIR/kwsd/events.sock."
        ),
    ] = ""
    log_level: Annotated[
        LogLevel, msgspec.Meta(description="The least grave messages that are logged: debug, info, warning or error.")
    ] = "info"
    thresholds: Annotated[
        dict[str, Threshold],
        msgspec.Meta(
            description="Keyword to threshold, in (0, 1]: over those of the model.",
            examples=[{"go": 0.95}],
        ),
    ] = {}
    control: Annotated[
        Text,
        msgspec.Meta(
            description="Where the daemon is controlled: ipc:///PATH. When empty, control.sock beside the event socket."
        ),
    ] = ""
    stream: Annotated[
        list[StreamConfig],
        msgspec.Meta(
            description="Several things to listen to at once, in place of device: a table for each.",
            examples=[[{"name": "desk", "device": "USB Audio"}, {"name": "door", "device": "Webcam"}]],
        ),
    ] = []
    curve: Annotated[
        CurveConfig | None,
        msgspec.Meta(
            description="Encryption, needed on a tcp address that others than this machine can reach; see"
            " docs/security.md.",
            examples=[
                {"server_key": "~/.config/kwsd/keys/server.key_secret", "clients": "~/.config/kwsd/keys/clients"}
            ],
        ),
    ] = None
    actions: Annotated[
        dict[str, Text | ActionConfig],
        msgspec.Meta(
            description='Keyword to the command that kwsd act runs when it is spoken; "*" is every keyword without a'
            " command of its own. See docs/actions.md.",
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
            description="Audio for kwsd review; the daemon keeps none without this. See docs/tuning.md.",
            examples=[{"folder": "~/.local/share/kwsd/clips", "keep": 1000}],
        ),
    ] = ClipsConfig()

    def __post_init__(self) -> None:
        """Refuse streams that cannot be told apart, and an action that could never be run, by its keyword."""
        for names in ([stream.name for stream in self.stream], [stream.device for stream in self.stream]):
            for name in names:
                if names.count(name) > 1:
                    raise ValueError(f"there are two streams with {name!r}")
        for keyword, action in self.actions_by_keyword().items():
            try:
                action.split_command()
            except ValueError as error:
                raise ValueError(f"action for {keyword!r}: {error}") from None

    def streams(self) -> list[StreamConfig]:
        """What is listened to; the only stream has no name."""
        return self.stream or [StreamConfig("", self.device)]

    def actions_by_keyword(self) -> dict[str, ActionConfig]:
        """The actions, each in its long form."""
        return {
            keyword: ActionConfig(action) if isinstance(action, str) else action
            for keyword, action in self.actions.items()
        }
