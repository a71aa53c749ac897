"""Scores audio, finds and writes thresholds for ``kwsd tune``, and scans files for ``kwsd scan``."""
