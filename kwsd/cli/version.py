"""``kwsd --version``."""

from collections.abc import Iterator, Sequence

import typer

from kwsd import __version__

RUNTIME = ("ai-edge-litert", "numpy", "pyzmq", "sounddevice", "soundfile", "soxr")
"""Libraries whose versions matter when something goes wrong."""


def print_version(wanted: bool) -> None:
    """Print what a report of a fault needs to name, and end the command."""
    if wanted:
        print("\n".join([*versions("kwsd", RUNTIME), *_models()]))
        raise typer.Exit


def versions(program: str, libraries: Sequence[str]) -> Iterator[str]:
    """The program's version first, then those of Python and of the libraries, a line each."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    yield f"{program} {__version__}"
    yield f"python {platform.python_version()}"
    for library in libraries:
        try:
            yield f"{library} {version(library)}"
        except PackageNotFoundError:
            yield f"{library} is not installed"


def _models() -> Iterator[str]:
    """Each model with the beginning of its network's SHA-256, which changes with every training."""
    from kwsd.errors import ModelError
    from kwsd.models.bundle import NETWORK, read_bundle
    from kwsd.models.find import installed_models

    for name, folder in installed_models().items():
        try:
            bundle = read_bundle(folder)
        except ModelError as error:
            yield f"model {name} must not be used: {error}"
        else:
            yield f"model {name} {bundle.files[NETWORK].sha256[:12]}"
