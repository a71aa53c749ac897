"""Trains keyword-spotting models: turns recordings and a recipe into a bundle that kwsd runs."""
