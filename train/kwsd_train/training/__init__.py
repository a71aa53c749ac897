"""From a recipe to a finished network, and to a bundle."""
