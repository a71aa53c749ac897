"""Reads files safely, and writes files atomically.

A path from a user can lead to a FIFO without a writer, to an endless device, or to a very large file. `read_file` never
waits for a FIFO or a device. `replace_file` changes a file atomically, so a reader sees either the old content or the
new content.
"""

import errno
import io
import os
import shutil
import stat
import sys
from pathlib import Path
from typing import Literal

import platformdirs

MIB = 1 << 20

TEXT_LIMIT = MIB // 4
"""Maximum size of a configuration, key or recipe, in bytes. The default configuration with every setting has about
6,000 bytes."""

DESCRIPTION_LIMIT = 4 * MIB
"""Maximum size of the description file of a model, for example ``bundle.json``, in bytes. The description of the
bundled model has 31,574 bytes."""

NETWORK_LIMIT = 512 * MIB
"""Maximum size of a network, in bytes. The size is limited because a daemon keeps the network in memory. Networks for
keywords have fewer than 10 million bytes."""

FILE_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
"""Maps a file type from `stat.S_IFMT` to the name of the type in messages."""


def read_file(path: Path, limit: int) -> bytes:
    """Return the whole content of a regular file. The null device ``/dev/null`` counts as an empty file.

    Parameters
    ----------
    path : Path
        File to read. If the path is a symbolic link, the target of the link is read.
    limit : int
        Maximum size of the file, in bytes.

    Raises
    ------
    OSError
        The file cannot be read, is not a regular file, or is larger than the limit. The attribute ``strerror`` of the
        error always contains the reason.
    """
    if check_file(path, limit) is None:
        return b""
    with _open_without_waiting(path) as file:
        size = _check_status(os.fstat(file.fileno()), path, limit)
        # One byte more shows that the file ends here. Files of /proc have the size 0 and still have content.
        content = file.read(size + 1) or b""
        while len(content) <= limit and (more := file.read(MIB)):
            content += more
    if len(content) > limit:
        raise _size_error(path, limit)
    return content


def read_start(path: Path, size: int) -> bytes:
    """Read the first bytes of a regular file of any size.

    Raises
    ------
    OSError
        An error that `read_file` also raises.
    """
    if check_file(path, sys.maxsize) is None:
        return b""
    with _open_without_waiting(path) as file:
        _check_status(os.fstat(file.fileno()), path, sys.maxsize)
        return file.read(size) or b""


def check_file(path: Path, limit: int) -> int | None:
    """Return the size of a regular file in bytes, or None for the null device. The function does not open the file.

    Raises
    ------
    OSError
        An error that `read_file` also raises.
    """
    try:
        found = path.stat()
        if stat.S_ISCHR(found.st_mode) and found.st_rdev == Path(os.devnull).stat().st_rdev:
            return None
    except ValueError as error:  # a zero byte, or a character that cannot be in a file name
        raise OSError(errno.EINVAL, str(error), str(path)) from None
    return _check_status(found, path, limit)


def is_present(path: Path) -> bool:
    """Whether a file, folder or other object exists at this path.

    Broken links and paths in unreadable folders count as existing, so that a later attempt to read reports the fault.
    """
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError:
        return True
    return True


def replace_file(path: Path, content: bytes) -> None:
    """Replace the content of a file atomically: a reader sees the old or the new content, never a mixture.

    If writing fails, the file keeps its old content.

    Parameters
    ----------
    path : Path
        Path of the file to replace or create. If the path is a symbolic link, the link stays and its target is
        replaced. An existing file keeps its access mode.
    content : bytes
        New content of the file.

    Raises
    ------
    OSError
        The file cannot be written, or the path is not a regular file.
    """
    path = path.resolve()
    # A rename would put a file in the place of a device or a pipe.
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    # In the same folder, because a rename is atomic only within a file system.
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.write_bytes(content)
        if path.exists():
            shutil.copymode(path, fresh)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def _open_without_waiting(path: Path) -> io.FileIO:
    # Between a check and the opening, a FIFO or a terminal can get the name of the file.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    return io.FileIO(descriptor, "rb")


def _check_status(found: os.stat_result, path: Path, limit: int) -> int:
    if stat.S_ISDIR(found.st_mode):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(found.st_mode):
        kind = FILE_KINDS.get(stat.S_IFMT(found.st_mode), "something else")
        raise OSError(errno.EINVAL, f"it is {kind}, not a file", str(path))
    if found.st_size > limit:
        raise _size_error(path, limit)
    return found.st_size


def _size_error(path: Path, limit: int) -> OSError:
    return OSError(errno.EFBIG, f"it is larger than {limit:,} bytes", str(path))


def find_user_folder(kind: Literal["config", "data"], name: str = "kwsd") -> Path | None:
    """Return the folder for a user's files, as defined by the XDG Base Directory Specification.

    Returns
    -------
    Path or None
        None if this user does not have a home folder and therefore does not have these files.
    """
    find = platformdirs.user_config_path if kind == "config" else platformdirs.user_data_path
    try:
        folder = find(name)
    except RuntimeError:
        return None
    # Older versions of platformdirs keep the ~ if there is no home folder.
    return folder if folder.is_absolute() else None


def expand_home(path: str | Path) -> Path:
    """Replace ``~`` or ``~user`` at the start of a path with the home folder, and return the path.

    Raises
    ------
    FileNotFoundError
        The user does not exist, or does not have a home folder.
    """
    text = os.fspath(path)
    expanded = os.path.expanduser(text)  # noqa: PTH111  pathlib raises an error that does not name the path
    if text.startswith("~") and expanded == text:
        raise FileNotFoundError(errno.ENOENT, "there is no such home folder", text)
    return Path(expanded)
