"""Finds out whether another user can change a file, so that kwsd does not trust it."""

import os
import stat
from pathlib import Path

MAX_LINKS = 40
"""Maximum number of symbolic links on a path, as in Linux (path_resolution(7))."""

DYNAMIC_USERS = range(61184, 65520)
"""Users that systemd creates for its services (``DynamicUser=`` in systemd.exec(5)). Root trusts them."""


def find_intruder(path: Path, *, private_folder: bool) -> str:
    """Whether another user than this one and root can change a file or put another in its place.

    The file and its folder must belong to this user or root, and no other user may write to them. A folder further up
    may be open to all users only if it has the sticky bit, as ``/tmp`` has.

    Parameters
    ----------
    path : Path
        An absolute path. The file may be missing.
    private_folder : bool
        Whether another user must not add files to the folder either. Otherwise the sticky bit is enough for it, too.

    Returns
    -------
    str
        The fault, as a part of a sentence. Empty if nobody else can change the file, or if its folder is missing.
    """
    return _find_intruder(path, private_folder=private_folder, links=MAX_LINKS)


def _find_intruder(path: Path, *, private_folder: bool, links: int) -> str:
    for part in (*reversed(path.parents), path):
        try:
            found = part.lstat()
        except OSError:  # whoever opens the path gets the reason
            return ""
        near = part in {path, path.parent}
        link = stat.S_ISLNK(found.st_mode) and links > 0
        if (near or link) and not _is_trusted(found.st_uid):
            return f"{part} belongs to another user"
        if link:
            target = part.parent / part.readlink() / path.relative_to(part)
            return _find_intruder(target, private_folder=private_folder, links=links - 1)
        safe = found.st_mode & stat.S_ISVTX and not (private_folder and part == path.parent)
        # The folder of a socket protects the socket, which may itself have any mode.
        safe = safe or stat.S_ISSOCK(found.st_mode)
        if not safe and found.st_mode & (0o022 if near else 0o002):
            return f"other users can write to {part}: run  chmod go-w {part}"
    return ""


def _is_trusted(user: int) -> bool:
    return user in {0, os.geteuid()} or (os.geteuid() == 0 and user in DYNAMIC_USERS)
