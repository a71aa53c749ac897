"""The configuration: its keys, and how kwsd loads, shows and changes it."""
