"""What the header of a WAV or FLAC file claims, checked against its bytes before any decoding.

Decoders believe their headers: a damaged WAV is played as other audio, and a few bytes of FLAC
can claim more samples than a machine has memory. So the structure is read here first.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from tts_kit.errors import CorpusError

PCM, FLOAT, EXTENSIBLE = 0x0001, 0x0003, 0xFFFE
_BITS = {PCM: (8, 16, 24, 32), FLOAT: (32, 64)}
_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")  # of every KSDATAFORMAT_SUBTYPE
_MIN_FLAC_FRAME = 10  # bytes: header 6, one constant subframe 2, footer 2
_FLAC_RATES = dict(
    enumerate((88200, 176400, 192000, 8000, 16000, 22050, 24000, 32000, 44100, 48000, 96000), 1)
)
NO_SAMPLES = "no samples"  # the detail of a file that is whole and empty
RATES = (1000, 384_000)  # Hz; beyond these the header itself is broken


class AudioError(CorpusError):
    """A recording that cannot be used; ``code`` is the reason in ``rejects.csv``."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True)
class AudioHeader:
    """Sample format of a file: ``frames`` samples a channel, ``md5`` of a FLAC's samples."""

    container: str  # WAV or FLAC
    sample_rate: int  # Hz
    channels: int
    bits: int
    frames: int
    md5: bytes = b""

    @property
    def seconds(self) -> float:
        return self.frames / self.sample_rate


def read_header(data: bytes) -> AudioHeader:
    """Header of a whole WAV or FLAC file; raises AudioError ``damaged`` or ``wrong_format``."""
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        header = _read_wav(data)
    elif data[:4] == b"fLaC":
        header = _read_flac(data)
    else:
        raise AudioError("wrong_format", "neither WAV nor FLAC; convert it to 16-bit WAV")
    if not RATES[0] <= header.sample_rate <= RATES[1]:
        raise AudioError("damaged", f"the header claims {header.sample_rate} Hz")
    if header.channels not in (1, 2):
        raise AudioError("wrong_format", f"{header.channels} channels; convert it to mono")
    if header.frames == 0:
        raise AudioError("damaged", NO_SAMPLES)
    return header


def _read_wav(data: bytes) -> AudioHeader:
    """Walks the RIFF chunks; they must fill the RIFF form exactly and lie inside the file."""
    end = 8 + int(struct.unpack_from("<I", data, 4)[0])
    if end > len(data):
        raise AudioError("damaged", f"cut short: RIFF claims {end} bytes, the file has {len(data)}")
    chunks: dict[bytes, tuple[int, int]] = {}
    position = 12
    while position < end:
        if position + 8 > end:
            raise AudioError("damaged", f"stray bytes at {position}, after the last RIFF chunk")
        name, size = struct.unpack_from("<4sI", data, position)
        start = position + 8
        if start + size > end:
            raise AudioError("damaged", f"RIFF chunk at byte {position} is longer than the file")
        if any(not 0x20 <= byte <= 0x7E for byte in name) or name in chunks:
            raise AudioError("damaged", f"no valid RIFF chunk at byte {position}")
        chunks[name] = (start, size)
        position = start + size + size % 2
    if b"fmt " not in chunks or b"data" not in chunks:
        raise AudioError("damaged", "no fmt or no data chunk")
    return _wav_format(data, *chunks[b"fmt "], data_size=chunks[b"data"][1])


def _wav_format(data: bytes, start: int, size: int, *, data_size: int) -> AudioHeader:
    if size < 16:
        raise AudioError("damaged", f"fmt chunk of {size} bytes")
    kind, channels, rate, byte_rate, align, bits = struct.unpack_from("<HHIIHH", data, start)
    if kind == EXTENSIBLE and size >= 40:
        kind = int(struct.unpack_from("<H", data, start + 24)[0])
        if data[start + 26 : start + 40] != _GUID_TAIL:
            raise AudioError("wrong_format", "unknown WAVE subformat; convert it to 16-bit WAV")
    if bits not in _BITS.get(kind, ()):
        raise AudioError(
            "wrong_format", f"WAVE format {kind:#x}, {bits} bits; convert it to 16-bit PCM"
        )
    if align != channels * bits // 8 or byte_rate != rate * align or align == 0:
        raise AudioError(
            "damaged", "rate, channels and bits of the fmt chunk contradict each other"
        )
    if data_size % align:
        raise AudioError("damaged", "the data chunk ends inside a sample")
    return AudioHeader("WAV", rate, channels, bits, data_size // align)


def _read_flac(data: bytes) -> AudioHeader:
    """STREAMINFO (RFC 9639, section 8.2): 16 bits least, 16 most block size, then the format."""
    if len(data) < 42 or data[4] & 0x7F != 0 or int.from_bytes(data[5:8], "big") != 34:
        raise AudioError("damaged", "no FLAC STREAMINFO")
    block = int.from_bytes(data[10:12], "big")
    packed = int.from_bytes(data[18:26], "big")
    rate, channels = packed >> 44, (packed >> 41 & 0x7) + 1
    bits, frames = (packed >> 36 & 0x1F) + 1, packed & 0xFFFFFFFFF
    if block < 16 or bits < 8:
        raise AudioError("damaged", "FLAC block size or sample size out of range")
    if frames == 0:
        raise AudioError("damaged", "FLAC of unknown length; write it again with `flac -8`")
    needed = -(-frames // block) * _MIN_FLAC_FRAME
    if len(data) - 42 < needed:
        raise AudioError(
            "damaged", f"{frames} samples need {needed} bytes at least, {len(data) - 42} are there"
        )
    stated = _first_frame_rate(data)
    if stated not in (None, rate):
        raise AudioError("damaged", f"STREAMINFO claims {rate} Hz, the first frame {stated}")
    return AudioHeader("FLAC", rate, channels, bits, frames, md5=data[26:42])


def _first_frame_rate(data: bytes) -> int | None:
    """Rate in the first frame's header (RFC 9639, section 9.1), None where it is not by code."""
    position, last = 4, False
    while not last:
        if position + 4 > len(data):
            raise AudioError("damaged", "a FLAC metadata block is longer than the file")
        last = bool(data[position] & 0x80)
        position += 4 + int.from_bytes(data[position + 1 : position + 4], "big")
    frame = data[position : position + 4]
    if len(frame) < 4 or frame[0] != 0xFF or frame[1] & 0xFE != 0xF8:
        raise AudioError("damaged", f"no FLAC frame at byte {position}, after the metadata")
    return _FLAC_RATES.get(frame[2] & 0x0F)
