"""Training of keyword-spotting models. The package turns recordings and a recipe into a model bundle that kwsd runs."""
