"""Reads, resamples, trims, levels and writes audio; the only user of soundfile, which is loaded
where a file is read or written: who streams speech starts sooner without."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import typing
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from tts_kit.audio_header import AudioError, AudioHeader, read_header
from tts_kit.config import AudioConfig
from tts_kit.errors import DependencyError, OutputError

FloatArray = npt.NDArray[np.float32]

MAX_SECONDS = 60.0  # of one clip
MIN_RATE = 16_000  # Hz, of a recording to train on
PEAK = 0.99  # a levelled clip never passes this
_BYTES_A_SECOND = 384_000 * 2 * 8  # of the fattest format that is read
# Without O_NONBLOCK (absent on Windows) opening a FIFO waits for its writer for ever.
_OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_LEVEL_WINDOW = 0.05  # seconds
_EDGE_WINDOW = 0.02  # seconds; finer, so that the edges of speech are met
_LOUD_RANGE = 25.0  # dB below the loudest window that count as speech


def read_bytes(path: Path, *, max_seconds: float = MAX_SECONDS) -> bytes:
    """Bytes of a regular file that can hold ``max_seconds`` of audio at most.

    Raises AudioError ``missing_wav``, ``not_regular_file`` or ``too_long``; never waits on a FIFO.
    """
    try:
        descriptor = os.open(path, _OPEN_FLAGS)
    except FileNotFoundError:
        raise AudioError("missing_wav", f"{path} does not exist") from None
    except OSError as error:
        raise AudioError("not_regular_file", f"cannot open {path}: {error.strerror}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise AudioError("not_regular_file", f"{path} is not a regular file")
        if status.st_size > max_seconds * _BYTES_A_SECOND:
            raise AudioError("too_long", f"{path} has {status.st_size} bytes; cut it into clips")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read()
    except OSError as error:  # a failing disk
        raise AudioError("damaged", f"cannot read {path}: {error.strerror}") from error
    finally:
        os.close(descriptor)


def read_audio(source: Path | bytes, *, max_seconds: float = MAX_SECONDS) -> tuple[FloatArray, int]:
    """Samples of a WAV or FLAC file as mono float32 ``(T,)``, and the sample rate in Hz.

    Two channels are averaged. The header is checked against the bytes before anything is decoded,
    and the number of samples (in FLAC also their MD5) after it. Raises AudioError.
    """
    data = source if isinstance(source, bytes) else read_bytes(source, max_seconds=max_seconds)
    header = read_header(data)
    if header.seconds > max_seconds:
        raise AudioError("too_long", f"{header.seconds:.1f} s, more than {max_seconds:.0f} s")
    return _decode(data, header).mean(axis=1, dtype=np.float32), header.sample_rate


def load_clip(source: Path | bytes, config: AudioConfig) -> FloatArray:
    """A clip as every stage gets it: mono float32 ``(T,)`` at ``config.sample_rate``, silence
    trimmed at both ends, at ``config.level``. Raises AudioError; DependencyError without soxr."""
    wav, sample_rate = read_audio(source)
    return condition(wav, sample_rate, config)


def condition(wav: FloatArray, sample_rate: int, config: AudioConfig) -> FloatArray:
    """What ``load_clip`` does after reading: ``(T,)`` at ``sample_rate`` in, a clip out."""
    if sample_rate < MIN_RATE:
        raise AudioError("wrong_format", f"{sample_rate} Hz; recordings need {MIN_RATE} Hz or more")
    wav = resample(wav, sample_rate, config.sample_rate)
    return normalize_level(trim_silence(wav, config), config)


def resample(wav: FloatArray, from_rate: int, to_rate: int) -> FloatArray:
    """``(T,)`` at ``from_rate`` Hz to ``(T * to_rate / from_rate,)`` by soxr (HQ)."""
    if from_rate == to_rate:
        return wav
    try:
        import soxr
    except ImportError as error:
        raise DependencyError('resampling needs soxr: pip install "tts-kit[train]"') from error
    return np.asarray(soxr.resample(wav, from_rate, to_rate, quality="HQ"), dtype=np.float32)


def trim_silence(wav: FloatArray, config: AudioConfig) -> FloatArray:
    """``wav`` without the ends that stay ``config.trim`` dB below its loudest 50 ms.

    ``config.trim_margin`` seconds of them are kept. The gain of ``wav`` makes no difference.
    """
    if config.trim is None or len(wav) == 0:
        return wav
    loudest = window_power(wav, config.sample_rate, _LEVEL_WINDOW)[0].max()
    power, starts, width = window_power(wav, config.sample_rate, _EDGE_WINDOW)
    heard = np.flatnonzero(power >= loudest * 10 ** (-config.trim / 10))
    if loudest == 0 or len(heard) == 0:
        return wav
    margin = round(config.trim_margin * config.sample_rate)
    first = max(0, int(starts[heard[0]]) - margin)
    return wav[first : int(starts[heard[-1]]) + width + margin]


def normalize_level(wav: FloatArray, config: AudioConfig) -> FloatArray:
    """``wav`` with its speech at ``config.level`` dBFS; less where the peak would pass 0.99.

    The level is the RMS of the 50 ms windows within 25 dB of the loudest one, so that pauses do
    not count.
    """
    if config.level is None or len(wav) == 0:
        return wav
    rms = speech_rms(wav, config.sample_rate)
    if rms == 0:
        return wav
    gain = min(10 ** (config.level / 20) / rms, PEAK / float(np.abs(wav).max()))
    return (wav * np.float64(gain)).astype(np.float32)


def speech_rms(wav: FloatArray, sample_rate: int) -> float:
    """RMS of the 50 ms windows of ``(T,)`` within 25 dB of the loudest one."""
    power = window_power(wav, sample_rate, _LEVEL_WINDOW)[0]
    return float(np.sqrt(power[power >= power.max() * 10 ** (-_LOUD_RANGE / 10)].mean()))


def window_power(
    wav: FloatArray, sample_rate: int, seconds: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], int]:
    """Mean power of the windows of ``(T,)``, T > 0, that advance by a quarter of their width.

    Returns the powers ``(N,)``, the windows' first samples ``(N,)`` and their width in samples;
    the last window ends with the clip.
    """
    width = min(len(wav), max(4, round(seconds * sample_rate)))
    total = np.concatenate(([0.0], np.cumsum(np.square(wav, dtype=np.float64))))
    starts = np.arange(0, len(wav) - width + 1, max(1, width // 4))
    if starts[-1] != len(wav) - width:
        starts = np.append(starts, len(wav) - width)
    return (total[starts + width] - total[starts]) / width, starts, width


def to_pcm16(wav: FloatArray) -> bytes:
    """``(T,)`` in [-1, 1] as 16-bit little-endian PCM; what lies outside is clipped."""
    assert np.isfinite(wav).all(), "audio must be finite"
    samples: npt.NDArray[np.int16] = np.clip(np.rint(wav * 32767.0), -32768, 32767).astype("<i2")
    return samples.tobytes()


def write_wav(target: Path | BinaryIO, wav: FloatArray, sample_rate: int) -> None:
    """Writes ``(T,)`` as a mono 16-bit WAV file.

    A path is written as by ``write_bytes``.
    """
    import soundfile

    buffer = io.BytesIO()
    samples = np.frombuffer(to_pcm16(wav), dtype="<i2")
    soundfile.write(buffer, samples, sample_rate, format="WAV", subtype="PCM_16")
    if isinstance(target, Path):
        write_bytes(target, buffer.getvalue())
    else:
        target.write(buffer.getvalue())


def write_bytes(target: Path, data: bytes) -> None:
    """Writes an audio file beside itself and renames it: after any failure the old file, or none,
    is there. Raises OutputError."""
    try:
        _write_atomically(target, data)
    except OSError as error:
        raise OutputError(
            f"cannot write {target}: {error.strerror}; choose another place with -o"
        ) from error


def _write_atomically(target: Path, data: bytes) -> None:
    if target.exists() and not target.is_file():
        target.write_bytes(data)  # a device such as /dev/null must not be replaced by a file
        return
    target = target.resolve()  # the file a link points to, not the link
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _decode(data: bytes, header: AudioHeader) -> FloatArray:
    """Float32 ``(T, channels)`` in [-1, 1]; raises AudioError if not as the header says."""
    import soundfile

    integers = header.container == "FLAC"
    try:
        samples: npt.NDArray[Any] = soundfile.read(
            io.BytesIO(data), dtype="int32" if integers else "float32", always_2d=True
        )[0]
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise AudioError("damaged", f"cannot be decoded: {' '.join(str(error).split())}") from error
    if samples.shape != (header.frames, header.channels):
        raise AudioError(
            "damaged", f"{len(samples)} samples decoded, the header claims {header.frames}"
        )
    if not np.isfinite(samples).all():
        raise AudioError("not_finite", "NaN or infinite samples")
    if not integers:
        return typing.cast(FloatArray, samples)
    if any(header.md5):  # zeros: the encoder did not compute it
        width = -(-header.bits // 8)
        plain = (samples >> (32 - header.bits)).astype("<i4").view(np.uint8)
        plain = plain.reshape(*samples.shape, 4)[..., :width]
        if hashlib.md5(plain.tobytes(), usedforsecurity=False).digest() != header.md5:
            raise AudioError("damaged", "the samples do not match the MD5 in the file")
    return (samples / np.float64(2**31)).astype(np.float32)
