"""Loads the configuration and records the origin of each value.

Command-line options override environment variables, which override the configuration file, which overrides defaults. In
the code, each of these sources of values is called a layer.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import platformdirs

from kwsd.config.schema import EVENT_FIELDS, Config, CurveConfig
from kwsd.errors import ConfigError
from kwsd.files import TEXT_LIMIT, expand_home, find_user_folder, is_present, read_file

ENVIRONMENT_PREFIX = "KWSD_"
"""Prefix of the names of all environment variables of kwsd."""

CONFIG_VARIABLE = "KWSD_CONFIG"
"""Environment variable that contains the path of the configuration file."""

MESSAGE_REPLACEMENTS = {
    r"^Object contains unknown field `(.+?)`": r"there is no setting '\1'",
    r"^Object missing required field `(.+?)`": r"the setting '\1' is missing",
    r"^Invalid enum value ('.*?')": r"\1 is not an allowed value; see  kwsd config --default",
    r"^Invalid value ('.*?')": r"\1 is not an allowed value",
    "^Expected": "expected",
}
"""Maps the start of an error message of msgspec, as a regular expression, to the text that kwsd prints."""

TYPE_NAMES = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
}
"""Maps the name of a type in the messages of msgspec to the text that kwsd prints."""

MAX_KEY_PARTS = 32
"""Maximum number of parts of a dotted key. The time that tomllib needs for a key grows with the square of this number.
The longest configuration key of kwsd has three parts."""

LONG_KEY = re.compile(rf"""(?<![\w-])(?:(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){{{MAX_KEY_PARTS}}}""", re.ASCII)
"""Pattern of a dotted key with more than `MAX_KEY_PARTS` parts."""

MAX_SHOWN_NUMBER = 10**15
"""Limit above which messages do not show integers, because Python does not print integers of more than 4,300 digits."""

FILE_PREFIX, IPC_PREFIX = "file:", "ipc://"
"""Prefixes of a device and of an address that are followed by a path."""

KUBERNETES_VARIABLE = re.compile(
    r"(\w+_)?(SERVICE_HOST=[\da-f.:]+|SERVICE_PORT(_\w+)?=\d+|PORT(_\d+_(TCP|UDP|SCTP))?=(tcp|udp|sctp)://\S+"
    r"|PORT_\d+_(TCP|UDP|SCTP)_(PROTO=(tcp|udp|sctp)|PORT=\d+|ADDR=[\da-f.:]+))"
)
"""Pattern of the variables that Kubernetes sets for a service whose name begins with kwsd, for example
``KWSD_PORT=tcp://10.0.0.1:80``. The names of settings do not match this pattern, so typing errors in the name of a
setting are still reported."""

MERGED_TABLES = ("thresholds", "actions", "clips")
"""Tables whose keys are merged from all layers. For all other keys, the layer with the highest priority provides the
complete value."""


class LoadedConfig(NamedTuple):
    """The configuration and the origin of each value.

    Parameters
    ----------
    config : Config
        Configuration with the merged values of all layers.
    origins : dict
        Origin of each value, by the key of the value. A merged table has one origin for each of its keys.
    """

    config: Config
    origins: dict[str, str | dict[str, str]]


class ConfigLayer(NamedTuple):
    """The values from one source, for example the configuration file.

    Parameters
    ----------
    origin : str
        Description of the source of the values, for messages and comments.
    values : dict
        Values by key.
    """

    origin: str
    values: dict[str, Any]


def load_config(
    flags: Mapping[str, Any] | None = None, file: Path | None = None, environment: Mapping[str, str] = os.environ
) -> LoadedConfig:
    """Load the configuration from all layers.

    Parameters
    ----------
    flags : mapping, optional
        Values from the command line. The value None means that the option is not given.
    file : Path, optional
        The configuration file. If no file is given, `find_config_file` chooses the configuration file.
    environment : mapping
        Environment variables.

    Raises
    ------
    ConfigError
        A file cannot be read, a key is unknown, or a value has the wrong type.
    """
    # The defaults are the lowest layer. Each further layer overrides the values before it.
    values: dict[str, Any] = msgspec.to_builtins(Config())
    origins: dict[str, Any] = {
        key: dict.fromkeys(value, "default") if key in MERGED_TABLES else "default" for key, value in values.items()
    }
    given = {key: value for key, value in (flags or {}).items() if value is not None}
    for layer in (_file_layer(file, environment), _environment_layer(environment), ConfigLayer("command line", given)):
        # Each layer is validated separately, so that the error message can name its origin.
        _validate(layer.values, layer.origin)
        if "device" in layer.values and "stream" not in layer.values:
            # A device in a higher layer also replaces the streams of lower layers.
            values["stream"], origins["stream"] = [], "default"
        for key, value in layer.values.items():
            if key in MERGED_TABLES:
                values[key] |= value
                origins[key] |= dict.fromkeys(value, layer.origin)
            else:
                values[key], origins[key] = value, layer.origin
    return LoadedConfig(_expand_homes(_validate(values, "configuration")), origins)


def _expand_homes(config: Config) -> Config:
    """Return the configuration, in which each ``~`` at the start of a path is replaced by the home folder."""
    try:
        return msgspec.structs.replace(
            config,
            device=_expand_path(config.device, FILE_PREFIX),
            stream=[
                msgspec.structs.replace(stream, device=_expand_path(stream.device, FILE_PREFIX))
                for stream in config.stream
            ],
            address=expand_address(config.address),
            control=expand_address(config.control),
            clips=msgspec.structs.replace(config.clips, folder=_expand_path(config.clips.folder)),
            curve=config.curve
            and CurveConfig(_expand_path(config.curve.server_key), _expand_path(config.curve.clients)),
        )
    except OSError as error:
        raise ConfigError(f"{error.filename}: {error.strerror}") from None


def expand_address(address: str) -> str:
    """Return an ipc address with ``~`` replaced by the home folder; another address is returned unchanged.

    Raises
    ------
    FileNotFoundError
        The home folder does not exist.
    """
    return _expand_path(address, IPC_PREFIX)


def _expand_path(text: str, prefix: str = "") -> str:
    path = text.removeprefix(prefix)
    return f"{prefix}{expand_home(path)}" if text.startswith(f"{prefix}~") else text


def config_file_candidates() -> list[Path]:
    """Return the paths at which kwsd searches for a configuration file. kwsd reads the first file that exists.

    For a user without a home folder, only the second path is returned.
    """
    folders = (find_user_folder("config"), platformdirs.site_config_path("kwsd"))
    return [folder / "config.toml" for folder in folders if folder]


def find_config_file(file: Path | None = None, environment: Mapping[str, str] = os.environ) -> Path | None:
    """Return the configuration file that kwsd reads, or None if there is no file.

    `load_config` describes the parameters.

    Raises
    ------
    ConfigError
        The home folder does not exist.
    """
    if file is None and environment.get(CONFIG_VARIABLE):
        file = Path(environment[CONFIG_VARIABLE])
    try:
        return expand_home(file) if file else next(filter(is_present, config_file_candidates()), None)
    except OSError as error:
        raise ConfigError(f"cannot read {error.filename}: {error.strerror}") from None


def _file_layer(file: Path | None, environment: Mapping[str, str]) -> ConfigLayer:
    file = find_config_file(file, environment)
    if file is None:
        return ConfigLayer("file", {})
    try:
        text = read_file(file, TEXT_LIMIT).decode()
        if LONG_KEY.search(text):
            raise ConfigError(f"{file} has a key with more than {MAX_KEY_PARTS} parts: no setting has so many")
        return ConfigLayer(str(file), tomllib.loads(text))
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # also a number of thousands of digits, and bytes that are not UTF-8
        raise ConfigError(f"{file} is not valid TOML: {error}") from None


def _environment_layer(environment: Mapping[str, str]) -> ConfigLayer:
    # kwsd passes the event to an action in these variables. If the action runs kwsd, they must not configure it.
    others = {CONFIG_VARIABLE, *(ENVIRONMENT_PREFIX + field.upper() for field in EVENT_FIELDS)}
    variables = {
        name: text
        for name, text in environment.items()
        if name.startswith(ENVIRONMENT_PREFIX) and name not in others and not _is_from_kubernetes(name, text)
    }
    values = {name.removeprefix(ENVIRONMENT_PREFIX).lower(): text for name, text in variables.items()}
    parsed = {key: _parse_variable(key, text) for key, text in values.items()}
    return ConfigLayer(f"environment ({' '.join(sorted(variables))})", parsed)


def _is_from_kubernetes(name: str, text: str) -> bool:
    return bool(KUBERNETES_VARIABLE.fullmatch(f"{name.removeprefix(ENVIRONMENT_PREFIX)}={text}"))


def _parse_variable(key: str, text: str) -> Any:  # noqa: ANN401  a text, a list or a table
    """Parse the value of an environment variable. A list has the form ``a,b``, and a table has the form ``a=1,b=2``."""
    if key == "labels":
        return text.split(",")
    if key == "thresholds":
        return parse_thresholds(text.split(","), f"{ENVIRONMENT_PREFIX}{key.upper()}")
    return text


def parse_thresholds(pairs: list[str], origin: str) -> dict[str, float]:
    """Parse thresholds of the form ``WORD=NUMBER``.

    Parameters
    ----------
    pairs : list of str
        Texts of the form ``WORD=NUMBER``, one for each keyword.
    origin : str
        Name of the option or variable that contains the thresholds, for the error message.

    Raises
    ------
    ConfigError
        A text does not have the form ``WORD=NUMBER``, or a threshold is not in (0, 1].
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
    _check_thresholds(thresholds, origin)
    return thresholds


def _check_thresholds(thresholds: object, origin: str) -> None:
    """Check that each threshold is in (0, 1]. The error message of msgspec would not contain the keyword."""
    for word, number in thresholds.items() if isinstance(thresholds, dict) else ():
        if isinstance(number, int | float) and not 0 < number <= 1:
            shown = number if isinstance(number, float) or abs(number) < MAX_SHOWN_NUMBER else "a huge number"
            raise ConfigError(f"{origin}: the threshold of {word!r} is {shown}; it must be above 0 and at most 1")


def _validate(values: dict[str, Any], origin: str) -> Config:
    _check_thresholds(values.get("thresholds"), origin)
    _check_encoding(values, origin)
    try:
        return msgspec.convert(values, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{origin}: {rephrase_validation_error(str(error))}") from None


def _check_encoding(values: object, origin: str, key: str = "") -> None:
    """Check that each text is valid Unicode, because events contain the texts as UTF-8.

    Python represents a byte that is not UTF-8 as a surrogate.
    """
    if isinstance(values, str):
        try:
            values.encode()
        except UnicodeEncodeError:
            raise ConfigError(f"{origin}: {key}: {values!r} is not valid UTF-8") from None
    elif isinstance(values, dict):
        for inner, value in values.items():
            _check_encoding(inner, origin, key)
            _check_encoding(value, origin, f"{key}.{inner}".removeprefix("."))
    elif isinstance(values, list | tuple):
        for value in values:
            _check_encoding(value, origin, key)


def rephrase_validation_error(reason: str) -> str:
    """Rephrase an error message of msgspec for the user: first the setting, then the error."""
    for pattern, words in MESSAGE_REPLACEMENTS.items():
        reason = re.sub(pattern, words, reason)
    reason = re.sub(r"`([a-z |]+)`", _name_types, reason)
    problem, _, setting = reason.partition(" - at `$.")
    return f"{setting.rstrip('`')}: {problem}" if setting else problem


def _name_types(types: re.Match[str]) -> str:
    return " or ".join(TYPE_NAMES.get(name, name) for name in types[1].split(" | "))
