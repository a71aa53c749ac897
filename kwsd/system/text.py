"""Cleans text from outside on its way to a terminal, a log or the service manager."""

import datetime

HARMLESS = frozenset(
    "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000\u200c\u200d"
)
"""Spaces, and the joiners that words of some languages need. Python calls them unprintable."""


def clean_text(text: str) -> str:
    """Text on one line, with a question mark in place of each character that could damage a terminal or a log.

    These are control characters, line breaks, lone surrogates, and characters that change the direction of the text.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in HARMLESS else "?" for char in text)


def clean_lines(text: str) -> str:
    """Text whose line breaks (U+000A) stay; otherwise as for `clean_text`."""
    return "\n".join(map(clean_text, text.split("\n")))


def format_local_time(time: datetime.datetime, pattern: str = "%H:%M:%S") -> str:
    """A time in the local time zone. The first and the last day of the calendar have none, so they stay in UTC."""
    try:
        time = time.astimezone()
    except (OverflowError, ValueError, OSError):
        pattern += " UTC"
    return time.strftime(pattern)
