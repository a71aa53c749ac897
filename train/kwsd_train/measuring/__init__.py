"""Measurement of a model on single clips and in long audio streams."""
