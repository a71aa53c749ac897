"""Writes the figures of a model as files."""

from pathlib import Path

import msgspec

from kwsd_train.measuring.evaluate import Report, table


def write_report(run: Path, figures: Report) -> None:
    """Write ``report.json``, ``report.txt`` and ``confusion.png``."""
    from kwsd_train.reporting import plots  # noqa: PLC0415  matplotlib is slow to load

    (run / "report.json").write_bytes(msgspec.json.format(msgspec.json.encode(figures), indent=2) + b"\n")
    (run / "report.txt").write_text(table(figures), encoding="utf-8")
    plots.confusion(figures, run / "confusion.png")
