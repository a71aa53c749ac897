"""The screen of ``kwsd monitor``: collects the daemon's events, draws them, and sends requests for pressed keys."""
