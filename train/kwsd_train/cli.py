"""The command ``kwsd-train``, which turns recordings into a model bundle."""

import sys
from json import dumps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from kwsd.cli.help_text import join_help_lines
from kwsd.cli.paths import expand_arguments
from kwsd.daemon.ending import run_and_exit
from kwsd.errors import UsageError
from kwsd.log import create_console, print_data, print_line, print_lines, print_message
from kwsd_train.quiet import import_tensorflow

if TYPE_CHECKING:
    from rich.console import Console

    from kwsd.models.model import Model
    from kwsd_train.data.dataset import ClipSet
    from kwsd_train.measuring.streaming import EvaluationData

app = typer.Typer(
    name="kwsd-train",
    help="Train keyword-spotting models, from recordings to a bundle that kwsd runs.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Data = Annotated[Path, typer.Option(help="Folder of word folders, or a folder with a subfolder speech_commands.")]
ModelName = Annotated[str, typer.Option(help="Bundle folder, name of an installed model, or SavedModel folder.")]
SplitName = Annotated[str, typer.Option(help="training, validation, testing or all.")]
PerKeyword = Annotated[int, typer.Option(min=1, help="Maximum number of clips of each keyword in a stream.")]
StreamSeed = Annotated[int, typer.Option(min=0, help="Seed of the order, the gaps and the noise of the streams.")]
Strict = Annotated[bool, typer.Option("--strict", help="Stop at the first file that cannot be used.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        from kwsd.cli.version import format_versions

        for line in format_versions("kwsd-train", ("tensorflow", "keras", "numpy")):
            print_line(line)
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
    """Define the options of every command."""


@app.command()
def download(
    archive: Annotated[str, typer.Argument(help="mini (182 MB, eight words) or speech-commands (2.4 GB, 35 words).")],
    cache: Annotated[
        Path | None, typer.Option(help="Folder for the archives. The default is the XDG cache folder.")
    ] = None,
) -> None:
    """Download the tutorial's recordings or the whole Speech Commands data set, and print the folder.

    An interrupted download continues where it stopped.
    """
    from kwsd_train.data.download import download_archive

    print_line(str(download_archive(archive, cache)))


@app.command()
def explore(
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for the figures.")] = Path("explore"),
    seed: Annotated[int, typer.Option(help="Seed of the choice of nine clips.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object: word, split, number of clips.")] = False,
    strict: Strict = False,
) -> None:
    """Count the clips, and draw waveforms and spectrograms of nine of them."""
    from kwsd_train.data.dataset import load_clips
    from kwsd_train.reporting.explore import count_clips, draw_example_clips, format_clip_counts

    clips = load_clips(data, strict=strict)
    _report_skipped(clips)
    print_data(dumps(count_clips(clips))) if json else print_lines(format_clip_counts(clips))
    for path in draw_example_clips(clips, out, seed):
        _say(f"wrote {path}")


@app.command()
def fit(
    context: typer.Context,
    data: Annotated[Path | None, typer.Option(help="Data folder. The recipe determines what it must contain.")] = None,
    recipe: Annotated[str, typer.Option(help="Name of a recipe, or its TOML file.")] = "tc-resnet",
    runs: Annotated[Path, typer.Option(help="Folder in which the run folder is created.")] = Path("runs"),
    after: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Start with the weights of this run. Its network must be the same or have fewer channels.",
        ),
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="Resume this run instead of starting a new one.")] = None,
    strict: Strict = False,
) -> None:
    """Train a recipe, and print the run folder.

    A terminal shows progress bars with the time left, and the curves so far. Otherwise the command prints one line per
    epoch. A run that was killed continues after its last finished epoch with --resume.
    """
    for name in ("after", "recipe", "runs", "strict") if resume else ():
        if _is_given(context, name):
            raise UsageError(f"--{name} applies only to a new run: leave it out with --resume")
    if (data is None) == (resume is None):
        raise UsageError("give either --data for a new run or --resume for an old one")
    import_tensorflow()
    from kwsd_train.recipe import read_recipe
    from kwsd_train.training.fit import resume_run, start_run
    from kwsd_train.training.run_folder import new_run_name

    terminal = _terminal()
    if resume:
        resume_run(resume, _say, terminal=terminal)
        print_line(str(resume))
    elif data:
        chosen = read_recipe(recipe)
        run = runs / new_run_name(chosen)
        start_run(chosen, data, run, _say, after=after, strict=strict, terminal=terminal)
        print_line(str(run))


@app.command()
def average(
    runs: Annotated[
        list[Path], typer.Argument(help="Run folders. Each run must have started with the weights of the one before.")
    ],
    out: Annotated[Path, typer.Option(help="New run folder.")],
) -> None:
    """Make a run whose weights are the mean of other runs. It is often more accurate than each of them."""
    import_tensorflow()
    from kwsd_train.training.derived_runs import average_runs

    average_runs(runs, out)
    print_line(str(out))


@app.command()
def cut(
    run: Annotated[Path, typer.Argument(help="Run folder of a resnet.")],
    channels: Annotated[
        list[int],
        typer.Option(min=1, help="Channels to keep. Give it once for the first convolution and once for each stage."),
    ],
    out: Annotated[Path, typer.Option(help="New run folder.")],
) -> None:
    """Make a run from another one by removing the last channels of its network, which a later round added."""
    import_tensorflow()
    from kwsd_train.training.derived_runs import cut_channels

    cut_channels(run, channels, out)
    print_line(str(out))


@app.command()
def evaluate(
    data: Data,
    model: ModelName = "default",
    split: SplitName = "validation",
    stream: Annotated[bool, typer.Option("--stream", help="Measure in streams. See docs/tuning.md.")] = False,
    per_keyword: PerKeyword = 50,
    seed: StreamSeed = 0,
    write: Annotated[bool, typer.Option("--write", help="Write the figures into the bundle.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    strict: Strict = False,
) -> None:
    """Measure a model on clips: accuracy with its 95 % interval, accuracy by word, and the confusion matrix.

    With --stream, the command measures missed words by noise level, substitutions, latency and false alarms per hour.
    """
    import msgspec

    from kwsd.models.find import find_model, load_model
    from kwsd_train.measuring.card import CLIPS, add_figures_to_bundle
    from kwsd_train.measuring.evaluate import evaluate_on_clips, format_clip_report

    if stream and strict:
        raise UsageError("--strict applies only to clips: leave it out with --stream")
    if stream:
        from kwsd_train.measuring.streaming import EvaluationData

        sources = EvaluationData(data, split=split, per_keyword=per_keyword, seed=seed)
        _evaluate_in_streams(model, sources, write, json)
        return
    figures, clips = evaluate_on_clips(load_model(model), data, split, strict=strict)
    _report_skipped(clips)
    if write:
        add_figures_to_bundle(find_model(model), CLIPS, figures)
    print_data(msgspec.json.encode(figures).decode()) if json else print_lines(format_clip_report(figures))


def _evaluate_in_streams(name: str, sources: "EvaluationData", write: bool, json: bool) -> None:
    import msgspec

    from kwsd.models.find import find_model, load_model
    from kwsd_train.measuring.card import STREAM, add_figures_to_bundle
    from kwsd_train.measuring.streaming import format_stream_report, make_stream_report, score_evaluation_data

    model = load_model(name)
    figures = make_stream_report(model, sources, score_evaluation_data(model, sources))
    if write:
        add_figures_to_bundle(find_model(name), STREAM, figures)
    print_data(msgspec.json.encode(figures).decode()) if json else print_lines(format_stream_report(figures))


@app.command()
def report(
    data: Data,
    model: Annotated[
        str | None,
        typer.Option(help="Model, as for evaluate. The default is the network of the run, or the model default."),
    ] = None,
    run: Annotated[Path | None, typer.Option(metavar="RUN", help="Run folder whose curves are shown.")] = None,
    out: Annotated[Path, typer.Option(help="HTML file to write.")] = Path("report.html"),
    split: SplitName = "validation",
    per_keyword: PerKeyword = 50,
    seed: StreamSeed = 0,
) -> None:
    """Write a report on a model and its data as one HTML file.

    The report shows data, suspicious clips, waveforms, spectrograms, training curves, and figures on clips and in
    streams. You can listen to the hardest clips and to false alarms. The file needs no other file and no network.
    """
    from kwsd.models.find import load_model
    from kwsd_train.measuring.streaming import EvaluationData
    from kwsd_train.reporting.report import write_html_report

    sources = EvaluationData(data, split=split, per_keyword=per_keyword, seed=seed)
    if run is None:
        write_html_report(out, load_model(model or "default"), sources, [], _say)
    else:
        import_tensorflow()
        from kwsd_train.training.run_folder import read_run_history, read_run_settings

        labels, history = read_run_settings(run).labels, read_run_history(run)
        loaded = load_model(model) if model else _load_model_of_run(run)
        if list(loaded.labels) != labels:
            raise UsageError(f"{run} has other labels than model {loaded.name}")
        write_html_report(out, loaded, sources, history, _say)
    _say(f"wrote {out}, {out.stat().st_size / 1e6:.1f} MB")


def _load_model_of_run(run: Path) -> "Model":
    from kwsd.models.find import load_model
    from kwsd_train.training.export import export_bundle

    with TemporaryDirectory() as folder:
        bundle = Path(folder) / run.name
        export_bundle(run, bundle, "float16", saved_model=False)
        return load_model(bundle)


@app.command()
def tune(
    false_alarms_per_hour: Annotated[float, typer.Option(min=0, help="Maximum rate of all keywords together.")],
    data: Annotated[Path | None, typer.Option(help="Data folder with words, speech and noise.")] = None,
    positives: Annotated[
        Path | None,
        typer.Option(help="Your own word folders, or recordings beside CSV files with the columns word,start_s,end_s."),
    ] = None,
    negatives: Annotated[Path | None, typer.Option(help="Your own recordings without the keywords.")] = None,
    model: ModelName = "default",
    split: SplitName = "validation",
    per_keyword: PerKeyword = 50,
    seed: StreamSeed = 0,
    figure: Annotated[Path, typer.Option(help="PNG file for the DET curves.")] = Path("det.png"),
    write: Annotated[bool, typer.Option("--write", help="Write the settings into the bundle.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Find the detector settings with the fewest missed words at a given rate of false alarms."""
    import msgspec

    from kwsd.models.find import find_model, load_model
    from kwsd.tuning.thresholds import is_rate_provable
    from kwsd_train.measuring.streaming import EvaluationData, score_evaluation_data
    from kwsd_train.measuring.tune import (
        choose_operating_point,
        compute_det_curves,
        format_operating_point,
        write_operating_point,
    )
    from kwsd_train.reporting.plots import plot_det_curves

    loaded = load_model(model)
    sources = EvaluationData(data, positives, negatives, split, per_keyword, seed)
    scored = score_evaluation_data(loaded, sources)
    curves = compute_det_curves(scored, loaded.detector, false_alarms_per_hour, _say)
    point = choose_operating_point(curves, false_alarms_per_hour)
    hours = point.false_alarms.all.hours
    if not is_rate_provable(hours, false_alarms_per_hour):
        _say(f"{hours:.2f} h without the words are too short to prove that rate: expect more false alarms")
    plot_det_curves(next(curve for curve in curves if point in curve), point, figure)
    _say(f"wrote {figure}")
    if write:
        write_operating_point(find_model(model), point)
        _say(f"wrote {find_model(model)}")
    print_data(msgspec.json.encode(point).decode()) if json else print_lines(format_operating_point(point))


@app.command()
def mine(
    data: Annotated[Path, typer.Option(help="Data folder. Only its training part is searched.")],
    model: ModelName = "default",
    threshold: Annotated[float, typer.Option(min=0.01, max=1, help="Minimum score in a single window.")] = 0.3,
    out: Annotated[Path | None, typer.Option(help="New folder. The default is mined/ in the data folder.")] = None,
) -> None:
    """Collect windows without a keyword in which a model detects one, as training examples."""
    from kwsd.models.find import load_model
    from kwsd_train.data.dataset import recording_paths
    from kwsd_train.data.mine import mine_windows, write_mined_windows

    paths = [path for kind in ("speech", "noise") for path in recording_paths(data / kind, ["training"])]
    folder = out or data / "mined"
    number = write_mined_windows(mine_windows(load_model(model), paths, threshold, _say), folder)
    _say(f"wrote {number} windows from {len(paths)} recordings to {folder}")


@app.command()
def predict(
    file: Annotated[Path, typer.Argument(help="Sound file of any sample rate. Only its first second is used.")],
    model: ModelName = "default",
    chart: Annotated[Path | None, typer.Option(help="PNG file for a bar chart.")] = None,
    play: Annotated[bool, typer.Option("--play", help="Play the second on the default output device.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object: label and probability.")] = False,
) -> None:
    """Print the probability of every label for one recording."""
    from kwsd.models.find import load_model
    from kwsd_train.measuring.predict import predict_labels, read_window

    window = read_window(file)
    scores = predict_labels(load_model(model), window)
    ranked = sorted(scores.items(), key=lambda item: -item[1])
    print_data(dumps(dict(ranked))) if json else print_lines(
        "\n".join(f"{label:<12}{score:8.4f}" for label, score in ranked) + "\n"
    )
    if chart:
        from kwsd_train.reporting.plots import plot_probabilities

        plot_probabilities(scores, file.name, chart)
        _say(f"wrote {chart}")
    if play:
        from kwsd.audio import playback

        playback.play(window)


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="Run folder. The run need not be finished.")],
    bundle: Annotated[
        Path, typer.Argument(help="Folder to write. An older bundle in it is replaced, and other files stay.")
    ],
    weights: Annotated[
        Literal["float32", "float16", "int8"],
        typer.Option(help="Number format of the weights."),
    ] = "float16",
    saved_model: Annotated[bool, typer.Option("--saved-model", help="Also write the tutorial's SavedModel.")] = False,
) -> None:
    """Write the network of a run as a bundle, which kwsd can run."""
    import_tensorflow()
    from kwsd.models.bundle import MANIFEST
    from kwsd_train.training.export import export_bundle

    written = export_bundle(run, bundle, weights, saved_model=saved_model)
    _say(f"wrote {bundle}: {', '.join((MANIFEST, *written.files))}")


join_help_lines(app)
expand_arguments(app)


def _report_skipped(clips: "ClipSet") -> None:
    clips.report_files(_say)


def _is_given(context: typer.Context, option: str) -> bool:
    """Whether the command line contains an option, even with its default value."""
    source = context.get_parameter_source(option)
    return source is not None and source.name == "COMMANDLINE"


def _terminal() -> "Console | None":
    """Return a console for standard error, or None if standard error is not a terminal that supports drawing."""
    console = create_console(stderr=True)
    return console if sys.stderr.isatty() and not console.is_dumb_terminal else None


def _say(message: str) -> None:
    print_message(message)


def main() -> None:
    """Run the command given on the command line, and exit the process with its exit code."""
    run_and_exit(_run, "kwsd-train")


def _run() -> None:
    try:
        app()
    except ModuleNotFoundError as error:
        how = "install it, in a clone of kwsd, with  pipx install --force '.[train]'"
        raise UsageError(f"this command needs {error.name}: {how}") from None
