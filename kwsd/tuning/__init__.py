"""Scores audio and finds and writes thresholds for ``kwsd tune``, and scans files for ``kwsd scan``."""
