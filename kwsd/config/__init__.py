"""The configuration of kwsd: its keys, and the functions that load, show and change it."""
