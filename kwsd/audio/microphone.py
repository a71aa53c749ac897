"""An audio source that reads the microphone through PortAudio."""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from kwsd.audio.convert import Converter
from kwsd.audio.devices import STREAMS, Device, find_device, named_device, portaudio
from kwsd.audio.source import BLOCK_SAMPLES, MAX_BATCH, Block
from kwsd.errors import AudioLostError, AudioUnavailableError
from kwsd.frontend import SAMPLE_RATE

PERIOD_S = BLOCK_SAMPLES / SAMPLE_RATE
"""Seconds between two deliveries of audio by the device, which is the length of one block."""

KEPT_PERIODS = MAX_BATCH - 1
"""Number of periods that the device buffers in addition to the current period. The additional buffer does not increase
the latency, because the reader wakes once per period. With a larger buffer, PulseAudio delivers two periods at a
time."""


class Microphone:
    """An input device that is read with blocking calls instead of a callback.

    If the sound server crashes, a blocking read raises an error, but a callback receives silence forever. A callback
    also needs memory that is both writable and executable, which a hardened service does not allow. See
    docs/decisions/.

    Parameters
    ----------
    device : str
        As for `kwsd.audio.devices.find_device`.
    name : str
        Full name of the device, if only the device with this name may be opened.

    Attributes
    ----------
    rate : int
        Sampling rate at which the device was opened, in hertz.
    channels : int
        Number of channels of the open device. The source mixes the channels to mono.

    Raises
    ------
    AudioUnavailableError
        The device is missing or cannot be opened.
    """

    live = True
    batch = 1

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
                latency=KEPT_PERIODS * PERIOD_S,
            )
        except self._portaudio.PortAudioError as error:
            raise AudioUnavailableError(f"cannot open input device {self.name}: {_reason(error)}") from None
        STREAMS.add(self._stream)
        try:
            self._stream.start()
        except self._portaudio.PortAudioError as error:
            STREAMS.close(self._stream)
            raise AudioUnavailableError(f"cannot start input device {self.name}: {_reason(error)}") from None

    def blocks(self) -> Iterator[Block]:
        """Yield blocks while the device delivers audio; see `kwsd.audio.source.Source.blocks`."""
        try:
            # Until the first sample, PortAudio's own wait keeps a core busy on PulseAudio's ALSA plugin.
            while not (self._closed or self._stream.read_available):
                time.sleep(PERIOD_S)
            while not self._closed:
                yield self._block()
        except self._portaudio.PortAudioError as error:
            raise AudioLostError(f"input device {self.name} is gone: {_reason(error)}") from None
        finally:
            STREAMS.close(self._stream)

    def close(self) -> None:
        """Make `blocks` end after the current block."""
        self._closed = True

    def _block(self) -> Block:
        # A resampler delivers unevenly, up to one block early, so the end of a batch would be uncertain.
        count = self.batch if self.rate == SAMPLE_RATE else 1
        if count > 1:
            # PortAudio's own wait would wake this thread for every block.
            missing = count - self._stream.read_available // self._frames
            time.sleep(max(0, min((missing - 1) * PERIOD_S, self._stream.latency)))
        data, overflowed = self._stream.read(count * self._frames)
        frames = np.frombuffer(data, np.float32).reshape(-1, self.channels)  # (time, channels)
        return Block(self._converter.convert(frames), gap=overflowed, merged=count)

    def _format(self, device: Device) -> tuple[int, int]:
        """Return the best sampling rate and number of channels that the device accepts.

        The best choice is 16 kHz mono.
        """
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
    """Return the error message of the sound system, or that of PortAudio if there is none, without error numbers."""
    of_host = error.args[2][2] if len(error.args) > 2 else ""  # noqa: PLR2004  the third is the host API's own error
    of_portaudio = str(error.args[0]).split(" [PaErrorCode")[0].removeprefix("Error opening InputStream: ")
    return str(of_host) or of_portaudio
