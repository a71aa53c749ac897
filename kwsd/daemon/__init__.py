"""The daemon: its loop, one listener for each stream, and its process."""
