"""Training of a recipe in a run folder, and export of a run as a bundle."""
