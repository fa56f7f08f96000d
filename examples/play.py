"""Plays a text while it is still being computed.

python examples/play.py VOICE "Good morning."        # needs: pip install sounddevice
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from typing import Any

from tts_kit.errors import DependencyError, TtsKitError
from tts_kit.runtime import Chunk, Voice


def open_output(sample_rate: int) -> Any:
    """A mono output stream of the sound card; its ``write`` waits for room."""
    try:
        import sounddevice
    except ImportError as error:
        raise DependencyError("playing needs sounddevice: pip install sounddevice") from error
    except OSError as error:  # the package is there, the system's library is not
        raise DependencyError(
            "sounddevice finds no PortAudio: apt install libportaudio2 (macOS and Windows have it)"
        ) from error
    try:
        return sounddevice.OutputStream(samplerate=sample_rate, channels=1, dtype="float32")
    except sounddevice.PortAudioError as error:
        raise DependencyError(f"no sound card can be opened: {error}") from error


def play(chunks: Iterable[Chunk], output: Any) -> int:
    """Writes each chunk as it comes; the number of samples. Dropouts are counted aloud."""
    samples = 0
    with output:
        for chunk in chunks:
            if len(chunk.samples) and output.write(chunk.samples[:, None]) and samples:
                print("the sound card ran dry: this machine is too busy", file=sys.stderr)
            samples += len(chunk.samples)
            for word in chunk.words:
                print(word.text, end=" ", flush=True)
    print()
    return samples


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("voice", help="a folder, a .voice file, or a name such as kathleen")
    parser.add_argument("text")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    try:
        voice = Voice.load(chosen.voice)
        with voice.stream(chosen.text, seed=chosen.seed) as stream:
            play(stream, open_output(voice.sample_rate))
    except TtsKitError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
