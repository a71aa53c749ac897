"""Models: bundles on disk, their networks, and how kwsd finds them."""
