"""Audio input: sources, the thread that reads them, and conversion. Also playback."""
