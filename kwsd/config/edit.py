"""Changes values in the configuration file of the user and preserves comments, order and layout."""

from collections.abc import Mapping
from pathlib import Path

import tomlkit

from kwsd.config.load import CONFIG_VARIABLE, config_file_candidates, find_config_file
from kwsd.errors import OutputError
from kwsd.files import TEXT_LIMIT, read_file, replace_file


def write_thresholds(thresholds: Mapping[str, float], file: Path | None, environment: Mapping[str, str]) -> Path:
    """Write the thresholds of the given keywords to the active configuration file.

    If the user does not have a configuration file, the function creates one. kwsd reads only one file, so the new file
    is a copy of the file for all users, if that file exists.

    Parameters
    ----------
    thresholds : mapping
        Threshold of each keyword, in (0, 1].
    file : Path, optional
        Configuration file from the command line, if one was given.
    environment : mapping
        Environment variables, in which ``KWSD_CONFIG`` can contain the path of the file.

    Returns
    -------
    Path
        Path of the file that was written.

    Raises
    ------
    OutputError
        The file cannot be written, or this user does not have a home folder.
    """
    source = find_config_file(file, environment)
    named = file is not None or bool(environment.get(CONFIG_VARIABLE))
    target = source if source and named else _find_users_file()
    try:
        text = read_file(source, TEXT_LIMIT).decode() if source else ""
        target.parent.mkdir(parents=True, exist_ok=True)
        replace_file(target, set_thresholds_in_toml(text, thresholds).encode())
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror}") from None
    return target


def _find_users_file() -> Path:
    user, *site = config_file_candidates()
    if not site:
        raise OutputError("there is no home folder for the configuration: name a file with --config")
    return user


def set_thresholds_in_toml(text: str, thresholds: Mapping[str, float]) -> str:
    """Set thresholds in the text of a TOML configuration, and return the new text."""
    document = tomlkit.parse(text)
    # An existing table stays as it is: a section, an inline table or dotted keys.
    table = document.setdefault("thresholds", tomlkit.table())
    for word, threshold in thresholds.items():
        table[word] = threshold
    return tomlkit.dumps(document)
