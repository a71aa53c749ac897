"""The thresholds that a user chooses with ``kwsd tune``: checks them, finds them for a rate, and writes them."""

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
    """The configuration and the model that ``kwsd tune`` starts with.

    Parameters
    ----------
    config : Config
        The configuration in force.
    model : Model
        The model in force. Its detector settings are those in force.
    wanted : dict
        Keyword to the threshold that the user wants to write; may be empty.
    """

    config: Config
    model: Model
    wanted: dict[str, float]


def load_tuning_setup(flags: Mapping[str, Any], file: Path | None, assignments: list[str]) -> TuningSetup:
    """Load the configuration and the model, and check the thresholds that the user wants.

    The check comes first, so that a typo is reported before the user has listened for an hour.

    Parameters
    ----------
    flags : mapping
        Values from the command line, as `kwsd.config.load.load_config` takes them.
    file : Path, optional
        Configuration file, instead of the usual places.
    assignments : list of str
        Each is ``WORD=NUMBER``.

    Raises
    ------
    ConfigError
        The configuration or an assignment is invalid.
    ModelError
        The model cannot be used, or does not know a keyword.
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
    """The thresholds that the user chose, and their detections; None without a choice.

    Parameters
    ----------
    settings : DetectorSettings
        The settings in force.
    wanted : dict
        Keyword to the threshold that replaces the one in force.
    per_hour : float, optional
        Wanted rate of false alarms. The recordings must not contain keywords then, and `wanted` is empty.
    report : callable
        Called with a line of text if the audio is too short to prove the rate.

    Raises
    ------
    UsageError
        With every usable threshold there are more detections than the rate allows.
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
    """Write the thresholds that differ from those in force into the configuration file.

    Parameters
    ----------
    settings : DetectorSettings
        The settings in force.
    file : Path, optional
        Configuration file, instead of the usual places.
    report : callable
        Called with lines of text that say what was written.

    Returns
    -------
    Path or None
        The file, if anything was written.

    Raises
    ------
    ModelError
        The model of the configuration does not know a keyword.
    OutputError
        The file cannot be written.
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
