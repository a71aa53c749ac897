"""Files that are written as a whole or not at all."""

import shutil
from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Write a file as a whole: where there is no room for it, the old one stays.

    Parameters
    ----------
    path : Path
        A link is followed; the new file has the mode of the old one.
    content : bytes

    Raises
    ------
    OSError
        It cannot be written.
    """
    path = path.resolve()
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.write_bytes(content)
        if path.exists():
            shutil.copymode(path, fresh)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
