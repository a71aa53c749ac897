"""Choosing thresholds from recordings."""
