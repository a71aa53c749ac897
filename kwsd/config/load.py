"""Loads the configuration and the origin of each value.

Command-line options override environment variables, which override the configuration file, which overrides defaults.
The code calls each of these places a layer.
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
"""Environment variable that names the configuration file."""

MESSAGE_REPLACEMENTS = {
    r"^Object contains unknown field `(.+?)`": r"there is no setting '\1'",
    r"^Object missing required field `(.+?)`": r"the setting '\1' is missing",
    r"^Invalid enum value ('.*?')": r"\1 is not an allowed value; see  kwsd config --default",
    r"^Invalid value ('.*?')": r"\1 is not an allowed value",
    "^Expected": "expected",
}
"""Maps the start of a msgspec message, as a regular expression, to the wording that kwsd prints."""

TYPE_NAMES = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
}
"""Maps the name of a type in msgspec's messages to the wording that kwsd prints."""

MAX_KEY_PARTS = 32
"""Most parts of a dotted key. The time that tomllib needs for a key grows with the square of this number. The longest
key of kwsd has three parts."""

LONG_KEY = re.compile(rf"""(?<![\w-])(?:(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){{{MAX_KEY_PARTS}}}""", re.ASCII)
"""A dotted key with more than `MAX_KEY_PARTS` parts."""

MAX_SHOWN_NUMBER = 10**15
"""Messages do not show integers from here on: Python refuses to print integers of more than 4,300 digits."""

FILE_PREFIX, IPC_PREFIX = "file:", "ipc://"
"""Starts of a device and of an address that are followed by a path."""

KUBERNETES_VARIABLE = re.compile(
    r"(\w+_)?(SERVICE_HOST=[\da-f.:]+|SERVICE_PORT(_\w+)?=\d+|PORT(_\d+_(TCP|UDP|SCTP))?=(tcp|udp|sctp)://\S+"
    r"|PORT_\d+_(TCP|UDP|SCTP)_(PROTO=(tcp|udp|sctp)|PORT=\d+|ADDR=[\da-f.:]+))"
)
"""What Kubernetes sets in each container for a service whose name begins with kwsd, for example
``KWSD_PORT=tcp://10.0.0.1:80``. No setting has such a name, so this hides no typing error in the name of a setting."""

MERGED_TABLES = ("thresholds", "actions", "clips")
"""Tables whose keys are merged from all layers. For other keys, the highest layer provides the whole value."""


class LoadedConfig(NamedTuple):
    """A configuration and the origin of each value.

    Parameters
    ----------
    config : Config
        The merged values of all layers.
    origins : dict
        Origin of each value, by key. A merged table has one origin for each of its keys.
    """

    config: Config
    origins: dict[str, str | dict[str, str]]


class ConfigLayer(NamedTuple):
    """The values from one place, such as the configuration file.

    Parameters
    ----------
    origin : str
        Description of the place, for messages and comments.
    values : dict
        Key to value.
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
        Values from the command line. None means that the option is not given.
    file : Path, optional
        The configuration file. Without it, `find_config_file` chooses the file.
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
    """The configuration with home folders in place of ``~``, in everything that contains a path."""
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
    """An ipc address with the home folder in place of ``~`` at the start of its path; another address unchanged.

    Raises
    ------
    FileNotFoundError
        There is no such home folder.
    """
    return _expand_path(address, IPC_PREFIX)


def _expand_path(text: str, prefix: str = "") -> str:
    path = text.removeprefix(prefix)
    return f"{prefix}{expand_home(path)}" if text.startswith(f"{prefix}~") else text


def config_file_candidates() -> list[Path]:
    """The paths where kwsd looks for a configuration file. It reads the first that exists.

    A user without a home folder has only the second.
    """
    folders = (find_user_folder("config"), platformdirs.site_config_path("kwsd"))
    return [folder / "config.toml" for folder in folders if folder]


def find_config_file(file: Path | None = None, environment: Mapping[str, str] = os.environ) -> Path | None:
    """The configuration file that kwsd reads, or None if there is no file. `load_config` describes the parameters.

    Raises
    ------
    ConfigError
        There is no such home folder.
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
    """Parse the value of an environment variable. A list has the form ``a,b``, and a table ``a=1,b=2``."""
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
        One text for each keyword.
    origin : str
        The option or variable that contains them, for the error message.

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
    _check_thresholds(thresholds, origin)
    return thresholds


def _check_thresholds(thresholds: object, origin: str) -> None:
    """Check the range of each threshold. msgspec would not name the keyword in its message."""
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
    """Check that each text is valid Unicode: events contain it as UTF-8. A byte that is not UTF-8 is a surrogate."""
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
    """Rephrase a message of msgspec for the user: the setting first, then what is wrong."""
    for pattern, words in MESSAGE_REPLACEMENTS.items():
        reason = re.sub(pattern, words, reason)
    reason = re.sub(r"`([a-z |]+)`", _name_types, reason)
    problem, _, setting = reason.partition(" - at `$.")
    return f"{setting.rstrip('`')}: {problem}" if setting else problem


def _name_types(types: re.Match[str]) -> str:
    return " or ".join(TYPE_NAMES.get(name, name) for name in types[1].split(" | "))
