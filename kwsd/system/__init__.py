"""Functions for the operating system: they check file owners, end processes, and make text safe to print."""
