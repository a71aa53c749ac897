"""The daemon's configuration: flags over the environment over a file over defaults, and where each value came from."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import platformdirs

from kwsd.errors import ConfigError
from kwsd.model import DEFAULT_MODEL

PREFIX = "KWSD_"
CONFIG_VARIABLE = "KWSD_CONFIG"

Text = Annotated[str, msgspec.Meta(pattern=r"\A[^\0]*\Z")]
"""No path or device has a zero byte in its name."""

Threshold = Annotated[float, msgspec.Meta(gt=0, le=1)]


class Curve(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Encryption of events over tcp, and the clients that may have them.

    Parameters
    ----------
    server_key : str
        File with the daemon's secret key.
    clients : str
        Folder with the public key of each client, in files that end in ``.key``.
    """

    server_key: Text
    clients: Text


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a daemon does.

    Parameters
    ----------
    device : str
        ``default``, a device's index or a part of its name, ``file:PATH``, or ``-`` for raw samples on standard input.
    model : str
        A bundle folder, the name of an installed bundle, or a SavedModel folder.
    labels : list of str
        Labels of a SavedModel that does not hold them.
    address : str
        Where events are published; the default address when empty.
    log_level : str
    thresholds : dict
        Keyword to threshold, over those of the model.
    control : str
        Where the daemon is controlled, on ipc; beside the event socket when empty.
    curve : Curve, optional
        Needed on a tcp address that others than this machine can reach.
    """

    device: Text = "default"
    model: Text = DEFAULT_MODEL
    labels: list[str] = []
    address: Text = ""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    thresholds: dict[str, Threshold] = {}
    control: Text = ""
    curve: Curve | None = None


class Effective(NamedTuple):
    """A configuration and, for each key, where its value came from."""

    config: Config
    origins: dict[str, str]


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
    origins = dict.fromkeys(values, "default")
    given = {key: value for key, value in (flags or {}).items() if value is not None}
    for layer in (_file_layer(file, environment), _environment_layer(environment), Layer("command line", given)):
        _convert(layer.values, layer.origin)
        for key, value in layer.values.items():
            values[key] = values[key] | value if key == "thresholds" else value
            origins[key] = layer.origin
    return Effective(_convert(values, "configuration"), origins)


def config_files() -> list[Path]:
    """Where a configuration file is looked for; the first that exists is read."""
    return [
        platformdirs.user_config_path("kwsd") / "config.toml",
        platformdirs.site_config_path("kwsd") / "config.toml",
    ]


def _file_layer(file: Path | None, environment: Mapping[str, str]) -> Layer:
    if file is None and CONFIG_VARIABLE in environment:
        file = Path(environment[CONFIG_VARIABLE])
    if file is None:
        file = next((path for path in config_files() if path.exists()), None)
    if file is None:
        return Layer("file", {})
    try:
        return Layer(str(file), tomllib.loads(file.read_text("utf-8")))
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{file} is not valid TOML: {error}") from None


def _environment_layer(environment: Mapping[str, str]) -> Layer:
    variables = {
        name: text for name, text in environment.items() if name.startswith(PREFIX) and name != CONFIG_VARIABLE
    }
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
        A text has another form.
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
    return thresholds


def _convert(values: dict[str, Any], origin: str) -> Config:
    try:
        return msgspec.convert(values, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{origin}: {error}") from None
