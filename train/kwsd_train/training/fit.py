"""Training: a recipe and a data folder become a run folder, which survives being killed after any epoch."""

import hashlib
import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console

from kwsd.errors import OutputError, UsageError
from kwsd.files import replace_file
from kwsd.frontend import Float32
from kwsd.models.bundle import RESERVED_LABELS
from kwsd_train import networks
from kwsd_train.data.dataset import Clips, load_clips, word_names
from kwsd_train.data.feed import arrays, make_feed
from kwsd_train.data.mixture import SILENCE, UNKNOWN, Int64
from kwsd_train.measuring.evaluate import closed_set, report
from kwsd_train.recipe import Optimizer, Recipe
from kwsd_train.reporting import plots
from kwsd_train.reporting.written import write_report
from kwsd_train.training.curves import History, Screen, busy
from kwsd_train.training.run import (
    HISTORY,
    NETWORK,
    SETTINGS,
    RunSettings,
    _json,
    _load_file,
    last_checkpoint,
    load_network,
    read_history,
    read_settings,
)
from kwsd_train.training.surgery import _can_take_over
from kwsd_train.training.takeover import take_over

Say = Callable[[str], None]


def start(  # noqa: PLR0913  what a run is made of
    recipe: Recipe,
    data: Path,
    run: Path,
    say: Say,
    *,
    after: Path | None = None,
    strict: bool = False,
    terminal: Console | None = None,
) -> None:
    """Train a recipe in a new run folder, from random weights or from those of the run `after`.

    Bars and curves are drawn into the terminal, if there is one.

    Raises
    ------
    UsageError
        The data folder lacks what the recipe takes from it; the run `after` has another network, other labels, or no
        finished epoch; or the loss is no number any more.
    OutputError
        The run folder exists already or cannot be made.
    """
    with busy(terminal, f"reading the clips of {data}"):
        clips = _load(recipe, data, strict=strict)
    for skipped in clips.skipped:
        say(f"skipped: {skipped.reason}")
    settings = _settings(recipe, data, clips, after)
    _check_data(recipe, data, clips, [label for label in settings.labels if label not in RESERVED_LABELS])
    try:
        run.mkdir(parents=True)
        (run / SETTINGS).write_bytes(_json(settings))
    except OSError as error:
        raise OutputError(f"cannot make the run folder {run}: {error.strerror}") from None
    say(f"run folder: {run}")
    _train(run, clips, say, after, terminal)


def resume(run: Path, say: Say, *, terminal: Console | None = None) -> None:
    """Go on with a run after its last finished epoch; bars and curves as in `start`.

    Raises
    ------
    UsageError
        The folder is no run, the run is finished, or the data has changed since it was started; or the loss is no
        number any more.
    """
    settings = read_settings(run)
    if (run / NETWORK).exists():
        raise UsageError(f"{run} is finished: there is nothing to go on with")
    with busy(terminal, f"reading the clips of {settings.data}"):
        clips = _load(settings.recipe, Path(settings.data), strict=False)
    if _listing(clips) != settings.listing_sha256:
        raise UsageError(f"{settings.data} no longer holds the clips that {run} was started with")
    _train(run, clips, say, None, terminal)


def training_examples(settings: RunSettings, count: int) -> Float32:
    """Spectrograms as the network of a run saw them first.

    Parameters
    ----------
    settings : RunSettings
    count : int
        At most so many.

    Returns
    -------
    ndarray, shape (n, 124, 129), float32

    Raises
    ------
    UsageError
        The data folder of the run is gone.
    """
    data = Path(settings.data)
    feed = make_feed(settings.recipe, data, settings.labels, _load(settings.recipe, data, strict=False))
    batches = (np.asarray(inputs) for inputs, _ in feed.batches(0))
    return np.concatenate(list(islice(batches, -(-count // settings.recipe.batch_size))))[:count]


def label_names(recipe: Recipe, data: Path) -> list[str]:
    """Meaning of a network's outputs, in order."""
    keywords = sorted(recipe.keywords or word_names(data))
    return [SILENCE, UNKNOWN, *keywords] if recipe.mixture else keywords


def _load(recipe: Recipe, data: Path, *, strict: bool) -> Clips:
    words = recipe.keywords if recipe.mixture is None else word_names(data)
    missing = set(recipe.keywords) - set(word_names(data))
    if missing:
        raise UsageError(f"{data} has no folder for {', '.join(sorted(missing))}")
    random_seed = recipe.seed if recipe.split == "random" else None
    return load_clips(data, words=words, random_seed=random_seed, strict=strict)


def _check_data(recipe: Recipe, data: Path, clips: Clips, keywords: list[str]) -> None:
    """Raise a `UsageError` unless there is something of everything that the recipe draws examples from."""
    by_split = {split: set(clips.of(split).words.tolist()) for split in ("training", "validation")}
    unheard = [word for word in keywords if word not in by_split["training"]]
    if unheard or not by_split["validation"]:
        lacking = f"of {', '.join(unheard)} for training" if unheard else "for validation"
        raise UsageError(
            f"{data} has no clip {lacking}: add clips of other speakers, or name some in validation_list.txt"
        )
    mixture = recipe.mixture
    if mixture and mixture.glued_words and by_split["training"] <= set(keywords):
        raise UsageError(f"{data} has no word that is no keyword: add some, or set glued_words = 0 in the recipe")
    if mixture and mixture.mined and not (data / "mined").is_dir():
        raise UsageError(f"there is no folder {data / 'mined'}: make it with  kwsd-train mine, or set mined = 0")


def _train(run: Path, clips: Clips, say: Say, after: Path | None, terminal: Console | None) -> None:
    settings = read_settings(run)
    recipe = settings.recipe
    keras.utils.set_random_seed(recipe.seed)
    with busy(terminal, "preparing the examples"):
        feed = make_feed(recipe, Path(settings.data), settings.labels, clips)
    checkpoint = last_checkpoint(run)
    first = int(checkpoint.stem.removeprefix("epoch-")) if checkpoint else 0
    if checkpoint:
        say(f"going on after epoch {first}")
        network = _load_file(checkpoint, compile=True)
    else:
        network = networks.build(recipe.network, len(settings.labels), feed.examples)
        if after:
            take_over(network, load_network(after))
        network.compile(_optimizer(recipe.optimizer, feed.steps, recipe.epochs), _loss(), metrics=["accuracy"])
    after_epoch = AfterEpoch(run, settings, feed.validation, read_history(run)[:first], say)
    screen = Screen(terminal, after_epoch.history, recipe.epochs, feed.steps) if terminal else None
    try:
        network.fit(
            feed.batches(first),
            steps_per_epoch=feed.steps,
            initial_epoch=first,
            epochs=recipe.epochs,
            shuffle=False,  # the batches come shuffled
            verbose=0,
            callbacks=[after_epoch, *([screen] if screen else [])],
        )
    finally:
        if screen:
            screen.close()
    network.save(run / NETWORK)
    _finish(run, settings, clips, network, after_epoch.history)


class AfterEpoch(keras.callbacks.Callback):  # type: ignore[misc]
    """Validates, notes the figures, keeps a checkpoint, and stops when validation gets no better."""

    def __init__(
        self,
        run: Path,
        settings: RunSettings,
        validation: tuple[Float32, Int64],
        history: History,
        say: Say,
    ) -> None:
        super().__init__()
        self.run, self.settings, self.validation, self.history, self.say = run, settings, validation, history, say

    def on_epoch_begin(self, _epoch: int, _logs: dict[str, float] | None = None) -> None:
        """Note the time."""
        self._begun = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Close the epoch: nothing of it is lost from here on.

        Raises
        ------
        UsageError
            The loss is not a number, so that nothing can come of this run; the epochs before stay as they are.
        """
        figures = {name: float(value) for name, value in (logs or {}).items()} | self._validate()
        if not np.isfinite([figures["loss"], figures["val_loss"]]).all():
            raise UsageError(
                f"the loss is not a number after epoch {epoch + 1}: try a lower learning_rate, or more warmup_epochs, "
                "under [optimizer] in the recipe"
            )
        figures |= {"epoch": epoch + 1, "seconds": round(time.monotonic() - self._begun, 1)}
        self.history.append(figures)
        replace_file(self.run / HISTORY, _json(self.history))
        self._checkpoint(epoch + 1)
        said = ", ".join(f"{name} {value:.4g}" for name, value in figures.items() if name != "epoch")
        self.say(f"epoch {epoch + 1}/{self.params['epochs']}: {said}")
        patience = self.settings.recipe.patience
        if patience and epoch - int(np.argmin([row["val_loss"] for row in self.history])) >= patience:
            self.model.stop_training = True

    def _validate(self) -> dict[str, float]:
        inputs, truth = self.validation
        logits = self.model.predict(inputs, batch_size=256, verbose=0)
        loss = float(keras.ops.mean(keras.losses.sparse_categorical_crossentropy(truth, logits, from_logits=True)))
        figures = {"val_loss": loss, "val_accuracy": float((logits.argmax(1) == truth).mean())}
        labels = self.settings.labels
        if UNKNOWN in labels:
            figures["val_keywords"] = closed_set(np.array(labels)[truth], logits, labels).share
        return figures

    def _checkpoint(self, epoch: int) -> None:
        older = last_checkpoint(self.run)
        unfinished = self.run / "unfinished.keras"
        self.model.save(unfinished)
        unfinished.replace(self.run / f"epoch-{epoch:03}.keras")
        if older:
            older.unlink()


def _optimizer(settings: Optimizer, steps: int, epochs: int) -> keras.optimizers.Optimizer:
    if not settings.weight_decay and not settings.warmup_epochs:
        return keras.optimizers.Adam(settings.learning_rate)
    warmup = settings.warmup_epochs * steps
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, epochs * steps - warmup, warmup_target=settings.learning_rate, warmup_steps=warmup
    )
    average = {"use_ema": True, "ema_momentum": settings.averaging} if settings.averaging else {}
    return keras.optimizers.AdamW(schedule, weight_decay=settings.weight_decay, **average)


def _loss() -> keras.losses.Loss:
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def _settings(recipe: Recipe, data: Path, clips: Clips, after: Path | None) -> RunSettings:
    labels = label_names(recipe, data)
    if after:
        before = read_settings(after)
        if before.labels != labels or not _can_take_over(before.recipe, recipe):
            raise UsageError(f"{after} has another network or other labels than the recipe {recipe.name}")
    versions = {module.__name__: module.__version__ for module in (tf, keras, np)}
    return RunSettings(
        recipe=recipe,
        data=str(data.resolve()),
        labels=labels,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        clips={split: clips.of(split).counts() for split in ("training", "validation", "testing")},
        listing_sha256=_listing(clips),
        skipped=[skipped.reason for skipped in clips.skipped],
        versions={"python": platform.python_version()} | versions,
        after=after.name if after else "",
    )


def _listing(clips: Clips) -> str:
    names = sorted(f"{path.parent.name}/{path.name}" for path in clips.paths)
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def _finish(run: Path, settings: RunSettings, clips: Clips, network: keras.Model, history: History) -> None:
    split = "testing" if settings.recipe.split == "random" else "validation"
    inputs, _ = arrays(clips.of(split), settings.labels)
    scores = keras.ops.convert_to_numpy(keras.ops.softmax(network.predict(inputs, batch_size=256, verbose=0)))
    write_report(run, report(clips.of(split).words, scores, settings.labels, split))
    plots.curves(history, run / "curves.png")
