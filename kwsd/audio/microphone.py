"""A microphone as a source, through PortAudio."""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from kwsd.audio.convert import Converter
from kwsd.audio.devices import Device, find_device, in_use, lock, named_device, portaudio
from kwsd.audio.source import BLOCK_SAMPLES, Block
from kwsd.errors import AudioLostError, AudioUnavailableError
from kwsd.frontend import SAMPLE_RATE

PERIOD_S = BLOCK_SAMPLES / SAMPLE_RATE
"""How often the device hands over what it has, which wakes two threads: once a block, as its last sample arrives."""

KEPT = 3
"""Periods that the device keeps for a thread that sleeps, besides the one in progress. No audio comes later for it: the
thread is woken once a period. Where it is more, PulseAudio hands over two periods at a time."""

MISSED_S = 1.0
"""Seconds without audio after which what comes is handed over at once: somebody may wait for it."""


class Microphone:
    """An input device, read in blocking calls.

    A callback would go on in silence when the sound server dies; a blocking read raises. It also needs no memory that
    is both writable and executable, which a hardened service may not have.

    Parameters
    ----------
    device : str
        As for `kwsd.audio.devices.find_device`.
    name : str
        Without it, any name will do.

    Attributes
    ----------
    rate : int
        At which the device was opened, in hertz.
    channels : int

    Raises
    ------
    AudioUnavailableError
        There is no such device, or it cannot be opened.
    """

    live = True
    joined = 1
    active_s = 0.0

    def __init__(self, device: str, name: str = "") -> None:
        self._portaudio = portaudio()
        found = named_device(name) if name else find_device(device)
        self.name = found.name
        self._closed = False
        self.rate, self.channels = self._format(found)
        self._converter = Converter(self.rate)
        self._frames = round(BLOCK_SAMPLES * self.rate / SAMPLE_RATE)
        try:
            self._stream = self._portaudio.RawInputStream(
                samplerate=self.rate,
                blocksize=round(PERIOD_S * self.rate),
                device=found.index,
                channels=self.channels,
                dtype="float32",
                latency=KEPT * PERIOD_S,
            )
            self._stream.start()
            in_use.add(self._stream)
        except self._portaudio.PortAudioError as error:
            raise AudioUnavailableError(f"cannot open input device {self.name}: {_reason(error)}") from None

    def blocks(self) -> Iterator[Block]:
        """Blocks for as long as the device delivers; see `kwsd.audio.source.Source.blocks`."""
        try:
            # Until the first sample comes, PortAudio's own wait would keep a core busy where ALSA leads to PulseAudio.
            while not (self._closed or self._stream.read_available):
                time.sleep(PERIOD_S)
            while not self._closed:
                yield self._block()
        except self._portaudio.PortAudioError as error:
            raise AudioLostError(f"input device {self.name} is gone: {_reason(error)}") from None
        finally:
            with lock:
                in_use.discard(self._stream)
                self._stream.close(ignore_errors=True)

    def close(self) -> None:
        """Stop after the block in progress."""
        self._closed = True

    def _block(self) -> Block:
        # Resampled audio comes unevenly, up to a block sooner than what is joined allows for.
        wanted = self.joined if self.rate == SAMPLE_RATE else 1
        read, joined = [], 0
        while True:
            count = min(wanted - joined, KEPT + 1)
            before_s = self.active_s
            data, overflowed = self._read(count)
            self.active_s = time.monotonic()
            read.append(data)
            joined += count
            # As bytes: a fraction of what it takes to look at numbers, three times a second for hours.
            sound = data != bytes(len(data))
            if joined == wanted or sound or overflowed or self._closed or self.active_s > before_s + MISSED_S:
                break
        frames = np.frombuffer(b"".join(read), np.float32).reshape(-1, self.channels)
        return Block(self._converter.convert(frames), gap=overflowed, joined=joined)

    def _read(self, blocks: int) -> tuple[bytes, bool]:
        """So many blocks, and whether audio was lost before them."""
        if blocks > 1:
            # PortAudio's own wait would wake this thread for every block; the device keeps what comes.
            missing = blocks - self._stream.read_available // self._frames
            time.sleep(max(0, min((missing - 1) * PERIOD_S, self._stream.latency)))
        data, overflowed = self._stream.read(blocks * self._frames)
        return data[:], overflowed

    def _format(self, device: Device) -> tuple[int, int]:
        """The best rate and number of channels that the device accepts: first of all, 16 kHz mono."""
        error: Exception | None = None
        for channels in (1, device.channels):
            for rate in (SAMPLE_RATE, device.rate):
                try:
                    self._portaudio.check_input_settings(device.index, channels, np.float32, samplerate=rate)
                except self._portaudio.PortAudioError as refused:
                    error = refused
                else:
                    return rate, channels
        raise AudioUnavailableError(f"cannot open input device {device.name}: {_reason(error)}")


def _reason(error: Any) -> str:  # noqa: ANN401  sounddevice has no type information
    """What the sound system says is wrong, or else what PortAudio makes of it, without its numbers."""
    of_host = error.args[2][2] if len(error.args) > 2 else ""  # noqa: PLR2004  the third is the host API's own error
    of_portaudio = str(error.args[0]).split(" [PaErrorCode")[0].removeprefix("Error opening InputStream: ")
    return str(of_host) or of_portaudio
