"""Finds and loads models: the bundles on disk and the networks that they contain."""
