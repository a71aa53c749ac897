"""Figures and the model card: what a bundle says about itself, kept up to date as it is measured."""

from pathlib import Path
from typing import Any

import msgspec

from kwsd.errors import OutputError
from kwsd.models import bundle
from kwsd.models.bundle import Bundle, DetectorSettings
from kwsd_train.measuring.evaluate import Report, Share

CLIPS, STREAM, TUNING = "clips", "stream", "tuning"
"""Names of the figures in ``bundle.json``: of ``evaluate``, of ``evaluate --stream``, and of ``tune``."""
WEAKEST = 3
GENERAL_FAILURES = (
    "- The recordings of words are by adults at a computer, mostly. Children, strong accents and speech from across a",
    "  room are heard less well; how much less was not measured.",
    "- A word must be said on its own: in the middle of a sentence it is often missed.",
)


def note(folder: Path, name: str, figures: Any, detector: DetectorSettings | None = None) -> None:
    """Put figures, and detector settings where there are new ones, into a bundle and its model card.

    Raises
    ------
    OutputError
        The bundle cannot be written.
    """
    old = bundle.read_bundle(folder)
    metrics = old.metrics | {name: msgspec.to_builtins(figures)}
    write(msgspec.structs.replace(old, metrics=metrics, detector=detector or old.detector), folder)


def write(description: Bundle, folder: Path) -> None:
    """Write ``MODEL_CARD.md`` and ``bundle.json``."""
    card = folder / bundle.MODEL_CARD
    try:
        card.write_text(text(description), encoding="utf-8")
        files = description.files | {bundle.MODEL_CARD: bundle.record(card)}
        bundle.write_manifest(msgspec.structs.replace(description, files=files), folder)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror}") from None


def text(description: Bundle) -> str:
    """The model card, in Markdown."""
    parts = [
        [f"# Model card: {description.name}"],
        [f"Recognises {', '.join(description.keywords)} in 16 kHz audio. {_rejection(description)}"],
        *_training(description),
        *_clips(description),
        *_tuning(description),
        *_streams(description),
        ["## Where it fails", "", *_failures(description)],
        [
            "## Licence",
            "",
            f"{description.licence}. Trained on:",
            "",
            *(f"- {line}" for line in description.attribution),
        ],
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _rejection(description: Bundle) -> str:
    if bundle.RESERVED_LABELS & set(description.labels):
        return "It also knows `_unknown_` (other words and speech) and `_silence_`, which never become events."
    return "It knows nothing else: every sound is taken for one of these words, so that in a stream it fires often."


def _training(description: Bundle) -> list[list[str]]:
    training = description.training
    if not training:
        return []
    recipe = training["recipe"]
    counts = {split: sum(words.values()) for split, words in training["clips"].items()}
    made = ", ".join(f"{name} {recipe[name]}" for name in ("epochs", "seed", "split"))
    lines = [
        "## How it was made",
        "",
        f"Recipe `{recipe['name']}` of kwsd-train: network {recipe['network']['type']}, {made}.",
        f"Clips of single words: {counts['training']:,} for training, {counts['validation']:,} for validation.",
    ]
    if training.get("averaged"):
        lines.append(f"Its weights are the mean of those of the runs {' and '.join(training['averaged'])}.")
    if training.get("cut"):
        before, after = (", ".join(map(str, each)) for each in (training["cut"], recipe["network"]["channels"]))
        lines.append(f"Of its channels, {before}, all but the first {after} were cut off.")
    if recipe["mixture"]:
        lines.append("Augmented with noise, room responses, running speech without the keywords, and half words.")
    return [lines]


def _clips(description: Bundle) -> list[list[str]]:
    figures = _report(description)
    if figures is None:
        return []
    lines = [
        f"## On single words ({figures.split} speakers)",
        "",
        "| | right | 95 % interval | clips |",
        "|---|---|---|---|",
    ]
    lines.append(_row("keywords alone", figures.accuracy))
    lines += [_row("all labels", figures.full)] if figures.full else []
    lines += [_row(word, share) for word, share in figures.per_word.items()]
    lines += [_row(f"{word}, rejected", share) for word, share in figures.rejected.items()] if figures.full else []
    return [lines]


def _tuning(description: Bundle) -> list[list[str]]:
    figures = description.metrics.get(TUNING)
    if figures is None:
        return []
    missed, alarms = msgspec.convert(figures["missed"], Share), figures["false_alarms"]["all"]
    median, late = figures["latency_median_s"], figures["latency_p95_s"]
    found = f"{_percent(missed.share)} of {missed.of} words missed, {_percent(missed.low)} to {_percent(missed.high)}"
    fired = f"{alarms['per_hour']:.1f} false alarms an hour, {alarms['low']:.1f} to {alarms['high']:.1f}"
    lines = [
        "## In a stream",
        "",
        "At the detector settings of `bundle.json`, on the recordings on which they were chosen, with 95 % intervals:",
        "",
        f"- {found};",
        f"- {fired}, in {alarms['hours']:.1f} h of recordings without the words;",
        f"- latency from the end of a word: median {median:.2f} s, 95th percentile {late:.2f} s.",
        "",
        "Expect a little worse on other recordings.",
    ]
    return [lines]


def _streams(description: Bundle) -> list[list[str]]:
    figures = description.metrics.get(STREAM)
    if figures is None:
        return []
    lines = [
        f"Words missed in streams of {figures['split']} speakers, at a common level:",
        "",
        "| | missed | 95 % interval | words |",
        "|---|---|---|---|",
    ]
    rows = [(name, msgspec.convert(stream["missed"], Share)) for name, stream in figures["streams"].items()]
    return [lines + [_row(name, missed) for name, missed in rows]]


def _failures(description: Bundle) -> list[str]:
    figures = _report(description)
    lines = ["- Words that sound like a keyword, and keywords inside longer words, are taken for it."]
    if figures:
        weakest = sorted(figures.per_word, key=lambda word: figures.per_word[word].share)[:WEAKEST]
        lines.append(f"- As single words the weakest keywords are {', '.join(weakest)}.")
    return [*lines, *GENERAL_FAILURES]


def _report(description: Bundle) -> Report | None:
    figures = description.metrics.get(CLIPS)
    return msgspec.convert(figures, Report) if figures else None


def _row(name: str, share: Share) -> str:
    interval = f"{_percent(share.low)} to {_percent(share.high)}"
    return f"| {name} | {_percent(share.share)} | {interval} | {share.count} of {share.of} |"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
