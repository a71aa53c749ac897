"""The report on a model: its data, its training, its figures on clips and in streams, and what to listen to."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from kwsd.errors import OutputError, UsageError
from kwsd.frontend import SAMPLE_RATE, Float32
from kwsd.models.model import Model
from kwsd.tuning.scoring import replay_detector
from kwsd_train.data import survey
from kwsd_train.data.dataset import Clips, load_clips, word_names
from kwsd_train.data.features import as_float
from kwsd_train.data.split import SPLITS, check_split, speaker
from kwsd_train.measuring import evaluate, streaming, tune
from kwsd_train.measuring.evaluate import SILENCE, Report, Share
from kwsd_train.measuring.streaming import NEGATIVES, Figures, Rate, Sources, StreamReport, Trials
from kwsd_train.progress import bars
from kwsd_train.reporting import plots
from kwsd_train.reporting.page import (
    Html,
    Section,
    chart,
    gallery,
    heading,
    matrix,
    page,
    paragraph,
    picture,
    player,
    table,
    tiles,
)

SHOWN_CLIPS, SHOWN_PER_WORD = 72, 3
"""Clips of the gallery: so many in all, and of one word, at most."""
LISTED = 20
"""Lines of a list of clips or false alarms that can be listened to: with players they take most of the page's size."""
BEFORE, AFTER = round(1.5 * SAMPLE_RATE), SAMPLE_RATE // 2  # samples heard around the moment of a false alarm
FARTHEST, BEYOND = 60.0, 2.0
"""The DET curves end at so many false alarms an hour, or at so many times those of the model, if that is more."""
AT_ONCE = 256
"""Clips that are scored between two movements of the progress bar."""
NO_STREAMS = "Nothing was measured in streams: that needs the folders speech/ and noise/ in the data folder."


@dataclass(frozen=True)
class Heard:
    """What a model makes of the clips of a data folder.

    Parameters
    ----------
    clips : Clips
        Of all splits.
    measures : survey.Measures
    doubts : list of survey.Doubt
    figures : Report
        On one split.
    """

    model: Model
    clips: Clips
    measures: survey.Measures
    doubts: list[survey.Doubt]
    figures: Report

    def name(self, clip: int) -> str:
        """Word folder and file name of a clip."""
        return "/".join(self.clips.paths[clip].parts[-2:])

    def player(self, clip: int) -> Html:
        """A player of a clip."""
        return player(self.name(clip), self.clips.samples[clip])


def write(
    path: Path, model: Model, sources: Sources, history: Sequence[dict[str, float]], say: Callable[[str], None]
) -> None:
    """Measure a model and write the report.

    Parameters
    ----------
    path : Path
        The HTML file.
    model : Model
    sources : Sources
        Whose data folder is described as a whole; the figures are those of its split.
    history : sequence of dict
        Of the run that made the model; empty where it is not known.
    say : callable
        Takes a line about each step.

    Raises
    ------
    UsageError
        The data folder has no clip of a keyword in that split.
    OutputError
        The file cannot be written.
    """
    if sources.data is None:
        raise UsageError("a report needs --data")
    _check_writable(path)  # said before minutes of work, not after
    word_names(sources.data)  # likewise, that there is no such folder
    streams = None
    if all((sources.data / kind).is_dir() for kind in NEGATIVES):
        say("running the model over streams, and over recordings without keywords")
        streams = streaming.hear(model, sources)
    else:
        say(NO_STREAMS)
    heard = hear(model, sources.data, sources.split, say)
    for skipped in heard.clips.skipped:
        say(f"skipped: {skipped.reason}")
    sections = [
        Section("Data", list(_data(heard))),
        Section("Clips to look into", list(_suspects(heard))),
        Section("A few clips of each word", [_gallery(heard)]),
        Section("Training", list(_training(history))),
        Section("Single clips", list(_clips(heard))),
        Section("Streams", list(_streams(model, sources, streams)) if streams else [paragraph(NO_STREAMS)]),
    ]
    summary = Section("Summary", [_summary(heard, streams)])
    lead = (
        f"Model {model.name} on {sources.data.name}, {heard.figures.split} speakers unless said otherwise. "
        "Brackets hold 95 % intervals."
    )
    try:
        path.write_text(page(f"Report on {model.name}", lead, [summary, *sections]), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from None


def _check_writable(path: Path) -> None:
    if not path.parent.is_dir():
        raise OutputError(f"cannot write {path}: there is no folder {path.parent}")
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a folder")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise OutputError(f"cannot write {path}: permission denied")


def hear(model: Model, data: Path, split: str, say: Callable[[str], None]) -> Heard:
    """Score the clips of all splits, and measure one of them."""
    check_split(split)
    say("reading the clips")
    clips = load_clips(data, words=evaluate.measured_words(model, data))
    say(f"scoring {len(clips.paths):,} clips")
    scores = _scores(model, clips)
    chosen = np.isin(clips.splits, [name for name in SPLITS if split in {name, "all"}])
    words = clips.words[chosen]
    if not np.isin(words, model.keywords).any():
        raise UsageError(f"{data} has no {split} clip of a keyword of model {model.name}")
    quiet = evaluate.silences(data) if SILENCE in model.labels else clips.samples[:0]
    figures = evaluate.report(
        np.concatenate([words, np.full(len(quiet), SILENCE)]),
        np.concatenate([scores[chosen], model.predict(as_float(quiet))]),
        model.labels,
        split,
    )
    doubts = survey.doubts(clips.words, scores, model.labels)
    return Heard(model, clips, survey.measure(clips), doubts, figures)


def _scores(model: Model, clips: Clips) -> Float32:
    pieces = np.array_split(clips.samples, range(AT_ONCE, len(clips.samples), AT_ONCE))
    with bars() as shown:
        counted = shown.track(pieces, description="scoring the clips")
        return np.concatenate([model.predict(as_float(piece)) for piece in counted])


def _summary(heard: Heard, trials: Trials | None) -> Html:
    figures = heard.figures
    shown = [("Keywords recognised", f"{figures.accuracy.share:.1%}", f"of {figures.accuracy.of:,} clips")]
    if figures.full:
        shown.append(("All labels", f"{figures.full.share:.1%}", f"of {figures.full.of:,} clips"))
    if trials:
        own = tune.measure(trials, heard.model.detector)
        alarms = own.false_alarms.all
        median, late = map(streaming.seconds, (own.latency_median_s, own.latency_p95_s))
        shown += [
            ("Missed in streams", f"{own.missed.share:.1%}", f"of {own.missed.of:,} words, all conditions"),
            ("False alarms an hour", f"{alarms.per_hour:.1f}", f"{alarms.count} in {alarms.hours:.2f} h"),
            ("Latency, median", median, f"95 % within: {late}"),
        ]
    words = len(heard.clips.counts())
    return tiles([*shown, ("Clips", f"{len(heard.clips.paths):,}", f"of {words} words, all splits")])


def _data(heard: Heard) -> Iterator[Html]:
    clips, measures = heard.clips, heard.measures
    speakers = np.array([speaker(path.stem) for path in clips.paths])
    yield paragraph(
        f"Clips: {len(clips.paths):,}. Speakers: {len(set(speakers)):,}. "
        f"Files that could not be used: {len(clips.skipped):,}."
    )
    if clips.skipped:
        yield table(
            f"The first {LISTED} files that could not be used",
            ["file", "reason"],
            ((file.path.name, file.reason) for file in clips.skipped[:LISTED]),
        )
    head = [
        "word",
        "clips",
        *SPLITS,
        "speakers",
        "seconds: shortest",
        "median",
        "dB: 5 % below",
        "median",
        "95 % below",
    ]
    rows = []
    for word, count in clips.counts().items():
        of = clips.words == word
        levels = np.percentile(measures.mean_db[of], (5, 50, 95))
        seconds = (measures.seconds[of].min(), np.median(measures.seconds[of]))
        splits = (f"{int((clips.splits[of] == split).sum()):,}" for split in SPLITS)
        rows.append(
            [word, f"{count:,}", *splits, f"{len(set(speakers[of])):,}"]
            + [f"{value:.2f}" for value in seconds]
            + [f"{level:.0f}" for level in levels]
        )
    yield table("Clips by word: number, speakers, length, and mean level below full scale", head, rows)
    short, quiet = np.median(measures.seconds), np.median(measures.mean_db)
    yield chart(
        f"Histograms of the clips' lengths, median {short:.2f} s, and levels, median {quiet:.0f} dB.",
        partial(plots.lengths_and_levels, measures),
    )


def _suspects(heard: Heard) -> Iterator[Html]:
    clips = heard.clips
    groups = survey.duplicates(clips)
    yield heading("Duplicates")
    yield paragraph(
        f"Clips that share their first second with another: {sum(map(len, groups)):,}. Those of several words spoil "
        "training; those of several splits flatter the figures."
    )
    if groups:
        groups.sort(key=lambda group: (_spread(clips, group) == "", -len(group)))
        rows = ([", ".join(map(heard.name, group)), _spread(clips, group) or "no"] for group in groups[:LISTED])
        yield table(f"The first {min(LISTED, len(groups))} of {len(groups):,} groups", ["files", "in several"], rows)
    quiet = survey.silent(heard.measures)
    yield heading("Silent")
    yield paragraph(f"Clips that never reach {survey.SILENT_DB:g} dB of full scale: {len(quiet):,}.")
    if quiet:
        yield table(
            f"The {min(LISTED, len(quiet))} quietest",
            ["file", "sound"],
            ([heard.name(clip), heard.player(clip)] for clip in quiet[:LISTED]),
        )
    suspects = survey.mislabelled(heard.doubts)
    yield heading("Mislabelled?")
    yield paragraph(
        "Clips, of all splits, that are taken for another label than their folder's with a score of "
        f"{survey.CONFIDENT:g} or more: {len(suspects):,} of {len(heard.doubts):,}. "
        "Either the label is wrong, or the model is: listen."
    )
    if suspects:
        yield _doubts(f"The {min(LISTED, len(suspects))} surest", heard, suspects)


def _spread(clips: Clips, group: list[int]) -> str:
    """What differs inside a group of duplicates: words, splits, both or nothing."""
    kinds = (("words", clips.words), ("splits", clips.splits))
    return " and ".join(name for name, values in kinds if len(set(values[group].tolist())) > 1)


def _doubts(caption: str, heard: Heard, found: list[survey.Doubt]) -> Html:
    rows = (
        [
            heard.name(doubt.clip),
            heard.player(doubt.clip),
            str(heard.clips.splits[doubt.clip]),
            f"{doubt.own:.3f}",
            doubt.taken_for,
            f"{doubt.score:.3f}",
        ]
        for doubt in found[:LISTED]
    )
    return table(caption, ["file", "sound", "split", "own score", "taken for", "score"], rows)


def _gallery(heard: Heard) -> Html:
    clips = heard.clips
    words = list(clips.counts())[:SHOWN_CLIPS]
    each = min(SHOWN_PER_WORD, max(1, SHOWN_CLIPS // len(words)))
    chosen = [index for word in words for index in _spread_out(np.flatnonzero(clips.words == word).tolist(), each)]
    return gallery((Html(_clip_picture(clips, index) + heard.player(index)), heard.name(index)) for index in chosen)


def _spread_out(clips: list[int], number: int) -> list[int]:
    """So many clips at even distances: those of a word are sorted by speaker, so these are of different ones mostly."""
    return clips[:: max(1, len(clips) // number)][:number]


def _clip_picture(clips: Clips, index: int) -> Html:
    text = f"Waveform above the spectrogram, 0 to 8 kHz, of one second: {clips.words[index]}"
    return picture(text, partial(plots.clip, as_float(clips.samples[index])))


def _training(history: Sequence[dict[str, float]]) -> Iterator[Html]:
    if not history:
        yield paragraph("No run was named: kwsd-train report --run RUN shows its curves.")
        return
    last = history[-1]
    best = min(history, key=lambda row: row["val_loss"])
    minutes = sum(row["seconds"] for row in history) / 60
    said = (
        f"After {len(history)} epochs, {minutes:.1f} min: loss {last['loss']:.3f} on training and "
        f"{last['val_loss']:.3f} on validation, accuracy {last['accuracy']:.1%} and {last['val_accuracy']:.1%}. "
        f"The lowest validation loss is {best['val_loss']:.3f}, after epoch {best['epoch']:.0f}."
    )
    yield paragraph(said)
    yield chart(f"Loss and accuracy by epoch. {said}", partial(plots.curves, history))


def _clips(heard: Heard) -> Iterator[Html]:
    figures = heard.figures
    right = [["keywords alone", *_share(figures.accuracy)]]
    right += [["all labels", *_share(figures.full)]] if figures.full else []
    right += [[word, *_share(share)] for word, share in figures.per_word.items()]
    yield table("Right, by word", ["word", "right", "95 % interval", "clips"], right)
    if figures.full:
        rejected = ([word, *_share(share)] for word, share in figures.rejected.items())
        yield table("Taken for no keyword, by folder", ["folder", "rejected", "95 % interval", "clips"], rejected)
    yield matrix("Clips by spoken label, and by recognised label from left to right", figures.labels, figures.confusion)
    hardest = [d for d in heard.doubts if figures.split in {heard.clips.splits[d.clip], "all"} and d.own < d.score]
    yield heading("Hardest clips")
    yield paragraph(
        f"Clips that are taken for another label: {len(hardest):,}. The lower the score of its own label, the harder."
    )
    if hardest:
        yield _doubts(f"The {min(LISTED, len(hardest))} hardest", heard, hardest)


def _thresholds(thresholds: Mapping[str, float]) -> str:
    if len(alike := set(thresholds.values())) == 1:
        return f"Threshold of every keyword: {alike.pop():g}"
    return "Thresholds: " + ", ".join(f"{word} {threshold:g}" for word, threshold in thresholds.items())


def _streams(model: Model, sources: Sources, trials: Trials) -> Iterator[Html]:
    found = streaming.report(model, sources, trials)
    detector = model.detector
    yield paragraph(
        f"Windows that scores are smoothed over: {detector.smoothing_windows}. Hits in a row: {detector.hits}. "
        f"{_thresholds(detector.thresholds)}."
    )
    head = [
        "stream",
        "missed",
        "95 % interval",
        "words",
        "substituted",
        "false alarms",
        "latency, median",
        "95 % within",
    ]
    yield table("Words in streams", head, ([name, *_stream(figures)] for name, figures in found.streams.items()))
    yield _missed(found)
    yield table(
        "False alarms, on recordings without keywords",
        ["recordings", "hours", "an hour", "95 % interval", "all", *trials.keywords],
        (
            [kind, f"{alarms.all.hours:.2f}", *_rate(alarms.all), *(str(r.count) for r in alarms.by_word.values())]
            for kind, alarms in found.negatives.items()
        ),
    )
    yield heading("DET curves")
    yield paragraph(
        "The dot is the model at its own thresholds; the curves are those of one threshold for all keywords."
    )
    own = tune.measure(trials, detector)
    points = list(tune.curve(trials, detector, max(FARTHEST, BEYOND * own.false_alarms.all.per_hour)))
    text = (
        "Miss rate against false alarms an hour, by keyword. At its own thresholds the model misses "
        f"{own.missed.share:.1%} at {own.false_alarms.all.per_hour:.1f} false alarms an hour."
    )
    yield chart(text, partial(plots.det, points, own))
    yield heading("Loudest false alarms")
    yield _alarms(model, sources, trials)


def _missed(found: StreamReport) -> Html:
    words = sorted({word for figures in found.streams.values() for word in figures.missed_by_word})
    rows = ([word, *(f"{f.missed_by_word[word].share:.1%}" for f in found.streams.values())] for word in words)
    return table("Missed, by keyword and stream", ["keyword", *found.streams], rows)


def _alarms(model: Model, sources: Sources, trials: Trials) -> Html:
    alarms = [(alarm, kind) for kind, s in trials.negatives.items() for alarm in replay_detector(s, model.detector)]
    if not alarms:
        return paragraph("There was none.")
    alarms.sort(key=lambda pair: -pair[0].score)
    recordings = sources.recordings()
    rows = []
    for number, (alarm, kind) in enumerate(alarms[:LISTED], 1):
        recording, place = trials.negatives[kind].locate(alarm.sample)
        samples = recordings[kind][recording][max(place - BEFORE, 0) : place + AFTER]
        sound = player(f"false alarm {number}, {alarm.keyword}", samples)
        rows.append([f"{number}. {alarm.keyword}", sound, kind, f"{alarm.score:.4f}"])
    return table(f"The {len(rows)} with the highest scores", ["keyword", "sound", "recordings", "score"], rows)


def _stream(figures: Figures) -> list[str]:
    latencies = map(streaming.seconds, (figures.latency_median_s, figures.latency_p95_s))
    return [*_share(figures.missed), str(figures.substitutions), str(figures.false_alarms), *latencies]


def _share(share: Share) -> tuple[str, str, str]:
    return f"{share.share:.1%}", f"[{share.low:.1%}, {share.high:.1%}]", f"{share.count:,} of {share.of:,}"


def _rate(rate: Rate) -> tuple[str, str, str]:
    return f"{rate.per_hour:.2f}", f"[{rate.low:.2f}, {rate.high:.2f}]", str(rate.count)
