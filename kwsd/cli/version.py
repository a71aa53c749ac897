"""Prints the versions for the option ``kwsd --version``."""

from collections.abc import Iterator, Sequence

import typer

from kwsd import __version__
from kwsd.daemon.ending import find_failed_import
from kwsd.errors import ModelError
from kwsd.log import print_line

RUNTIME_LIBRARIES = ("ai-edge-litert", "numpy", "pyzmq", "sounddevice", "soundfile", "soxr")
"""Names of the libraries whose versions must be in a bug report."""


def print_version(wanted: bool) -> None:
    """Print the versions that a bug report must name, and end the command."""
    if wanted:
        for line in (*format_versions("kwsd", RUNTIME_LIBRARIES), *_format_models()):
            print_line(line)
        raise typer.Exit


def format_versions(program: str, libraries: Sequence[str]) -> Iterator[str]:
    """Yield a line for the program, a line for Python, and a line for each library."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    yield f"{program} {__version__}"
    yield f"python {platform.python_version()}"
    for library in libraries:
        try:
            yield f"{library} {version(library)}"
        except PackageNotFoundError:
            yield f"{library} is not installed"


def _format_models() -> Iterator[str]:
    """Yield a line for each model, with the start of the network's SHA-256. The SHA-256 changes with every training."""
    try:
        from kwsd.models.bundle import NETWORK, read_bundle
        from kwsd.models.find import installed_models

        models = installed_models()
    except (ImportError, ModelError) as error:
        failed = find_failed_import(error)
        yield f"the models cannot be listed: {failed.problem if failed else error}"
        return
    for name, folder in models.items():
        try:
            bundle = read_bundle(folder)
        except ModelError as error:
            yield f"model {name} cannot be used: {error}"
        else:
            yield f"model {name} {bundle.files[NETWORK].sha256[:12]}"
