"""Changes of the user's configuration file, which leave the rest of it as it is: comments, order, layout."""

from collections.abc import Mapping
from pathlib import Path

import tomlkit

from kwsd.config.load import CONFIG_VARIABLE, config_file_candidates, find_config_file
from kwsd.errors import OutputError
from kwsd.files import replace_file


def write_thresholds(thresholds: Mapping[str, float], file: Path | None, environment: Mapping[str, str]) -> Path:
    """Put thresholds of some keywords into the configuration file in force.

    A user who has none gets one. It begins as a copy of that for all users, if there is one, because kwsd reads one
    file only.

    Parameters
    ----------
    thresholds : mapping
        Keyword to threshold.
    file : Path, optional
        The file that the command line names.
    environment : mapping

    Returns
    -------
    Path
        Of the file that was written.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    source = find_config_file(file, environment)
    named = file is not None or bool(environment.get(CONFIG_VARIABLE))
    target = source if source and named else config_file_candidates()[0]
    text = source.read_bytes().decode() if source else ""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        replace_file(target, set_thresholds_in_toml(text, thresholds).encode())
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror}") from None
    return target


def set_thresholds_in_toml(text: str, thresholds: Mapping[str, float]) -> str:
    """A configuration, as TOML, with these thresholds in it."""
    document = tomlkit.parse(text)
    table = document.setdefault("thresholds", tomlkit.table())
    for word, threshold in thresholds.items():
        table[word] = threshold
    return tomlkit.dumps(document)
