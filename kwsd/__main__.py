"""``python -m kwsd``."""

from kwsd.cli import main

main()
