"""The live view of ``kwsd monitor``: what the daemon's events say, how it is drawn, and the keys that steer it."""
