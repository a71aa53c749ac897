"""Runs the command ``kwsd`` as ``python -m kwsd``."""

from kwsd.cli import main

main()
