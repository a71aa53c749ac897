"""Training of the network of a recipe, and export of the trained network as a bundle."""
