"""Measurements of a model on clips and in streams."""
