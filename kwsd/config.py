"""The daemon's configuration: flags over the environment over a file over defaults, and where each value came from."""

import os
import re
import shlex
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import platformdirs

from kwsd.errors import ConfigError
from kwsd.log import LogLevel
from kwsd.model import DEFAULT_MODEL

PREFIX = "KWSD_"
CONFIG_VARIABLE = "KWSD_CONFIG"

EVENT_FIELDS = ("keyword", "score", "time", "id", "event")
"""What an action is told of its event, as ``{keyword}`` in its command and as ``KWSD_KEYWORD`` in its environment."""

PLACEHOLDER = re.compile(r"\{(" + "|".join(EVENT_FIELDS) + r")\}")

EVERY = "*"
"""Stands for every keyword without an action of its own."""

Text = Annotated[str, msgspec.Meta(pattern=r"\A[^\0]*\Z")]
"""No path, device or command has a zero byte in it."""

Threshold = Annotated[float, msgspec.Meta(gt=0, le=1)]


class Curve(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Encryption of events over tcp, and the clients that may have them."""

    server_key: Annotated[Text, msgspec.Meta(description="File with the daemon's secret key.")]
    clients: Annotated[
        Text, msgspec.Meta(description="Folder with the public key of each client, in files that end in .key.")
    ]


class Action(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
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

    def words(self) -> list[str]:
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


class Stream(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of several things to listen to at once."""

    name: Annotated[
        str,
        msgspec.Meta(pattern=r"\A[^\x00-\x1f/.][^\x00-\x1f/]*\Z", description="Carried by its events and its status."),
    ]
    device: Annotated[Text, msgspec.Meta(description="As the key device.")]


class Clips(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
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
        list[Stream],
        msgspec.Meta(
            description="Several things to listen to at once, in place of device: a table for each.",
            examples=[[{"name": "desk", "device": "USB Audio"}, {"name": "door", "device": "Webcam"}]],
        ),
    ] = []
    curve: Annotated[
        Curve | None,
        msgspec.Meta(
            description="Encryption, needed on a tcp address that others than this machine can reach; see"
            " docs/security.md.",
            examples=[
                {"server_key": "~/.config/kwsd/keys/server.key_secret", "clients": "~/.config/kwsd/keys/clients"}
            ],
        ),
    ] = None
    actions: Annotated[
        dict[str, Text | Action],
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
        Clips,
        msgspec.Meta(
            description="Audio for kwsd review; the daemon keeps none without this. See docs/tuning.md.",
            examples=[{"folder": "~/.local/share/kwsd/clips", "keep": 1000}],
        ),
    ] = Clips()

    def __post_init__(self) -> None:
        """Refuse streams that cannot be told apart, and an action that could never be run, by its keyword."""
        for names in ([stream.name for stream in self.stream], [stream.device for stream in self.stream]):
            for name in names:
                if names.count(name) > 1:
                    raise ValueError(f"there are two streams with {name!r}")
        for keyword, action in self.commands().items():
            try:
                action.words()
            except ValueError as error:
                raise ValueError(f"action for {keyword!r}: {error}") from None

    def streams(self) -> list[Stream]:
        """What is listened to; the only stream has no name."""
        return self.stream or [Stream("", self.device)]

    def commands(self) -> dict[str, Action]:
        """The actions, each in its long form."""
        return {
            keyword: Action(action) if isinstance(action, str) else action for keyword, action in self.actions.items()
        }


REWORDED = {
    r"^Object contains unknown field `(.+?)`": r"there is no setting '\1'",
    r"^Object missing required field `(.+?)`": r"the setting '\1' is missing",
    r"^Invalid enum value ('.*?')": r"\1 is none of its values, see  kwsd config --default",
    r"^Invalid value ('.*?')": r"\1 is none of its values",
    "^Expected": "expected",
}
"""Beginnings of msgspec's messages."""

TYPES = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
}
"""JSON's types, by msgspec's names, in words."""

MERGED_TABLES = ("thresholds", "actions", "clips")
"""Tables that are merged key by key."""


class Effective(NamedTuple):
    """A configuration and, for each key, where its value came from; in the merged tables, for each of their keys."""

    config: Config
    origins: dict[str, str | dict[str, str]]


class Layer(NamedTuple):
    """Values that one place gives."""

    origin: str
    values: dict[str, Any]


def load_config(
    flags: Mapping[str, Any] | None = None, file: Path | None = None, environment: Mapping[str, str] = os.environ
) -> Effective:
    """The configuration in force.

    Parameters
    ----------
    flags : mapping, optional
        Values from the command line; None stands for a flag that was not given.
    file : Path, optional
        Read instead of the usual places.
    environment : mapping

    Raises
    ------
    ConfigError
        A file cannot be read, a key is not known, or a value has the wrong type.
    """
    values: dict[str, Any] = msgspec.to_builtins(Config())
    origins: dict[str, Any] = {
        key: dict.fromkeys(value, "default") if key in MERGED_TABLES else "default" for key, value in values.items()
    }
    given = {key: value for key, value in (flags or {}).items() if value is not None}
    for layer in (_file_layer(file, environment), _environment_layer(environment), Layer("command line", given)):
        _convert(layer.values, layer.origin)
        if "device" in layer.values and "stream" not in layer.values:
            # Of all that lower places say about what to listen to, nothing is left.
            values["stream"], origins["stream"] = [], "default"
        for key, value in layer.values.items():
            if key in MERGED_TABLES:
                values[key] |= value
                origins[key] |= dict.fromkeys(value, layer.origin)
            else:
                values[key], origins[key] = value, layer.origin
    return Effective(_convert(values, "configuration"), origins)


def config_files() -> list[Path]:
    """Where a configuration file is looked for; the first that exists is read."""
    return [
        platformdirs.user_config_path("kwsd") / "config.toml",
        platformdirs.site_config_path("kwsd") / "config.toml",
    ]


def file_in_force(file: Path | None = None, environment: Mapping[str, str] = os.environ) -> Path | None:
    """The configuration file that is read, if there is one; for the parameters see `load_config`."""
    if file is None and environment.get(CONFIG_VARIABLE):
        file = Path(environment[CONFIG_VARIABLE])
    return file or next((path for path in config_files() if path.exists()), None)


def _file_layer(file: Path | None, environment: Mapping[str, str]) -> Layer:
    file = file_in_force(file, environment)
    if file is None:
        return Layer("file", {})
    try:
        return Layer(str(file), tomllib.loads(file.read_text("utf-8")))
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{file} is not valid TOML: {error}") from None


def _environment_layer(environment: Mapping[str, str]) -> Layer:
    # An action may run kwsd, so what it is told of its event is no configuration.
    others = {CONFIG_VARIABLE, *(PREFIX + field.upper() for field in EVENT_FIELDS)}
    variables = {name: text for name, text in environment.items() if name.startswith(PREFIX) and name not in others}
    values = {name.removeprefix(PREFIX).lower(): text for name, text in variables.items()}
    parsed = {key: _parse(key, text) for key, text in values.items()}
    return Layer(f"environment ({' '.join(sorted(variables))})", parsed)


def _parse(key: str, text: str) -> Any:  # noqa: ANN401  a text, a list or a table
    """Value of an environment variable: lists are ``a,b``, tables ``a=1,b=2``."""
    if key == "labels":
        return text.split(",")
    if key == "thresholds":
        return parse_thresholds(text.split(","), f"{PREFIX}{key.upper()}")
    return text


def parse_thresholds(pairs: list[str], origin: str) -> dict[str, float]:
    """Thresholds from ``WORD=NUMBER`` texts.

    Raises
    ------
    ConfigError
        A text has another form, or a threshold is not in (0, 1].
    """
    thresholds = {}
    for pair in pairs:
        word, equals, number = pair.partition("=")
        try:
            thresholds[word] = float(number)
        except ValueError:
            equals = ""
        if not (word and equals):
            raise ConfigError(f"{origin}: {pair!r} is not WORD=NUMBER")
    _check_range(thresholds, origin)
    return thresholds


def _check_range(thresholds: object, origin: str) -> None:
    """Refuse a threshold by its word, which msgspec leaves out; other faults are left to it."""
    for word, number in thresholds.items() if isinstance(thresholds, dict) else ():
        if isinstance(number, int | float) and not 0 < number <= 1:
            raise ConfigError(f"{origin}: the threshold of {word!r} is {number}, and must be above 0 and at most 1")


def _convert(values: dict[str, Any], origin: str) -> Config:
    _check_range(values.get("thresholds"), origin)
    try:
        return msgspec.convert(values, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{origin}: {in_words(str(error))}") from None


def in_words(reason: str) -> str:
    """A reason of msgspec's as a person would put it, the setting first."""
    for pattern, words in REWORDED.items():
        reason = re.sub(pattern, words, reason)
    reason = re.sub(r"`([a-z |]+)`", _types_in_words, reason)
    what, _, where = reason.partition(" - at `$.")
    return f"{where.rstrip('`')}: {what}" if where else what


def _types_in_words(types: re.Match[str]) -> str:
    return " or ".join(TYPES.get(name, name) for name in types[1].split(" | "))
