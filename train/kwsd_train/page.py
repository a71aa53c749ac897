"""The report of a model in streams as one HTML page that needs no other file."""

import base64
import html
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from string import Template
from typing import BinaryIO

import soundfile

from kwsd.errors import OutputError
from kwsd.frontend import SAMPLE_RATE
from kwsd.model import Model
from kwsd.scoring import replay
from kwsd_train import plots, tune
from kwsd_train.evaluate import Share, evaluate
from kwsd_train.streaming import Figures, Rate, Sources, StreamReport, Trials

LOUDEST = 20
"""False alarms with the highest scores that can be listened to."""
BEFORE, AFTER = round(1.5 * SAMPLE_RATE), SAMPLE_RATE // 2  # samples heard around the moment of a false alarm
FARTHEST = 60.0
"""False alarms an hour at which the DET curves end."""

PAGE = Template("""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>$title</title>
<style>
body { font: 16px/1.5 sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse }
th, td { padding: .2rem .8rem; text-align: right; border-bottom: 1px solid #ccc }
th:first-child, td:first-child { text-align: left }
img { max-width: 100% }
audio { height: 2rem; vertical-align: middle }
</style>
<h1>$title</h1>
<p>$settings. Brackets hold 95 % intervals.</p>
<h2>Words in streams</h2>
$streams
<h2>Miss rate by word</h2>
$words
<h2>False alarms an hour, on recordings without keywords</h2>
$negatives
<h2>DET curves</h2>
<p>The dot is the model's own threshold; the curves are those of one threshold for all keywords.</p>
$det
$confusion
<h2>Loudest false alarms</h2>
$sounds
</html>
""")


def write(path: Path, model: Model, sources: Sources, trials: Trials, found: StreamReport) -> None:
    """Write the page.

    Parameters
    ----------
    path : Path
    model : Model
    sources : Sources
        Of the trials.
    trials : Trials
    found : StreamReport
        Figures of the trials.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    own = tune.measure(trials, model.detector)
    curve = list(tune.curve(trials, model.detector, FARTHEST))
    page = PAGE.substitute(
        title=html.escape(f"Model {found.model}, {found.split}"),
        settings=html.escape(_settings(found)),
        streams=_table(
            ["stream", "missed", "substituted", "false alarms", "latency, median", "95 %"],
            ([name, *_stream(figures)] for name, figures in found.streams.items()),
        ),
        words=_words(found),
        negatives=_table(
            ["recordings", "hours", "all", *trials.keywords],
            (
                [kind, f"{alarms.all.hours:.2f}", _rate(alarms.all), *(str(r.count) for r in alarms.by_word.values())]
                for kind, alarms in found.negatives.items()
            ),
        ),
        det=_image(lambda file: plots.det(curve, own, file)),
        confusion=_confusion(model, sources),
        sounds=_table(["recordings", "keyword", "score", "sound"], _sounds(model, sources, trials)),
    )
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from None


def _settings(found: StreamReport) -> str:
    detector = found.detector
    thresholds = ", ".join(f"{word} {threshold:g}" for word, threshold in detector.thresholds.items())
    return f"Thresholds {thresholds}; smoothing_windows {detector.smoothing_windows}, hits {detector.hits}"


def _stream(figures: Figures) -> list[str]:
    latencies = (figures.latency_median_s, figures.latency_p95_s)
    seconds = ["none" if latency is None else f"{latency:.2f} s" for latency in latencies]
    return [_share(figures.missed), str(figures.substitutions), str(figures.false_alarms), *seconds]


def _words(found: StreamReport) -> str:
    words = sorted({word for figures in found.streams.values() for word in figures.missed_by_word})
    rows = ([word, *(_share(figures.missed_by_word[word]) for figures in found.streams.values())] for word in words)
    return _table(["keyword", *found.streams], rows)


def _confusion(model: Model, sources: Sources) -> str:
    if not sources.data:
        return ""
    clips, _ = evaluate(model, sources.data, sources.split)
    return "<h2>Clips, by spoken and recognised label</h2>" + _image(lambda file: plots.confusion(clips, file))


def _sounds(model: Model, sources: Sources, trials: Trials) -> Iterator[list[str]]:
    recordings = sources.recordings()
    alarms = [(alarm, kind) for kind, s in trials.negatives.items() for alarm in replay(s, model.detector)]
    alarms.sort(key=lambda pair: -pair[0].score)
    for alarm, kind in alarms[:LOUDEST]:
        recording, place = trials.negatives[kind].locate(alarm.sample)
        heard = io.BytesIO()
        samples = recordings[kind][recording][max(place - BEFORE, 0) : place + AFTER]
        soundfile.write(heard, samples, SAMPLE_RATE, format="WAV")
        yield [kind, alarm.keyword, f"{alarm.score:.4f}", f'<audio controls src="{_uri("audio/wav", heard)}"></audio>']


def _share(share: Share) -> str:
    return f"{share.share:.1%} [{share.low:.1%}, {share.high:.1%}]"


def _rate(rate: Rate) -> str:
    return f"{rate.per_hour:.2f} [{rate.low:.2f}, {rate.high:.2f}]"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["<tr>" + "".join(f"<th>{html.escape(cell)}</th>" for cell in head) + "</tr>"]
    lines += ["<tr>" + "".join(f"<td>{_cell(cell)}</td>" for cell in row) + "</tr>" for row in rows]
    return "<table>\n" + "\n".join(lines) + "\n</table>"


def _cell(cell: str) -> str:
    return cell if cell.startswith("<audio ") else html.escape(cell)


def _image(draw: Callable[[BinaryIO], None]) -> str:
    drawn = io.BytesIO()
    draw(drawn)
    return f'<img alt="" src="{_uri("image/png", drawn)}">'


def _uri(kind: str, content: io.BytesIO) -> str:
    return f"data:{kind};base64,{base64.b64encode(content.getvalue()).decode()}"
