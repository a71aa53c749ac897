"""Checks whether another user can change a file. kwsd does not trust files that other users can change."""

import os
import stat
from pathlib import Path

MAX_LINKS = 40
"""Maximum number of symbolic links on a path, which equals the limit of Linux; see path_resolution(7)."""

DYNAMIC_USERS = range(61184, 65520)
"""User identifiers that systemd assigns to its services; see ``DynamicUser=`` in systemd.exec(5). Root trusts these
users."""


def find_intruder(path: Path, *, private_folder: bool) -> str:
    """Check whether a user other than this user and root can change or replace a file.

    The file and its folder must belong to this user or root, and other users must not have write permission. A folder
    higher up on the path may be writable for all users only if the folder has the sticky bit, like ``/tmp``.

    Parameters
    ----------
    path : Path
        Absolute path of the file to check. The file may be missing.
    private_folder : bool
        Whether adding files to the folder is also forbidden for other users. If False, a folder with the sticky bit may
        be writable for all users.

    Returns
    -------
    str
        Description of the fault, as a part of a sentence. The text is empty if other users cannot change the file, or
        if its folder is missing.
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
