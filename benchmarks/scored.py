"""Counts the windows that are scored, and checks that the others do not change any detection.

``python benchmarks/scored.py FOLDER ...`` processes each recording twice: as the daemon does, and with every window
scored. The exit code is 1 if the detections differ. The script also counts the detections that differ if only the mean
score decides.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import soundfile
import typer

from kwsd import Spotter, load_model
from kwsd.frontend import SAMPLE_RATE
from kwsd.models.model import Model
from kwsd.pipeline.detector import MIN_SHARE
from kwsd.tuning.scoring import RecordingNetwork, RecordingScores, replay_detector, score_recordings


def main(
    folders: Annotated[list[Path], typer.Argument(help="Folders of 16 kHz mono WAV or FLAC files.")],
    model: Annotated[str, typer.Option(help="Name or folder of a bundle.")] = "default",
) -> None:
    """Print the share of windows that are scored."""
    loaded = load_model(model)
    network = RecordingNetwork(loaded.network)
    loaded = replace(loaded, network=network)
    files = sorted(path for folder in folders for path in folder.rglob("*") if path.suffix in {".wav", ".flac"})
    counts, differing, seconds = {False: 0, True: 0}, [], 0.0
    detections, otherwise = 0, 0
    for file in files:
        samples, _ = soundfile.read(file, dtype="float32")
        seconds += len(samples) / SAMPLE_RATE
        found = []
        for attentive in counts:
            before, spotter = len(network.kept), Spotter(loaded, attentive=attentive)
            found.append(spotter.feed(samples) + spotter.flush())
            counts[attentive] += len(network.kept) - before
        if found[0] != found[1]:
            differing.append(file)
        kept = score_recordings(loaded, [samples])
        by_both, by_mean = (_detected(kept, loaded, share) for share in (MIN_SHARE, np.float32(0)))
        detections, otherwise = detections + len(by_both), otherwise + len(by_both ^ by_mean)
    print(f"{counts[False] / counts[True]:.1%} of {counts[True]:,} windows scored, in {seconds / 3600:.2f} h")
    print(f"{len(differing)} of {len(files):,} recordings with other detections", *differing)
    print(f"{otherwise} detections more, fewer or at another time by the mean alone, of {detections:,}")
    sys.exit(bool(differing))


def _detected(kept: RecordingScores, model: Model, min_share: np.float32) -> set[tuple[str, int]]:
    """Keyword and sample of each detection, for another share of the threshold that each window must reach."""
    return {(found.keyword, found.sample) for found in replay_detector(kept, model.detector, min_share)}


if __name__ == "__main__":
    typer.run(main)
