"""Cleans text from outside kwsd, for the output to a terminal, a log or the service manager."""

import datetime

HARMLESS = frozenset(
    "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000\u200c\u200d"
)
"""Special characters that `clean_text` keeps: spaces, and the joiners that words in some languages need. Python calls
these characters unprintable."""


def clean_text(text: str) -> str:
    """Return text as one line, with a question mark for each character that could damage a terminal or a log.

    The replaced characters are control characters, line breaks, lone surrogates, and characters that change the text
    direction.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in HARMLESS else "?" for char in text)


def clean_lines(text: str) -> str:
    """Clean each line of a text with the rules of `clean_text`, and keep the line breaks (U+000A)."""
    return "\n".join(map(clean_text, text.split("\n")))


def format_local_time(time: datetime.datetime, pattern: str = "%H:%M:%S") -> str:
    """Return a time in the local time zone.

    Times on the first and the last day of the calendar cannot be converted, so they stay in UTC.
    """
    try:
        time = time.astimezone()
    except (OverflowError, ValueError, OSError):
        pattern += " UTC"
    return time.strftime(pattern)
