"""The command ``kwsd-train``: from recordings to a model bundle."""

import json as jsonlib
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from kwsd.cli.prose import let_paragraphs_flow
from kwsd.errors import KwsdError, UsageError
from kwsd_train.quiet import import_tensorflow

if TYPE_CHECKING:
    from rich.console import Console

    from kwsd.models.model import Model
    from kwsd_train.data.dataset import Clips
    from kwsd_train.measuring.streaming import Sources

app = typer.Typer(
    name="kwsd-train",
    help="Train keyword-spotting models, from recordings to a bundle that kwsd runs.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Data = Annotated[Path, typer.Option(help="A folder of word folders, or one that holds speech_commands/.")]
ModelName = Annotated[str, typer.Option(help="A bundle folder, an installed model's name, or a SavedModel folder.")]
PerKeyword = Annotated[int, typer.Option(min=1, help="Clips of each keyword in a stream, at most.")]
StreamSeed = Annotated[int, typer.Option(min=0, help="Of the order, the gaps and the noise of the streams.")]
Strict = Annotated[bool, typer.Option("--strict", help="Stop at the first file that cannot be used.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        from kwsd.cli.version import versions

        print("\n".join(versions("kwsd-train", ("tensorflow", "keras", "numpy"))))
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the versions of kwsd-train and TensorFlow."
        ),
    ] = False,
) -> None:
    """Options of every command."""


@app.command()
def download(
    archive: Annotated[str, typer.Argument(help="mini (182 MB, eight words) or speech-commands (2.4 GB, 35 words).")],
    cache: Annotated[
        Path | None, typer.Option(help="Where archives are kept; the XDG cache folder without it.")
    ] = None,
) -> None:
    """Fetch the tutorial's recordings or the whole Speech Commands data set, and print the folder.

    A download that was interrupted goes on where it stopped.
    """
    from kwsd_train.data.download import download as fetch

    print(fetch(archive, cache))


@app.command()
def explore(
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for the figures.")] = Path("explore"),
    seed: Annotated[int, typer.Option(help="Of the draw of nine clips.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="One JSON object: word to split to number of clips.")] = False,
    strict: Strict = False,
) -> None:
    """Count the clips and draw waveforms and spectrograms of nine of them."""
    from kwsd_train.data.dataset import load_clips
    from kwsd_train.reporting import explore as exploring

    clips = load_clips(data, strict=strict)
    _name_skipped(clips)
    print(jsonlib.dumps(exploring.counts(clips)) if json else exploring.table(clips))
    for path in exploring.explore(clips, out, seed):
        _say(f"wrote {path}")


@app.command()
def fit(
    data: Annotated[Path | None, typer.Option(help="The data folder; see the recipe.")] = None,
    recipe: Annotated[str, typer.Option(help="A recipe's name or TOML file.")] = "tc-resnet",
    runs: Annotated[Path, typer.Option(help="Folder in which the run's own folder is made.")] = Path("runs"),
    after: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Begin with the weights of this run, whose network is the same or narrower."),
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with this run instead.")] = None,
    strict: Strict = False,
) -> None:
    """Train a recipe and print the run's folder.

    In a terminal it shows bars with the time left and the curves so far; elsewhere it writes a line an epoch. A run
    that was killed goes on after its last finished epoch with --resume.
    """
    if resume and after:
        raise UsageError("--after is for a new run: leave it out with --resume")
    if (data is None) == (resume is None):
        raise UsageError("give either --data for a new run or --resume for an old one")
    import_tensorflow()
    from kwsd_train.recipe import read_recipe
    from kwsd_train.training.fit import resume as resume_run
    from kwsd_train.training.fit import start
    from kwsd_train.training.run import new_id

    terminal = _terminal()
    if resume:
        resume_run(resume, _say, terminal=terminal)
        print(resume)
    elif data:
        chosen = read_recipe(recipe)
        run = runs / new_id(chosen)
        start(chosen, data, run, _say, after=after, strict=strict, terminal=terminal)
        print(run)


@app.command()
def average(
    runs: Annotated[list[Path], typer.Argument(help="Run folders, each of which went on after the one before it.")],
    out: Annotated[Path, typer.Option(help="The run folder to make.")],
) -> None:
    """Make a run whose weights are the mean of those of others: it often hears better than each of them."""
    import_tensorflow()
    from kwsd_train.training.surgery import average as mean

    mean(runs, out)
    print(out)


@app.command()
def cut(
    run: Annotated[Path, typer.Argument(help="A run folder of a resnet.")],
    channels: Annotated[
        list[int], typer.Option(min=1, help="What is left of the first convolution; again, of each stage.")
    ],
    out: Annotated[Path, typer.Option(help="The run folder to make.")],
) -> None:
    """Make a run of another by cutting off the last channels of its network: those that a later round added."""
    import_tensorflow()
    from kwsd_train.training.surgery import cut as cut_off

    cut_off(run, channels, out)
    print(out)


@app.command()
def evaluate(
    data: Data,
    model: ModelName = "default",
    split: Annotated[str, typer.Option(help="training, validation, testing or all.")] = "validation",
    stream: Annotated[bool, typer.Option("--stream", help="Measure in streams; see docs/tuning.md.")] = False,
    per_keyword: PerKeyword = 50,
    seed: StreamSeed = 0,
    write: Annotated[bool, typer.Option("--write", help="Put the figures into the bundle.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    strict: Strict = False,
) -> None:
    """Measure a model on clips: accuracy with its 95 % interval, by word, and the confusion matrix.

    With --stream: missed words by noise, substitutions, latency, and false alarms an hour.
    """
    import msgspec

    from kwsd.models.find import find_model, load_model

    if stream:
        from kwsd_train.measuring.streaming import Sources

        _evaluate_stream(model, Sources(data, split=split, per_keyword=per_keyword, seed=seed), write, json)
        return
    from kwsd_train.measuring.evaluate import evaluate as measure
    from kwsd_train.measuring.evaluate import table

    figures, clips = measure(load_model(model), data, split, strict=strict)
    _name_skipped(clips)
    if write:
        from kwsd_train.measuring import card

        card.note(find_model(model), card.CLIPS, figures)
    print(msgspec.json.encode(figures).decode() if json else table(figures))


def _evaluate_stream(name: str, sources: "Sources", write: bool, json: bool) -> None:
    import msgspec

    from kwsd.models.find import find_model, load_model
    from kwsd_train.measuring import card, streaming

    model = load_model(name)
    figures = streaming.report(model, sources, streaming.hear(model, sources))
    if write:
        card.note(find_model(name), card.STREAM, figures)
    print(msgspec.json.encode(figures).decode() if json else streaming.table(figures))


@app.command()
def report(
    data: Data,
    model: Annotated[
        str | None, typer.Option(help="As for evaluate; the network of the run, or default, without it.")
    ] = None,
    run: Annotated[Path | None, typer.Option(metavar="RUN", help="The run folder whose curves are shown.")] = None,
    out: Annotated[Path, typer.Option(help="The HTML file.")] = Path("report.html"),
    split: Annotated[str, typer.Option(help="training, validation, testing or all.")] = "validation",
    per_keyword: PerKeyword = 50,
    seed: StreamSeed = 0,
) -> None:
    """Write all that can be seen and heard of a model and its data into one HTML file.

    Data, suspect clips, waveforms and spectrograms, training curves, figures on clips and in streams, and the hardest
    clips and loudest false alarms to listen to. The file needs no other, and no network.
    """
    from kwsd.models.find import load_model
    from kwsd_train.measuring.streaming import Sources
    from kwsd_train.reporting import report as reporting

    sources = Sources(data, split=split, per_keyword=per_keyword, seed=seed)
    if run is None:
        reporting.write(out, load_model(model or "default"), sources, [], _say)
    else:
        import_tensorflow()
        from kwsd_train.training.run import read_history, read_settings

        labels, history = read_settings(run).labels, read_history(run)
        loaded = load_model(model) if model else _model_of(run)
        if list(loaded.labels) != labels:
            raise UsageError(f"{run} has other labels than model {loaded.name}")
        reporting.write(out, loaded, sources, history, _say)
    _say(f"wrote {out}, {out.stat().st_size / 1e6:.1f} MB")


def _model_of(run: Path) -> "Model":
    from kwsd.models.find import load_model
    from kwsd_train.training.export import export as write

    with TemporaryDirectory() as folder:
        bundle = Path(folder) / run.name
        write(run, bundle, "float16", saved_model=False)
        return load_model(bundle)


@app.command()
def tune(
    false_alarms_per_hour: Annotated[float, typer.Option(min=0, help="Wanted at most, of all keywords together.")],
    data: Annotated[Path | None, typer.Option(help="The data folder; see the recipe.")] = None,
    positives: Annotated[
        Path | None, typer.Option(help="Own word folders, or streams with a CSV each: word,start_s,end_s.")
    ] = None,
    negatives: Annotated[Path | None, typer.Option(help="Own recordings without the keywords.")] = None,
    model: ModelName = "default",
    split: Annotated[str, typer.Option(help="training, validation, testing or all.")] = "validation",
    per_keyword: PerKeyword = 50,
    seed: StreamSeed = 0,
    figure: Annotated[Path, typer.Option(help="PNG file for the DET curves.")] = Path("det.png"),
    write: Annotated[bool, typer.Option("--write", help="Put the settings into the bundle.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Find the detector settings with the fewest missed words at a wanted rate of false alarms."""
    import msgspec

    from kwsd.models.find import find_model, load_model
    from kwsd.tuning.thresholds import is_rate_provable
    from kwsd_train.measuring import streaming
    from kwsd_train.measuring import tune as tuning
    from kwsd_train.reporting import plots

    loaded = load_model(model)
    sources = streaming.Sources(data, positives, negatives, split, per_keyword, seed)
    curves = tuning.sweep(streaming.hear(loaded, sources), loaded.detector, false_alarms_per_hour, _say)
    point = tuning.choose(curves, false_alarms_per_hour)
    hours = point.false_alarms.all.hours
    if not is_rate_provable(hours, false_alarms_per_hour):
        _say(f"{hours:.2f} h without the words are too short to prove that rate: expect more false alarms")
    plots.det(next(curve for curve in curves if point in curve), point, figure)
    _say(f"wrote {figure}")
    if write:
        tuning.write(find_model(model), point)
        _say(f"wrote {find_model(model)}")
    print(msgspec.json.encode(point).decode() if json else tuning.table(point))


@app.command()
def mine(
    data: Annotated[Path, typer.Option(help="The data folder; its training part is searched.")],
    model: ModelName = "default",
    threshold: Annotated[float, typer.Option(min=0.01, max=1, help="Score of a keyword in a single window.")] = 0.3,
    out: Annotated[Path | None, typer.Option(help="A new folder; mined/ in the data folder without it.")] = None,
) -> None:
    """Collect what a model takes for keywords in speech and noise without any, to train on."""
    from kwsd.models.find import load_model
    from kwsd_train.data import mine as mining
    from kwsd_train.data.dataset import recording_paths

    paths = [path for kind in ("speech", "noise") for path in recording_paths(data / kind, ["training"])]
    folder = out or data / "mined"
    number = mining.write(mining.mine(load_model(model), paths, threshold, _say), folder)
    _say(f"wrote {number} windows from {len(paths)} recordings to {folder}")


@app.command()
def predict(
    file: Annotated[Path, typer.Argument(help="A sound file of any rate; its first second counts.")],
    model: ModelName = "default",
    chart: Annotated[Path | None, typer.Option(help="Draw a bar chart into this PNG file.")] = None,
    play: Annotated[bool, typer.Option("--play", help="Play the second through the default device.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object: label to probability.")] = False,
) -> None:
    """Print the probability of every label for one recording."""
    from kwsd.models.find import load_model
    from kwsd_train.measuring import predict as predicting

    window = predicting.read_window(file)
    scores = predicting.predict(load_model(model), window)
    ranked = sorted(scores.items(), key=lambda item: -item[1])
    print(jsonlib.dumps(dict(ranked)) if json else "\n".join(f"{label:<12}{score:8.4f}" for label, score in ranked))
    if chart:
        from kwsd_train.reporting import plots

        plots.bars(scores, file.name, chart)
        _say(f"wrote {chart}")
    if play:
        from kwsd.audio.playback import play as play_window

        play_window(window)


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="A run folder, finished or under way.")],
    bundle: Annotated[Path, typer.Argument(help="The folder to write; an older bundle there is replaced.")],
    weights: Annotated[
        Literal["float32", "float16", "int8"],
        typer.Option(help="How the network is stored."),
    ] = "float16",
    saved_model: Annotated[bool, typer.Option("--saved-model", help="Add the tutorial's SavedModel.")] = False,
) -> None:
    """Write the bundle of a run: what kwsd needs to run the model."""
    import_tensorflow()
    from kwsd.models.bundle import MANIFEST
    from kwsd_train.training.export import export as write

    written = write(run, bundle, weights, saved_model=saved_model)
    _say(f"wrote {bundle}: {', '.join((MANIFEST, *written.files))}")


let_paragraphs_flow(app)


def _name_skipped(clips: "Clips") -> None:
    for skipped in clips.skipped:
        _say(f"skipped: {skipped.reason}")


def _terminal() -> "Console | None":
    """Standard error, if it is a terminal that can be drawn on."""
    from rich.console import Console

    console = Console(stderr=True)
    return console if sys.stderr.isatty() and not console.is_dumb_terminal else None


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def main() -> None:
    """Run the command line; an error of ours becomes one sentence and its exit code."""
    try:
        app()
    except KwsdError as error:
        _fail(error)
    except ModuleNotFoundError as error:
        how = "install it, in a clone of kwsd, with  pipx install --force '.[train]'"
        _fail(UsageError(f"this command needs {error.name}: {how}"))


def _fail(error: KwsdError) -> None:
    _say(f"kwsd-train: {error}")
    sys.exit(error.exit_code)
