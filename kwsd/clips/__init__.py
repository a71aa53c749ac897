"""Clips that a daemon keeps when it is asked to, and what becomes of them: docs/tuning.md."""
