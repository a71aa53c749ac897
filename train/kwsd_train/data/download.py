"""Download of two public archives of recordings. The archives are verified, unpacked and kept in a cache."""

from pathlib import Path
from typing import IO, NamedTuple

import platformdirs
import pooch
import requests
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from kwsd.errors import AudioDataError, OutputError, UsageError
from kwsd.log import create_console

CHUNK = 1 << 16
"""Number of bytes that are read at once."""
TIMEOUT_S = 30
"""A download fails after this many seconds without received data."""


class Archive(NamedTuple):
    """URL and checksum of an archive of recordings.

    Parameters
    ----------
    folder : str
        Folder that contains the word folders, relative to the folder where the archive is unpacked.
    """

    url: str
    sha256: str
    folder: str


ARCHIVES = {
    # The publisher of this archive states no checksum. Two independent public projects verify it by this one.
    "mini": Archive(
        "http://storage.googleapis.com/download.tensorflow.org/data/mini_speech_commands.zip",
        "49650f2341b26d886b46b3f4fb8fed59e30300b17550f1ee4a768b3106cf93a0",
        "mini_speech_commands",
    ),
    # This checksum is also in torchaudio's datasets/speechcommands.py and in TensorFlow Datasets' checksums.tsv.
    "speech-commands": Archive(
        "http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
        "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
        ".",
    ),
}


def download_archive(name: str, cache: Path | None = None, archives: dict[str, Archive] = ARCHIVES) -> Path:
    """Download and unpack an archive, unless the cache already contains the archive.

    Parameters
    ----------
    name : str
        A key of `archives`.
    cache : Path, optional
        Folder in which downloaded archives are kept. The default is ``$XDG_CACHE_HOME/kwsd``.

    Returns
    -------
    Path
        Folder that contains the word folders.

    Raises
    ------
    UsageError
        The name of the archive is unknown.
    AudioDataError
        The archive cannot be downloaded, or its checksum is wrong.
    OutputError
        The cache folder cannot be written.
    """
    if name not in archives:
        raise UsageError(f"there is no archive {name!r}: choose {' or '.join(archives)}")
    archive, folder = archives[name], cache or platformdirs.user_cache_path("kwsd")
    file = archive.url.rsplit("/", 1)[1]
    unpacked = file.split(".", 1)[0] if file.endswith(".zip") else file.removesuffix(".tar.gz")
    unpack = pooch.Unzip(extract_dir=unpacked) if file.endswith(".zip") else pooch.Untar(extract_dir=unpacked)
    try:
        pooch.retrieve(
            archive.url,
            f"sha256:{archive.sha256}",
            file,
            folder,
            processor=unpack,
            downloader=_resume_download,
            progressbar=False,
        )
    except requests.RequestException as error:
        raise AudioDataError(
            f"cannot download {archive.url}: {_explain(error)}; the partial download is kept"
        ) from None
    except ValueError:  # pooch raises it when the checksum differs
        raise AudioDataError(f"{archive.url} is not the expected file: its SHA-256 differs") from None
    except OSError as error:
        raise OutputError(f"cannot write to {folder}: {error.strerror or error}") from None
    return folder / unpacked / archive.folder


def _resume_download(url: str, output_file: str, _pooch: object) -> None:
    """Download a file for pooch, and continue a partial download if there is one.

    Pooch's own downloader cannot continue a partial download. Pooch passes a new temporary file for every download.
    Therefore the partial download is kept in a ``.part`` file in the folder of the temporary file.
    """
    part = Path(output_file).with_name(url.rsplit("/", 1)[1] + ".part")
    received = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={received}-"} if received else {}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
        # The server answers "range not satisfiable" when the partial file is complete already.
        if response.status_code != requests.codes.requested_range_not_satisfiable:
            response.raise_for_status()
            appending = response.status_code == requests.codes.partial_content
            with part.open("ab" if appending else "wb") as file:
                _copy_with_bar(response, file, received if appending else 0)
    part.replace(output_file)


def _copy_with_bar(response: requests.Response, file: IO[bytes], received: int) -> None:
    name = TextColumn("{task.description}")
    columns = (name, BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    length = int(response.headers.get("Content-Length", 0))
    with Progress(*columns, console=create_console(stderr=True)) as progress:
        task = progress.add_task(
            str(response.url).rsplit("/", 1)[1], completed=received, total=received + length or None
        )
        for chunk in response.iter_content(CHUNK):
            file.write(chunk)
            progress.advance(task, len(chunk))


def _explain(error: requests.RequestException) -> str:
    if error.response is not None:
        return f"the server answers {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return "the server does not answer"
    return "there is no connection to the server"
