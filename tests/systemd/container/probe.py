"""Tries operations that the unit must forbid, and prints the refused ones. It replaces the daemon in the unit."""

import ctypes
import mmap
import os
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

libc = ctypes.CDLL(None, use_errno=True)

CLONE_NEWUSER = 0x10000000
PER_LINUX32 = 0x0008


def succeed(result: int) -> None:
    """Raise an exception if a function of the C library returned an error."""
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def write_home() -> None:
    """Create a file in the home folder."""
    path = Path.home() / "probe"
    path.touch()
    path.unlink()


def own_file(use: Callable[[Path], None]) -> None:
    """Call a function with a new file of this user."""
    with tempfile.NamedTemporaryFile() as file:
        use(Path(file.name))


# Each runs in a child process, because some cannot be undone.
ATTEMPTS: dict[str, Callable[[], object]] = {
    "RestrictAddressFamilies": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close(),
    "MemoryDenyWriteExecute": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC),
    "RestrictNamespaces": lambda: succeed(libc.unshare(CLONE_NEWUSER)),
    "RestrictSUIDSGID": lambda: own_file(lambda path: path.chmod(0o4700)),
    "LockPersonality": lambda: succeed(libc.personality(PER_LINUX32)),
    "SystemCallFilter": lambda: own_file(lambda path: os.chown(path, os.getuid(), os.getgid())),
    "ProtectHome": write_home,
}


def refused(attempt: Callable[[], object]) -> bool:
    """Whether an attempt fails in a separate process."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0
    try:
        attempt()
    except OSError:
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    for name, attempt in ATTEMPTS.items():
        print(name, "refused" if refused(attempt) else "allowed")
    print("NoNewPrivileges", "NoNewPrivs:\t1" in Path("/proc/self/status").read_text())
    print("UMask", oct(os.umask(0)))
