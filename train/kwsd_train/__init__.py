"""Training of keyword-spotting models: recordings and a recipe become a bundle that kwsd runs."""
