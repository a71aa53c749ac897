"""Shows the screen of ``kwsd monitor``: collects and draws the daemon's events, and sends requests for pressed keys."""
