"""The two upstream archives of recordings: fetched once, checked, unpacked and kept."""

from pathlib import Path
from typing import IO, NamedTuple

import platformdirs
import pooch
import requests
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from kwsd.errors import AudioDataError, OutputError, UsageError

CHUNK = 1 << 16
TIMEOUT_S = 30


class Archive(NamedTuple):
    """Where an archive lies, what it must be, and which of its folders holds the words.

    Parameters
    ----------
    url : str
    sha256 : str
    folder : str
        Below the place where the archive is unpacked.
    """

    url: str
    sha256: str
    folder: str


ARCHIVES = {
    # Upstream publishes no checksum. This one is stated, independently, by two public projects that verify the archive.
    "mini": Archive(
        "http://storage.googleapis.com/download.tensorflow.org/data/mini_speech_commands.zip",
        "49650f2341b26d886b46b3f4fb8fed59e30300b17550f1ee4a768b3106cf93a0",
        "mini_speech_commands",
    ),
    # The checksum is the one in torchaudio's datasets/speechcommands.py and in TensorFlow Datasets' checksums.tsv.
    "speech-commands": Archive(
        "http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
        "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
        ".",
    ),
}


def download(name: str, cache: Path | None = None, archives: dict[str, Archive] = ARCHIVES) -> Path:
    """Fetch and unpack an archive, or find it where an earlier call left it.

    Parameters
    ----------
    name : str
        A key of `archives`.
    cache : Path, optional
        Where archives are kept; ``$XDG_CACHE_HOME/kwsd`` without it.

    Returns
    -------
    Path
        The folder of word folders.

    Raises
    ------
    UsageError
        There is no such archive.
    AudioDataError
        It cannot be fetched, or what was fetched is not what it must be.
    OutputError
        The cache cannot be written.
    """
    if name not in archives:
        raise UsageError(f"there is no archive {name!r}; there are {' and '.join(archives)}")
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
            downloader=_fetch,
            progressbar=False,
        )
    except requests.RequestException as error:
        raise AudioDataError(f"cannot download {archive.url}: {_reason(error)}; what has arrived is kept") from None
    except ValueError:  # pooch's word for another checksum
        raise AudioDataError(f"{archive.url} is not the file it should be: its SHA-256 differs") from None
    except OSError as error:
        raise OutputError(f"cannot write to {folder}: {error.strerror or error}") from None
    return folder / unpacked / archive.folder


def _fetch(url: str, output_file: str, _pooch: object) -> None:
    """Pooch's downloader: goes on where an earlier one stopped, which pooch's own does not.

    Pooch asks for a new temporary file each time, so the bytes gather in a ``.part`` file beside it.
    """
    part = Path(output_file).with_name(url.rsplit("/", 1)[1] + ".part")
    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
        if response.status_code != requests.codes.requested_range_not_satisfiable:  # then the file is complete
            response.raise_for_status()
            appending = response.status_code == requests.codes.partial_content
            with part.open("ab" if appending else "wb") as file:
                _copy(response, file, have if appending else 0)
    part.replace(output_file)


def _copy(response: requests.Response, file: IO[bytes], have: int) -> None:
    name = TextColumn("{task.description}")
    columns = (name, BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    length = int(response.headers.get("Content-Length", 0))
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(str(response.url).rsplit("/", 1)[1], completed=have, total=have + length or None)
        for chunk in response.iter_content(CHUNK):
            file.write(chunk)
            progress.advance(task, len(chunk))


def _reason(error: requests.RequestException) -> str:
    if error.response is not None:
        return f"the server answers {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return "the server does not answer"
    return "there is no connection to the server"
