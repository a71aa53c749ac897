"""The report on a model: its data, its training, its results on clips and in streams, and sounds to play."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from kwsd.audio.reader import printable
from kwsd.errors import OutputError, UsageError
from kwsd.frontend import SAMPLE_RATE, Float32
from kwsd.models.bundle import SILENCE_LABEL
from kwsd.models.model import Model
from kwsd.tuning.scoring import replay_detector
from kwsd_train.data import survey
from kwsd_train.data.dataset import ClipSet, load_clips
from kwsd_train.data.features import as_float
from kwsd_train.data.layout import word_names
from kwsd_train.data.split import SPLITS, check_split_name, speaker_of_clip
from kwsd_train.measuring.evaluate import (
    ClipReport,
    Proportion,
    make_clip_report,
    measurable_words,
    silence_windows,
)
from kwsd_train.measuring.streaming import (
    NEGATIVES,
    EvaluationData,
    HourlyRate,
    ScoredData,
    StreamFigures,
    StreamReport,
    format_latency,
    make_stream_report,
    score_evaluation_data,
)
from kwsd_train.measuring.tune import measure_settings, trace_det_curve
from kwsd_train.progress import progress_bars
from kwsd_train.reporting.page import (
    Block,
    Cell,
    Gallery,
    GalleryClip,
    Heading,
    Paragraph,
    Player,
    Section,
    Table,
    Tile,
    Tiles,
    confusion_table,
    draw_chart,
    draw_picture,
    make_player,
    render_page,
)
from kwsd_train.reporting.plots import plot_clip, plot_det_curves, plot_lengths_and_levels, plot_training_curves

GALLERY_CLIPS, GALLERY_CLIPS_PER_WORD = 72, 3
"""Maximum number of clips in the gallery of the report, in total and for one word."""
LISTED = 20
"""Maximum number of rows in a list with audio players.

The sounds need most of the space in the HTML file.
"""
BEFORE_ALARM, AFTER_ALARM = round(1.5 * SAMPLE_RATE), SAMPLE_RATE // 2
"""Number of samples that a player plays before a false alarm, and number of samples after the false alarm."""
FARTHEST_RATE, FARTHEST_FACTOR = 60.0, 2.0
"""Two values that determine where a DET curve ends.

The curve ends at a rate of `FARTHEST_RATE` false alarms per hour. If the model's own rate multiplied by
`FARTHEST_FACTOR` is higher than `FARTHEST_RATE`, the curve ends at the product.
"""
CLIPS_AT_ONCE = 256
"""Number of clips that are scored between two updates of the progress bar."""
NO_STREAMS = "Streams were not measured, because the data folder has no folders speech/ and noise/."


@dataclass(frozen=True)
class ClipEvaluation:
    """The clips of a data folder, and a model's results on these clips.

    Parameters
    ----------
    clips : ClipSet
        Clips of all splits of the data folder.
    comparisons : list of survey.LabelComparison
        Comparison of the label scores of each clip. The clip with the lowest score of its own label comes first.
    figures : ClipReport
        Measured figures on the clips of one split.
    """

    model: Model
    clips: ClipSet
    measures: survey.ClipMeasures
    comparisons: list[survey.LabelComparison]
    figures: ClipReport

    def clip_name(self, clip: int) -> str:
        """Return the word folder and the file name of a clip."""
        return "/".join(self.clips.paths[clip].parts[-2:])

    def clip_player(self, clip: int) -> Player:
        """Return an audio player for a clip."""
        return make_player(self.clip_name(clip), self.clips.samples[clip])


def write_html_report(
    path: Path, model: Model, sources: EvaluationData, history: Sequence[dict[str, float]], say: Callable[[str], None]
) -> None:
    """Measure a model and write a report as an HTML file.

    Parameters
    ----------
    path : Path
        Path of the HTML file.
    sources : EvaluationData
        Sources of the recordings. The report describes the clips of all splits. The model is measured on one split,
        which `sources` names.
    history : sequence of dict
        Figures of the epochs of the run that trained the model. If the sequence is empty, the report does not contain
        training curves.
    say : callable
        Function that receives one line of text for each step.

    Raises
    ------
    UsageError
        The data folder is missing, or the measured split does not contain a clip of a keyword.
    OutputError
        The HTML file cannot be written.
    """
    if sources.data is None:
        raise UsageError("a report needs --data")
    # Errors in the paths are reported now, not after minutes of work.
    _check_writable(path)
    word_names(sources.data)
    scored = None
    if all((sources.data / kind).is_dir() for kind in NEGATIVES):
        say("running the model over streams, and over recordings without keywords")
        scored = score_evaluation_data(model, sources)
    else:
        say(NO_STREAMS)
    evaluation = evaluate_all_clips(model, sources.data, sources.split, say)
    evaluation.clips.report_files(say)
    sections = [
        Section("Summary", [_summary(evaluation, scored)]),
        Section("Data", list(_data(evaluation))),
        Section("Clips to check", list(_clips_to_check(evaluation))),
        Section("A few clips of each word", [_gallery(evaluation)]),
        Section("Training", list(_training(history))),
        Section("Single clips", list(_single_clips(evaluation))),
        Section("Streams", list(_streams(model, sources, scored)) if scored else [Paragraph(NO_STREAMS)]),
    ]
    lead = (
        f"This report describes the model {model.name} and the data folder {sources.data.name}. "
        f"Figures of the model are from {evaluation.figures.split} speakers. Brackets contain 95 % intervals."
    )
    try:
        path.write_text(render_page(f"Report on {model.name}", lead, sections), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from None


def _check_writable(path: Path) -> None:
    if not path.parent.is_dir():
        raise OutputError(f"cannot write {path}: there is no folder {path.parent}")
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a folder")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise OutputError(f"cannot write {path}: permission denied")


def evaluate_all_clips(model: Model, data: Path, split: str, say: Callable[[str], None]) -> ClipEvaluation:
    """Compute a model's scores for the clips of all splits, and the model's figures for one split.

    Raises
    ------
    UsageError
        The split does not exist, or it does not contain a clip of a keyword.
    """
    check_split_name(split)
    say("reading the clips")
    clips = load_clips(data, words=measurable_words(model, data))
    say(f"scoring {len(clips.paths):,} clips")
    scores = _score_clips(model, clips)
    chosen = np.isin(clips.splits, [name for name in SPLITS if split in {name, "all"}])
    words = clips.words[chosen]
    if not np.isin(words, model.keywords).any():
        raise UsageError(f"{data} has no {split} clip of a keyword of model {model.name}")
    quiet = silence_windows(data) if SILENCE_LABEL in model.labels else clips.samples[:0]
    figures = make_clip_report(
        np.concatenate([words, np.full(len(quiet), SILENCE_LABEL)]),
        np.concatenate([scores[chosen], model.predict(as_float(quiet))]),
        model.labels,
        split,
    )
    comparisons = survey.compare_labels(clips.words, scores, model.labels)
    return ClipEvaluation(model, clips, survey.measure_clips(clips), comparisons, figures)


def _score_clips(model: Model, clips: ClipSet) -> Float32:
    pieces = np.array_split(clips.samples, range(CLIPS_AT_ONCE, len(clips.samples), CLIPS_AT_ONCE))
    with progress_bars() as bars:
        return np.concatenate(
            [model.predict(as_float(piece)) for piece in bars.track(pieces, description="scoring the clips")]
        )


def _summary(evaluation: ClipEvaluation, scored: ScoredData | None) -> Tiles:
    figures = evaluation.figures
    tiles = [Tile("Accuracy, keywords", f"{figures.accuracy.share:.1%}", f"of {figures.accuracy.of:,} clips")]
    if figures.full:
        tiles.append(Tile("Accuracy, all labels", f"{figures.full.share:.1%}", f"of {figures.full.of:,} clips"))
    if scored:
        own = measure_settings(scored, evaluation.model.detector)
        alarms = own.false_alarms.all
        median, late = format_latency(own.latency_median_s), format_latency(own.latency_p95_s)
        tiles += [
            Tile("Miss rate in streams", f"{own.missed.share:.1%}", f"of {own.missed.of:,} words, all conditions"),
            Tile("False alarms per hour", f"{alarms.per_hour:.1f}", f"{alarms.count} in {alarms.hours:.2f} h"),
            Tile("Latency, median", median, f"95th percentile: {late}"),
        ]
    words = len(evaluation.clips.count_by_word())
    return Tiles([*tiles, Tile("Clips", f"{len(evaluation.clips.paths):,}", f"of {words} words, all splits")])


def _data(evaluation: ClipEvaluation) -> Iterator[Block]:
    clips, measures = evaluation.clips, evaluation.measures
    speakers = np.array([speaker_of_clip(path.stem) for path in clips.paths])
    yield Paragraph(
        f"Clips: {len(clips.paths):,}. Speakers: {len(set(speakers)):,}. "
        f"Files that could not be used: {len(clips.skipped):,}."
    )
    for change in clips.changes:
        yield Paragraph(f"{change[0].upper()}{change[1:]}.")
    if clips.skipped:
        yield Table(
            _list_caption("Files that could not be used", len(clips.skipped)),
            ["file", "reason"],
            [(printable(file.path.name), file.reason) for file in clips.skipped[:LISTED]],
            "text",
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
    for word, count in clips.count_by_word().items():
        of_word = clips.words == word
        levels = np.percentile(measures.mean_db[of_word], (5, 50, 95))
        seconds = (measures.seconds[of_word].min(), np.median(measures.seconds[of_word]))
        splits = (f"{int((clips.splits[of_word] == split).sum()):,}" for split in SPLITS)
        rows.append(
            [word, f"{count:,}", *splits, f"{len(set(speakers[of_word])):,}"]
            + [f"{value:.2f}" for value in seconds]
            + [f"{level:.0f}" for level in levels]
        )
    yield Table("Clips by word: number, speakers, length, and mean level in dB of full scale", head, rows)
    length, level = np.median(measures.seconds), np.median(measures.mean_db)
    yield draw_chart(
        f"Histograms of the lengths of the clips, median {length:.2f} s, and their levels, median {level:.0f} dB.",
        partial(plot_lengths_and_levels, measures),
    )


def _clips_to_check(evaluation: ClipEvaluation) -> Iterator[Block]:
    clips = evaluation.clips
    groups = survey.find_duplicates(clips)
    yield Heading("Duplicates")
    yield Paragraph(
        f"Clips whose first second is identical to that of another clip: {sum(map(len, groups)):,}. Duplicates in "
        "several words harm the training. Duplicates in several splits make the figures too good."
    )
    if groups:
        groups.sort(key=lambda group: (_what_differs(clips, group) == "", -len(group)))
        rows = [
            [", ".join(map(evaluation.clip_name, group)), _what_differs(clips, group) or "no"]
            for group in groups[:LISTED]
        ]
        yield Table(_list_caption("Groups of duplicates", len(groups)), ["files", "in several"], rows, "text")
    quiet = survey.find_silent(evaluation.measures)
    yield Heading("Silent clips")
    yield Paragraph(f"Clips with a peak level below {survey.SILENT_DB:g} dB of full scale: {len(quiet):,}.")
    if quiet:
        yield Table(
            _list_caption("Quietest clips", len(quiet)),
            ["file", "sound"],
            [(evaluation.clip_name(clip), evaluation.clip_player(clip)) for clip in quiet[:LISTED]],
        )
    suspects = survey.find_mislabelled(evaluation.comparisons)
    yield Heading("Possibly mislabelled clips")
    yield Paragraph(
        f"Clips, of all splits, with a score of {survey.CONFIDENT_SCORE:g} or more for another label than their "
        f"folder's: {len(suspects):,} of {len(evaluation.comparisons):,}. "
        "Either the label or the model is wrong. Listen to the clips to find out."
    )
    if suspects:
        yield _comparison_table(_list_caption("Highest scores", len(suspects)), evaluation, suspects)


def _list_caption(title: str, total: int) -> str:
    return f"{title}: {min(LISTED, total)} of {total:,}"


def _what_differs(clips: ClipSet, group: list[int]) -> str:
    """Return the properties that differ inside a group of duplicate clips.

    The returned text is "words", "splits", "words and splits" or an empty string.
    """
    kinds = (("words", clips.words), ("splits", clips.splits))
    return " and ".join(name for name, values in kinds if len(set(values[group].tolist())) > 1)


def _comparison_table(caption: str, evaluation: ClipEvaluation, found: list[survey.LabelComparison]) -> Table:
    rows: list[list[Cell]] = [
        [
            evaluation.clip_name(comparison.clip),
            evaluation.clip_player(comparison.clip),
            str(evaluation.clips.splits[comparison.clip]),
            f"{comparison.own_score:.3f}",
            comparison.other_label,
            f"{comparison.other_score:.3f}",
        ]
        for comparison in found[:LISTED]
    ]
    return Table(caption, ["file", "sound", "split", "own score", "recognised as", "score"], rows)


def _gallery(evaluation: ClipEvaluation) -> Gallery:
    clips = evaluation.clips
    words = list(clips.count_by_word())[:GALLERY_CLIPS]
    per_word = min(GALLERY_CLIPS_PER_WORD, max(1, GALLERY_CLIPS // len(words)))
    chosen = [index for word in words for index in _spread_out(np.flatnonzero(clips.words == word).tolist(), per_word)]
    return Gallery([_gallery_clip(evaluation, index) for index in chosen])


def _spread_out(clips: list[int], number: int) -> list[int]:
    """Return every n-th clip of the given list, so the returned clips are spread over the list.

    The clips of a word are sorted by speaker, so most of the returned clips are from different speakers.
    """
    return clips[:: max(1, len(clips) // number)][:number]


def _gallery_clip(evaluation: ClipEvaluation, index: int) -> GalleryClip:
    clips = evaluation.clips
    description = f"Waveform above the spectrogram, 0 to 8 kHz, of one second: {clips.words[index]}"
    picture = draw_picture(partial(plot_clip, as_float(clips.samples[index])))
    return GalleryClip(description, picture, evaluation.clip_player(index))


def _training(history: Sequence[dict[str, float]]) -> Iterator[Block]:
    if not history:
        yield Paragraph("No run was given. With  kwsd-train report --run RUN  this section shows training curves.")
        return
    last = history[-1]
    best = min(history, key=lambda row: row["val_loss"])
    minutes = sum(row["seconds"] for row in history) / 60
    summary = (
        f"After {len(history)} epochs, {minutes:.1f} min: loss {last['loss']:.3f} on training data and "
        f"{last['val_loss']:.3f} on validation data, accuracy {last['accuracy']:.1%} and {last['val_accuracy']:.1%}. "
        f"The lowest validation loss is {best['val_loss']:.3f}, after epoch {best['epoch']:.0f}."
    )
    yield Paragraph(summary)
    yield draw_chart(f"Loss and accuracy by epoch. {summary}", partial(plot_training_curves, history))


def _single_clips(evaluation: ClipEvaluation) -> Iterator[Block]:
    figures = evaluation.figures
    accuracy = [["keywords alone", *_proportion_cells(figures.accuracy)]]
    accuracy += [["all labels", *_proportion_cells(figures.full)]] if figures.full else []
    accuracy += [[word, *_proportion_cells(share)] for word, share in figures.per_word.items()]
    yield Table("Accuracy by word", ["word", "correct", "95 % interval", "clips"], accuracy)
    if figures.full:
        rejected = [[word, *_proportion_cells(share)] for word, share in figures.rejected.items()]
        yield Table("Rejected clips of other words", ["folder", "rejected", "95 % interval", "clips"], rejected)
    yield confusion_table(
        "Clips by spoken label (rows) and recognised label (columns)", figures.labels, figures.confusion
    )
    hardest = [
        comparison
        for comparison in evaluation.comparisons
        if figures.split in {evaluation.clips.splits[comparison.clip], "all"}
        and comparison.own_score < comparison.other_score
    ]
    yield Heading("Hardest clips")
    yield Paragraph(
        f"Clips that are recognised as another label: {len(hardest):,}. "
        "The hardest clips have the lowest scores of their own label."
    )
    if hardest:
        yield _comparison_table(_list_caption("Lowest scores of the own label", len(hardest)), evaluation, hardest)


def _format_thresholds(thresholds: Mapping[str, float]) -> str:
    if len(alike := set(thresholds.values())) == 1:
        return f"Threshold of every keyword: {alike.pop():g}"
    return "Thresholds: " + ", ".join(f"{word} {threshold:g}" for word, threshold in thresholds.items())


def _streams(model: Model, sources: EvaluationData, scored: ScoredData) -> Iterator[Block]:
    found = make_stream_report(model, sources, scored)
    detector = model.detector
    yield Paragraph(
        f"Smoothing windows: {detector.smoothing_windows}. Hits in a row: {detector.hits}. "
        f"{_format_thresholds(detector.thresholds)}."
    )
    head = [
        "stream",
        "missed",
        "95 % interval",
        "words",
        "substituted",
        "false alarms",
        "latency, median",
        "95th percentile",
    ]
    yield Table("Words in streams", head, [[name, *_stream_cells(f)] for name, f in found.streams.items()])
    yield _missed_by_word(found)
    yield Table(
        "False alarms, on recordings without keywords",
        ["recordings", "hours", "per hour", "95 % interval", "all", *scored.keywords],
        [
            [
                kind,
                f"{alarms.all.hours:.2f}",
                *_rate_cells(alarms.all),
                *(str(rate.count) for rate in alarms.by_word.values()),
            ]
            for kind, alarms in found.negatives.items()
        ],
    )
    yield Heading("DET curves")
    yield Paragraph(
        "The dot is the model with the thresholds of its bundle. On the curves, all keywords have the same threshold."
    )
    own = measure_settings(scored, detector)
    farthest = max(FARTHEST_RATE, FARTHEST_FACTOR * own.false_alarms.all.per_hour)
    points = list(trace_det_curve(scored, detector, farthest))
    description = (
        "Miss rate against false alarms per hour, by keyword. With the thresholds of its bundle the model misses "
        f"{own.missed.share:.1%} at {own.false_alarms.all.per_hour:.1f} false alarms per hour."
    )
    yield draw_chart(description, partial(plot_det_curves, points, own))
    yield Heading("False alarms with the highest scores")
    yield _list_false_alarms(model, sources, scored)


def _missed_by_word(found: StreamReport) -> Table:
    words = sorted({word for figures in found.streams.values() for word in figures.missed_by_word})
    rows = [[word, *(f"{f.missed_by_word[word].share:.1%}" for f in found.streams.values())] for word in words]
    return Table("Missed, by keyword and stream", ["keyword", *found.streams], rows)


def _list_false_alarms(model: Model, sources: EvaluationData, scored: ScoredData) -> Block:
    alarms = [(alarm, kind) for kind, s in scored.negatives.items() for alarm in replay_detector(s, model.detector)]
    if not alarms:
        return Paragraph("There were no false alarms.")
    alarms.sort(key=lambda pair: -pair[0].score)
    recordings = sources.recordings()
    rows: list[list[Cell]] = []
    for number, (alarm, kind) in enumerate(alarms[:LISTED], 1):
        recording, place = scored.negatives[kind].locate(alarm.sample)
        samples = recordings[kind][recording][max(place - BEFORE_ALARM, 0) : place + AFTER_ALARM]
        sound = make_player(f"false alarm {number}, {alarm.keyword}", samples)
        rows.append([f"{number}. {alarm.keyword}", sound, kind, f"{alarm.score:.4f}"])
    return Table(_list_caption("Highest scores", len(alarms)), ["keyword", "sound", "recordings", "score"], rows)


def _stream_cells(figures: StreamFigures) -> list[str]:
    latencies = map(format_latency, (figures.latency_median_s, figures.latency_p95_s))
    return [*_proportion_cells(figures.missed), str(figures.substitutions), str(figures.false_alarms), *latencies]


def _proportion_cells(proportion: Proportion) -> tuple[str, str, str]:
    interval = f"[{proportion.low:.1%}, {proportion.high:.1%}]"
    return f"{proportion.share:.1%}", interval, f"{proportion.count:,} of {proportion.of:,}"


def _rate_cells(rate: HourlyRate) -> tuple[str, str, str]:
    return f"{rate.per_hour:.2f}", f"[{rate.low:.2f}, {rate.high:.2f}]", str(rate.count)
