"""Checks the thresholds from the options of ``kwsd tune``, finds thresholds for a rate, and writes thresholds."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from kwsd.config.edit import write_thresholds
from kwsd.config.load import load_config, parse_thresholds
from kwsd.config.schema import Config
from kwsd.errors import UsageError
from kwsd.models.bundle import DetectorSettings
from kwsd.models.find import configured_model
from kwsd.models.model import Model
from kwsd.tuning.scoring import RecordingScores
from kwsd.tuning.thresholds import (
    HIGHEST,
    ZERO_IN_HOURS,
    ThresholdChoice,
    count_detections,
    is_rate_provable,
    thresholds_for_rate,
)


class TuningSetup(NamedTuple):
    """The configuration and the model with which ``kwsd tune`` starts.

    Parameters
    ----------
    config : Config
        Configuration that ``kwsd tune`` uses.
    model : Model
        Model of the configuration, with the current detector settings.
    wanted : dict
        Maps a keyword to the threshold that the user wants to write. The mapping may be empty.
    """

    config: Config
    model: Model
    wanted: dict[str, float]


def load_tuning_setup(flags: Mapping[str, Any], file: Path | None, assignments: list[str]) -> TuningSetup:
    """Load the configuration and the model, and check the thresholds that the user has given.

    The thresholds are checked first, so that a typo is reported before an hour of recording.

    Parameters
    ----------
    flags : mapping
        Values from the command line, in the format of `kwsd.config.load.load_config`.
    file : Path, optional
        Configuration file to use instead of the default files.
    assignments : list of str
        Each is ``WORD=NUMBER``.

    Raises
    ------
    ConfigError
        The configuration is invalid, or a threshold assignment is invalid.
    ModelError
        The model cannot be used, or does not know one of the keywords.
    """
    config = load_config(flags, file).config
    model = configured_model(config)
    wanted = parse_thresholds(assignments, "--set")
    model.settings_with(model.detector, wanted)
    return TuningSetup(config, model, wanted)


def choose_thresholds(
    scored: RecordingScores,
    settings: DetectorSettings,
    wanted: dict[str, float],
    per_hour: float | None,
    report: Callable[[str], None],
) -> ThresholdChoice | None:
    """Return the thresholds that the user has chosen and the resulting detections; None without a choice.

    Parameters
    ----------
    settings : DetectorSettings
        Current detector settings.
    wanted : dict
        Maps a keyword to the threshold that replaces the current threshold.
    per_hour : float, optional
        Maximum number of false alarms per hour. If a rate is given, the recordings must not contain keywords, and
        `wanted` must be empty.
    report : callable
        Function that is called with a line of text if the audio is too short to prove the rate.

    Raises
    ------
    UsageError
        All usable thresholds cause more detections than the rate allows.
    """
    if per_hour is None:
        return count_detections(scored, settings, settings.thresholds | wanted) if wanted else None
    if not is_rate_provable(scored.hours, per_hour):
        needed = f"{ZERO_IN_HOURS / per_hour:.2g} h without a detection are" if per_hour else "no length would be"
        report(f"no threshold is lowered: {scored.hours:.2f} h of audio cannot prove this rate, {needed} enough")
    found = thresholds_for_rate(scored, settings, per_hour)
    if found is None or min(found.thresholds.values()) >= HIGHEST:
        alarms = "false alarm" if per_hour == 1 else "false alarms"
        raise UsageError(
            f"no usable thresholds stay below {per_hour:g} {alarms} per hour on this audio: does it contain a keyword?"
        )
    return found


def write_choice(
    settings: DetectorSettings, thresholds: dict[str, float], file: Path | None, report: Callable[[str], None]
) -> Path | None:
    """Write the thresholds that differ from the current thresholds to the configuration file.

    Parameters
    ----------
    settings : DetectorSettings
        Current detector settings.
    file : Path, optional
        Configuration file to use instead of the default files.
    report : callable
        Function that is called with lines of text about the written thresholds.

    Returns
    -------
    Path or None
        Path of the configuration file; None if nothing was written.

    Raises
    ------
    ModelError
        The model of the configuration does not know one of the keywords.
    OutputError
        The configuration file cannot be written.
    """
    changed = {word: threshold for word, threshold in thresholds.items() if settings.thresholds[word] != threshold}
    if not changed:
        report("nothing was written: these thresholds are already in force")
        return None
    # The user may have listened with another model than that of the configuration.
    configured_model(load_config({"thresholds": changed}, file).config)
    path = write_thresholds(changed, file, os.environ)
    report(f"wrote {path}: {_format_thresholds(changed)}")
    in_force = load_config(file=file).config.thresholds
    if overridden := {word: in_force[word] for word, threshold in changed.items() if in_force[word] != threshold}:
        report(f"but KWSD_THRESHOLDS overrides the file: {_format_thresholds(overridden)}")
    report("to apply them to a running daemon:  kwsd reload")
    return path


def _format_thresholds(thresholds: dict[str, float]) -> str:
    return "  ".join(f"{word} {threshold:g}" for word, threshold in thresholds.items())
