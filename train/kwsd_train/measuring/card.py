"""Functions that write measured figures and the model card into a bundle."""

from pathlib import Path
from typing import Any

import msgspec

from kwsd.errors import OutputError
from kwsd.models import bundle
from kwsd.models.bundle import Bundle, DetectorSettings
from kwsd_train.measuring.evaluate import ClipReport, Proportion

CLIPS, STREAM, TUNING = "clips", "stream", "tuning"
"""Keys in ``bundle.json`` for the figures that ``evaluate``, ``evaluate --stream`` and ``tune`` write."""
WEAKEST = 3
"""Number of least accurate keywords that the model card lists."""
GENERAL_LIMITS = (
    "- Most training recordings of words are by adults at a computer. Children, strong accents and speakers at the",
    "  other end of a room are recognised less well. The difference was not measured.",
    "- Pause before and after a word. The model often misses words in the middle of a sentence.",
)


def add_figures_to_bundle(folder: Path, name: str, figures: Any, detector: DetectorSettings | None = None) -> None:
    """Write measured figures into a bundle and into the bundle's model card.

    Parameters
    ----------
    folder : Path
        Folder of the bundle.
    name : str
        Key of the figures in ``bundle.json``. Older figures with this key are replaced.
    figures : Struct or dict
        The measured figures.
    detector : DetectorSettings, optional
        New detector settings of the bundle. By default the bundle keeps its detector settings.

    Raises
    ------
    OutputError
        The files of the bundle cannot be written.
    """
    old = bundle.read_bundle(folder)
    metrics = old.metrics | {name: msgspec.to_builtins(figures)}
    write_card_and_manifest(msgspec.structs.replace(old, metrics=metrics, detector=detector or old.detector), folder)


def write_card_and_manifest(description: Bundle, folder: Path) -> None:
    """Write the files ``MODEL_CARD.md`` and ``bundle.json`` of a bundle.

    Raises
    ------
    OutputError
        One of the files cannot be written.
    """
    card = folder / bundle.MODEL_CARD
    try:
        card.write_text(format_model_card(description), encoding="utf-8")
        files = description.files | {bundle.MODEL_CARD: bundle.describe_file(card)}
        bundle.write_manifest(msgspec.structs.replace(description, files=files), folder)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror}") from None


def format_model_card(description: Bundle) -> str:
    """Return the model card of a bundle as Markdown text."""
    parts = [
        [f"# Model card: {description.name}"],
        [f"This model recognises {', '.join(description.keywords)} in 16 kHz audio.", _other_labels(description)],
        *_training_section(description),
        *_clips_section(description),
        *_tuning_section(description),
        *_streams_section(description),
        ["## Known limits", "", *_limits(description)],
        [
            "## Licence",
            "",
            f"{description.licence}. The model was trained on:",
            "",
            *(f"- {line}" for line in description.attribution),
        ],
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _other_labels(description: Bundle) -> str:
    if bundle.RESERVED_LABELS & set(description.labels):
        return "It also has the labels `_unknown_` (other words and speech) and `_silence_`. They never become events."
    return "It assigns every sound to one of these words, so it causes many false alarms in a stream."


def _training_section(description: Bundle) -> list[list[str]]:
    training = description.training
    if not training:
        return []
    recipe = training["recipe"]
    counts = {split: sum(words.values()) for split, words in training["clips"].items()}
    made = ", ".join(f"{name} {recipe[name]}" for name in ("epochs", "seed", "split"))
    lines = [
        "## Training",
        "",
        f"Recipe `{recipe['name']}` of kwsd-train: network {recipe['network']['type']}, {made}.",
        f"Clips of single words: {counts['training']:,} for training, {counts['validation']:,} for validation.",
    ]
    if training.get("averaged"):
        lines.append(f"The weights are the mean of the weights of the runs {' and '.join(training['averaged'])}.")
    if training.get("cut"):
        before, after = (", ".join(map(str, each)) for each in (training["cut"], recipe["network"]["channels"]))
        lines.append(f"The network had {before} channels. After training, they were cut to {after}.")
    if recipe["mixture"]:
        lines.append("The examples include noise, room responses, running speech without the keywords, and half words.")
    return [lines]


def _clips_section(description: Bundle) -> list[list[str]]:
    figures = _clip_report(description)
    if figures is None:
        return []
    lines = [
        f"## Single words ({figures.split} speakers)",
        "",
        "| | correct | 95 % interval | clips |",
        "|---|---|---|---|",
    ]
    lines.append(_format_row("keywords alone", figures.accuracy))
    lines += [_format_row("all labels", figures.full)] if figures.full else []
    lines += [_format_row(word, share) for word, share in figures.per_word.items()]
    lines += (
        [_format_row(f"{word}, rejected", share) for word, share in figures.rejected.items()] if figures.full else []
    )
    return [lines]


def _tuning_section(description: Bundle) -> list[list[str]]:
    figures = description.metrics.get(TUNING)
    if figures is None:
        return []
    missed, alarms = msgspec.convert(figures["missed"], Proportion), figures["false_alarms"]["all"]
    median, late = figures["latency_median_s"], figures["latency_p95_s"]
    interval = f"{_format_percent(missed.low)} to {_format_percent(missed.high)}"
    found = f"{_format_percent(missed.share)} of {missed.of} words missed, {interval}"
    rate = f"{alarms['per_hour']:.1f} false alarms per hour, {alarms['low']:.1f} to {alarms['high']:.1f}"
    lines = [
        "## Streams",
        "",
        "These figures use the detector settings of `bundle.json`. Ranges are 95 % intervals.",
        "The settings were chosen on the same recordings, so expect slightly worse figures on others.",
        "",
        f"- {found};",
        f"- {rate}, in {alarms['hours']:.1f} h of recordings without the words;",
        f"- latency from the end of a word: median {median:.2f} s, 95th percentile {late:.2f} s.",
    ]
    return [lines]


def _streams_section(description: Bundle) -> list[list[str]]:
    figures = description.metrics.get(STREAM)
    if figures is None:
        return []
    lines = [
        f"Missed words in streams of {figures['split']} speakers, all at the same level:",
        "",
        "| | missed | 95 % interval | words |",
        "|---|---|---|---|",
    ]
    rows = [(name, msgspec.convert(stream["missed"], Proportion)) for name, stream in figures["streams"].items()]
    return [lines + [_format_row(name, missed) for name, missed in rows]]


def _limits(description: Bundle) -> list[str]:
    figures = _clip_report(description)
    lines = ["- The model confuses a keyword with words that sound like it or contain it."]
    if figures:
        weakest = sorted(figures.per_word, key=lambda word: figures.per_word[word].share)[:WEAKEST]
        lines.append(f"- The least accurate keywords, as single words, are {', '.join(weakest)}.")
    return [*lines, *GENERAL_LIMITS]


def _clip_report(description: Bundle) -> ClipReport | None:
    figures = description.metrics.get(CLIPS)
    return msgspec.convert(figures, ClipReport) if figures else None


def _format_row(name: str, share: Proportion) -> str:
    interval = f"{_format_percent(share.low)} to {_format_percent(share.high)}"
    return f"| {name} | {_format_percent(share.share)} | {interval} | {share.count} of {share.of} |"


def _format_percent(share: float) -> str:
    return f"{100 * share:.1f} %"
