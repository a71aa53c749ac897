"""Plays samples through the default output device."""

from kwsd.audio.devices import portaudio
from kwsd.errors import AudioUnavailableError
from kwsd.frontend import SAMPLE_RATE, Float32


def play(samples: Float32) -> None:
    """Play the samples, and return when the playback has ended.

    Parameters
    ----------
    samples : ndarray, shape (n,), float32 in [-1, 1], 16 kHz mono

    Raises
    ------
    AudioUnavailableError
        PortAudio is missing, or none of the devices can play sound.
    """
    library = portaudio()
    try:
        library.play(samples, SAMPLE_RATE, blocking=True)
    except library.PortAudioError as error:
        raise AudioUnavailableError(f"cannot play through the default device: {error}") from None
