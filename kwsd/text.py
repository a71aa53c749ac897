"""Cleans text from outside on its way to a terminal, a log or the service manager."""


def clean_text(text: str) -> str:
    """Text on one line, with a question mark in place of each character that could damage a terminal or a log.

    These are control characters, line breaks, lone surrogates, and characters that change the direction of the text.
    Python calls all of them unprintable.
    """
    return "".join(character if character.isprintable() else "?" for character in text)


def clean_lines(text: str) -> str:
    """Text whose line breaks (U+000A) stay; otherwise as for `clean_text`."""
    return "\n".join(map(clean_text, text.split("\n")))
