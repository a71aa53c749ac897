"""Writes files atomically: a reader sees the old content or the new content, never a part."""

import shutil
from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Replace the content of a file atomically. If the write fails, the old content stays.

    Parameters
    ----------
    path : Path
        The file to replace or create. A symbolic link stays, and its target is replaced. The mode stays too.
    content : bytes
        The new content.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    path = path.resolve()
    # In the same folder, because a rename is atomic only within a file system.
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.write_bytes(content)
        if path.exists():
            shutil.copymode(path, fresh)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
