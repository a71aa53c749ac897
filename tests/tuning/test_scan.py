"""The scan of sound files, without the command line."""

import json
import os
import threading
from pathlib import Path

import pytest

from kwsd.errors import ModelError
from kwsd.pipeline.detector import Detection
from kwsd.tuning.scan import ModelRequest, format_detection, format_scan_summary, scan_files

DEFAULT = ModelRequest(None, None, None)
FOUND = Detection("go", 0.98765, 32_000)


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_come_in_the_order_of_the_files_with_their_errors(jobs: int, two_words: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_text("no sound")
    files = [tmp_path / "bad.wav", two_words]
    (bad, nothing), (good, detections) = ((scan, list(found)) for scan, found in scan_files(files, DEFAULT, jobs))
    assert (bad.file, bad.seconds, nothing) == (files[0], 0, [])
    assert "is not a sound file" in bad.error
    assert (good.file, good.error, len(detections)) == (two_words, "", 2)
    assert good.seconds > 2


def test_a_model_that_cannot_be_used_is_reported_before_any_file_is_read(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no model 'none'"):
        scan_files([tmp_path / "none.wav"], DEFAULT._replace(model="none"), 1)


def test_a_detection_is_a_line_for_people_or_an_object_for_programs() -> None:
    assert format_detection(Path("a.wav"), FOUND, as_json=False) == "a.wav      2.00 s  go         0.99"
    row = json.loads(format_detection(Path("a.wav"), FOUND, as_json=True))
    assert row == {"file": "a.wav", "time_s": 2.0, "keyword": "go", "score": 0.9877}


def test_the_summary_has_a_rate_from_six_minutes_on() -> None:
    assert format_scan_summary(3, 359, 1) == "3 detections in 359 s of audio, 359 times real time"
    assert format_scan_summary(3, 360, 2) == "3 detections in 0.10 h of audio, 30.0 per hour, 180 times real time"


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_pipe_is_scanned_like_a_file(jobs: int, two_words: Path) -> None:
    reading, writing = os.pipe()

    def feed() -> None:
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(two_words.read_bytes())

    writer = threading.Thread(target=feed)
    writer.start()
    files = [Path(f"/dev/fd/{reading}"), two_words]
    (piped, from_pipe), (_, from_file) = ((scan, list(found)) for scan, found in scan_files(files, DEFAULT, jobs))
    writer.join()
    os.close(reading)
    assert piped.error == ""
    assert from_pipe == from_file


def test_a_file_whose_name_is_not_utf_8_has_lines_that_are() -> None:
    file = Path(os.fsdecode(b"caf\xe9.wav"))
    assert format_detection(file, FOUND, as_json=False).encode().startswith(b"caf?.wav ")
    assert json.loads(format_detection(file, FOUND, as_json=True))["file"] == "caf?.wav"
