"""Training of the network of a recipe. The results of the training are written into a run folder.

A run that was killed can be resumed after its last finished epoch.
"""

import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console

from kwsd.errors import UsageError
from kwsd.files import replace_file
from kwsd.frontend import Float32
from kwsd.models.bundle import UNKNOWN_LABEL
from kwsd_train.data.dataset import ClipSet
from kwsd_train.data.mixture import Int64
from kwsd_train.data.recipe_data import check_recipe_data, hash_clip_names, label_names, load_recipe_clips
from kwsd_train.data.training_data import TrainingData, make_training_data
from kwsd_train.measuring.evaluate import keyword_accuracy
from kwsd_train.networks import build_network
from kwsd_train.recipe import Optimizer, Recipe
from kwsd_train.training.curves import TrainingDisplay, show_status
from kwsd_train.training.run_folder import (
    HISTORY_FILE,
    NETWORK_FILE,
    History,
    RunSettings,
    create_run_folder,
    encode_json,
    last_checkpoint,
    load_network,
    load_network_file,
    read_run_history,
    read_run_settings,
    save_network,
    use_averaged_weights,
)
from kwsd_train.training.run_report import has_run_report, write_run_report
from kwsd_train.training.takeover import can_take_over, take_over_weights

Say = Callable[[str], None]
"""Function that receives one line of text for each step of the training."""


def start_run(  # noqa: PLR0913  a run depends on all of these
    recipe: Recipe,
    data: Path,
    run: Path,
    say: Say,
    *,
    after: Path | None = None,
    strict: bool = False,
    terminal: Console | None = None,
) -> None:
    """Train the network of a recipe, and write the results into a new run folder.

    Parameters
    ----------
    data : Path
        Path of the data folder.
    run : Path
        Path of the new run folder.
    after : Path, optional
        Folder of the run whose weights the network starts with. By default the network starts with random weights.
    strict : bool
        Raise an error at the first file that cannot be used. By default, a file that cannot be used is skipped.
    terminal : Console, optional
        Terminal in which progress bars and curves are drawn.

    Raises
    ------
    UsageError
        - The data folder lacks a kind of recording that the recipe needs.
        - The run `after` lacks a finished epoch, or its network or labels differ from those of the recipe.
        - The loss of an epoch is not a number (NaN).
    OutputError
        The run folder already exists or cannot be created.
    """
    with show_status(terminal, f"reading the clips of {data}"):
        clips = load_recipe_clips(recipe, data, strict=strict)
    clips.report_files(say)
    settings = _make_settings(recipe, data, clips, after)
    check_recipe_data(recipe, data, clips, settings.keywords)
    create_run_folder(run, settings)
    say(f"run folder: {run}")
    _train(run, clips, say, terminal)


def resume_run(run: Path, say: Say, *, terminal: Console | None = None) -> None:
    """Resume a run after its last finished epoch. If only the report of the run is missing, write the report.

    Parameters
    ----------
    run : Path
        Path of the run folder.
    terminal : Console, optional
        Terminal in which progress bars and curves are drawn.

    Raises
    ------
    UsageError
        - The folder is not a run folder, or the run is already finished.
        - The clips in the data folder have changed since the start of the run.
        - The run has not finished an epoch, and the run from which it took its initial weights cannot be read.
        - The loss of an epoch is not a number (NaN).
    """
    settings = read_run_settings(run)
    trained = (run / NETWORK_FILE).exists()
    if trained and (settings.is_derived or has_run_report(run)):
        raise UsageError(f"{run} is finished: there is nothing to resume")
    if settings.after and not trained and not last_checkpoint(run):
        _check_parent_of_unfinished(run, settings)
    with show_status(terminal, f"reading the clips of {settings.data}"):
        clips = load_recipe_clips(settings.recipe, Path(settings.data), strict=False)
    if hash_clip_names(clips) != settings.listing_sha256:
        raise UsageError(f"{settings.data} no longer holds the clips that {run} was started with")
    if trained:
        say("the network is trained: writing the missing report")
        write_run_report(run, settings, clips, load_network(run), read_run_history(run))
    else:
        _train(run, clips, say, terminal)


def _train(run: Path, clips: ClipSet, say: Say, terminal: Console | None) -> None:
    settings = read_run_settings(run)
    recipe = settings.recipe
    keras.utils.set_random_seed(recipe.seed)
    with show_status(terminal, "preparing the examples"):
        prepared = make_training_data(recipe, Path(settings.data), settings.labels, clips)
    checkpoint = last_checkpoint(run)
    finished = int(checkpoint.stem.removeprefix("epoch-")) if checkpoint else 0
    if checkpoint:
        say(f"resuming after epoch {finished}")
        network = load_network_file(checkpoint, compile=True)
    else:
        network = _build_initial_network(settings, prepared)
    recorder = EpochRecorder(run, settings, prepared.validation, read_run_history(run)[:finished], say)
    steps = prepared.steps_per_epoch
    display = TrainingDisplay(terminal, recorder.history, recipe.epochs, steps) if terminal else None
    try:
        network.fit(
            prepared.batches(finished),
            steps_per_epoch=steps,
            initial_epoch=finished,
            epochs=recipe.epochs,
            shuffle=False,  # the batches are shuffled already
            verbose=0,
            callbacks=[recorder, *([display] if display else [])],
        )
    finally:
        if display:
            display.close()
    save_network(network, run / NETWORK_FILE)
    write_run_report(run, settings, clips, network, recorder.history)


def _build_initial_network(settings: RunSettings, prepared: TrainingData) -> keras.Model:
    recipe = settings.recipe
    network = build_network(recipe.network, len(settings.labels), prepared.examples)
    if settings.after_path:
        take_over_weights(network, load_network(Path(settings.after_path)))
    optimizer = _make_optimizer(recipe.optimizer, prepared.steps_per_epoch, recipe.epochs)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(optimizer, loss, metrics=["accuracy"])
    return network


class EpochRecorder(keras.callbacks.Callback):  # type: ignore[misc]
    """Validates the network after each epoch, records the figures and writes a checkpoint.

    The recorder also stops the training early if the validation loss does not fall.

    If the optimizer averages the weights, the validation uses the averaged weights. The finished network has the
    averaged weights too.

    Parameters
    ----------
    validation : (ndarray, ndarray)
        Spectrograms, shape (n, 124, 129), and labels, shape (n,), of the validation examples.
    history : list of dict
        Figures of the finished epochs. The recorder appends the figures of each epoch to this list.
    """

    def __init__(
        self,
        run: Path,
        settings: RunSettings,
        validation: tuple[Float32, Int64],
        history: History,
        say: Say,
    ) -> None:
        super().__init__()
        self.run = run
        self.settings = settings
        self.validation = validation
        self.history = history
        self.say = say

    def on_epoch_begin(self, _epoch: int, _logs: dict[str, float] | None = None) -> None:
        """Store the start time of the epoch."""
        self._begun = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Record the finished epoch. A run that is killed later can be resumed after the recorded epoch.

        Raises
        ------
        UsageError
            The loss of the epoch is not a number (NaN). The results of the earlier epochs stay in the run folder.
        """
        figures = {name: float(value) for name, value in (logs or {}).items()} | self._validate()
        if not np.isfinite([figures["loss"], figures["val_loss"]]).all():
            raise UsageError(
                f"the loss is not a number after epoch {epoch + 1}: try a lower learning_rate, or more warmup_epochs, "
                "under [optimizer] in the recipe"
            )
        figures |= {"epoch": epoch + 1, "seconds": round(time.monotonic() - self._begun, 1)}
        self.history.append(figures)
        # The history comes before the checkpoint: a resumed run cuts it to the epochs of the checkpoint.
        replace_file(self.run / HISTORY_FILE, encode_json(self.history))
        self._write_checkpoint(epoch + 1)
        shown = ", ".join(f"{name} {value:.4g}" for name, value in figures.items() if name != "epoch")
        self.say(f"epoch {epoch + 1}/{self.params['epochs']}: {shown}")
        patience = self.settings.recipe.patience
        if patience and epoch - int(np.argmin([row["val_loss"] for row in self.history])) >= patience:
            self.model.stop_training = True

    def _validate(self) -> dict[str, float]:
        inputs, truth = self.validation
        with use_averaged_weights(self.model):
            logits = self.model.predict(inputs, batch_size=256, verbose=0)
        loss = float(keras.ops.mean(keras.losses.sparse_categorical_crossentropy(truth, logits, from_logits=True)))
        figures = {"val_loss": loss, "val_accuracy": float((logits.argmax(1) == truth).mean())}
        labels = self.settings.labels
        if UNKNOWN_LABEL in labels:
            figures["val_keywords"] = keyword_accuracy(np.array(labels)[truth], logits, labels).share
        return figures

    def _write_checkpoint(self, epoch: int) -> None:
        older = last_checkpoint(self.run)  # it is deleted only after the new one is complete
        save_network(self.model, self.run / f"epoch-{epoch:03}.keras")
        if older:
            older.unlink()


def _make_optimizer(settings: Optimizer, steps: int, epochs: int) -> keras.optimizers.Optimizer:
    if not settings.weight_decay and not settings.warmup_epochs:
        return keras.optimizers.Adam(settings.learning_rate)
    warmup = settings.warmup_epochs * steps  # Keras counts the schedule in steps
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, epochs * steps - warmup, warmup_target=settings.learning_rate, warmup_steps=warmup
    )
    average = {"use_ema": True, "ema_momentum": settings.averaging} if settings.averaging else {}
    return keras.optimizers.AdamW(schedule, weight_decay=settings.weight_decay, **average)


def _make_settings(recipe: Recipe, data: Path, clips: ClipSet, after: Path | None) -> RunSettings:
    labels = label_names(recipe, data)
    if after:
        _check_parent(after, recipe, labels)
    versions = {module.__name__: module.__version__ for module in (tf, keras, np)}
    return RunSettings(
        recipe=recipe,
        data=str(data.resolve()),
        labels=labels,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        clips={split: clips.of_split(split).count_by_word() for split in ("training", "validation", "testing")},
        listing_sha256=hash_clip_names(clips),
        skipped=[skipped.reason for skipped in clips.skipped],
        versions={"python": platform.python_version()} | versions,
        after=after.absolute().name if after else "",
        after_path=str(after.absolute()) if after else "",
    )


def _check_parent(after: Path, recipe: Recipe, labels: list[str]) -> None:
    """Raise a `UsageError` if a network of the recipe cannot use the weights of the earlier run `after`."""
    before = read_run_settings(after)
    if before.labels != labels or not can_take_over(before.recipe, recipe):
        raise UsageError(f"{after} has another network or other labels than the recipe {recipe.name}")


def _check_parent_of_unfinished(run: Path, settings: RunSettings) -> None:
    """Raise a `UsageError` if an unfinished run cannot start again with its initial weights.

    The unfinished run has not finished an epoch. It takes its initial weights from its parent run.
    """
    if not settings.after_path:
        raise UsageError(
            f"{run} has no finished epoch, and its settings do not contain the path of the run {settings.after} "
            "that it started with: start a new run with --after"
        )
    parent = Path(settings.after_path)
    if not parent.is_dir():
        raise UsageError(f"{run} has no finished epoch and needs the run {parent}, which is missing: restore that run")
    _check_parent(parent, settings.recipe, settings.labels)
