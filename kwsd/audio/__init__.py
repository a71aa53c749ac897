"""Audio input: audio sources, the thread that reads the sources, and the conversion of the samples. Also playback."""
