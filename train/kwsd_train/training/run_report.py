"""The report of a finished run: files in the run folder with measured figures on clips."""

from pathlib import Path

import keras

from kwsd.files import replace_file
from kwsd_train.data.dataset import ClipSet
from kwsd_train.data.training_data import labelled_spectrograms
from kwsd_train.measuring.evaluate import format_clip_report, make_clip_report
from kwsd_train.reporting.plots import plot_confusion_matrix, plot_training_curves
from kwsd_train.training.run_folder import History, RunSettings, encode_json

REPORT_FILE = "report.json"
"""Name of the report file that is written last.

If a run folder contains this file, the report of the run is complete.
"""


def has_run_report(run: Path) -> bool:
    """Whether the report of a run was written completely."""
    return (run / REPORT_FILE).exists()


def write_run_report(run: Path, settings: RunSettings, clips: ClipSet, network: keras.Model, history: History) -> None:
    """Measure the network of a run and write the report of the run.

    The report consists of the files ``curves.png``, ``confusion.png``, ``report.txt`` and ``report.json``. The network
    is measured on the validation clips, or on the testing clips if the recipe uses the tutorial's random split.
    """
    split = "testing" if settings.recipe.split == "random" else "validation"
    inputs, _ = labelled_spectrograms(clips.of_split(split), settings.labels)
    scores = keras.ops.convert_to_numpy(keras.ops.softmax(network.predict(inputs, batch_size=256, verbose=0)))
    figures = make_clip_report(clips.of_split(split).words, scores, settings.labels, split)
    plot_training_curves(history, run / "curves.png")
    plot_confusion_matrix(figures, run / "confusion.png")
    (run / "report.txt").write_text(format_clip_report(figures), encoding="utf-8")
    replace_file(run / REPORT_FILE, encode_json(figures))
