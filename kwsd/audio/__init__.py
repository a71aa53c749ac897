"""Sound: where it comes from, how it is captured, and how it is played."""
