"""All measures of one clip: the work that a pool of processes shares out."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tts_kit.aligner import Aligner, AlignmentError
from tts_kit.audio import FloatArray, normalize_level, read_audio, resample, trim_silence
from tts_kit.audio_header import NO_SAMPLES, AudioError
from tts_kit.errors import EvaluationError
from tts_kit.evaluation.attention import Attention, attention_failures
from tts_kit.evaluation.backends import NONE
from tts_kit.evaluation.copies import fingerprint_of, similarity
from tts_kit.evaluation.mos import MosModel, checked, load_mos
from tts_kit.evaluation.pitch import pitch_errors
from tts_kit.evaluation.recognizers import Recognizer, load_recognizer
from tts_kit.evaluation.results import ClipResult, Ratio
from tts_kit.evaluation.speaker import Voiceprint, voiceprint
from tts_kit.evaluation.spectra import HEARING, mel_cepstra, mel_cepstral_distortion, warp
from tts_kit.evaluation.word_errors import reference_words, text_errors
from tts_kit.pitch import track_f0

MIN_SECONDS = 0.05  # shorter is no sound
MIN_PEAK = 1e-4  # of full scale; quieter is no sound


@dataclass(frozen=True)
class Sound:
    """A wave in memory: ``wav`` (T,) in [-1, 1] at ``sample_rate`` Hz."""

    wav: FloatArray
    sample_rate: int


Source = Path | Sound  # a WAV or FLAC file, or what would be in it


@dataclass(frozen=True)
class Decoding:
    """How a voice came to a clip, as far as it is known."""

    sentences: tuple[Attention, ...] = ()  # a long text is spoken in several
    seconds: float | None = None  # it took
    first_audio: float | None = None  # seconds until the first sample


@dataclass(frozen=True)
class Ears:
    """Who listens: the back ends as the command line names them, or ``none``."""

    asr: str
    mos: str
    align: bool


@dataclass(frozen=True)
class Job:
    """One clip of one system, and the recording it is held against."""

    system: str
    id: str
    text: str
    source: Source
    reference: Source | None = None
    decoding: Decoding | None = None


@dataclass(frozen=True)
class Likeness:
    """How near a clip is to its recording, and the fingerprints of both."""

    similarity: float
    clip: str
    recording: str


def compare_waves(job: Job) -> Likeness:
    """Of a job with a reference."""
    assert job.reference is not None
    own, other = read_source(job, job.source), read_source(job, job.reference)
    return Likeness(
        similarity(_at_16k(own), _at_16k(other)),
        fingerprint_of(own.wav),
        fingerprint_of(other.wav),
    )


def measure_clip(job: Job, ears: Ears) -> ClipResult:
    """What can be heard in a job's clip by the ``ears`` of this process."""
    sound = read_source(job, job.source)
    wav = normalize_level(_at_16k(sound), HEARING)
    seconds = len(sound.wav) / sound.sample_rate
    heard = has_sound(sound)
    words = reference_words(job.text)
    measures = {"no_sound": Ratio(float(not heard))}
    transcript = not_aligned = None
    if ears.asr != NONE:
        transcript = _recognizer(ears.asr).transcribe(wav, HEARING.sample_rate) if heard else ""
        errors = text_errors(words, reference_words(transcript))
        measures |= {"wer": errors.words, "cer": errors.characters}
    if ears.align:
        not_aligned = _align(wav, words) if heard else "no sound"
        measures["aligned"] = Ratio(float(not_aligned is None))
    if ears.mos != NONE and heard:
        model = _mos_model(ears.mos)
        scores = checked(model.score(wav, HEARING.sample_rate), model.name)
        measures |= {key: Ratio(value) for key, value in scores.items()}
    if job.reference is not None and heard:
        recording = read_source(job, job.reference)
        if not has_sound(recording):
            raise EvaluationError(f"the recording of clip {job.id} has no sound: leave it out")
        measures |= against_recording(sound, recording)
    return ClipResult(job.id, seconds, measures, transcript, not_aligned)


def with_decoding(result: ClipResult, decoding: Decoding | None) -> ClipResult:
    """``result`` with what can be told from how the clip was decoded, if that is known."""
    if decoding is None:
        return result
    measures = {**result.measures, **_decoding_measures(decoding, result.seconds)}
    return replace(result, measures=measures, attention=_faults(decoding.sentences))


def print_voice(job: Job) -> Voiceprint | None:
    """The voice of a job's clip under the clip's id; None where there is too little speech."""
    sound = read_source(job, job.source)
    if not has_sound(sound):
        return None
    return voiceprint(normalize_level(_at_16k(sound), HEARING), job.id)


def against_recording(clip: Sound, recording: Sound) -> dict[str, Ratio]:
    """MCD, log F0 RMSE, voicing error and duration ratio of two clips with sound, silence at the
    ends left out."""
    a, b = (normalize_level(trim_silence(_at_16k(s), HEARING), HEARING) for s in (clip, recording))
    path, distances = warp(mel_cepstra(a), mel_cepstra(b))
    pitch = pitch_errors(track_f0(a, HEARING), track_f0(b, HEARING), path)
    measures = {
        "mcd": Ratio(mel_cepstral_distortion(distances)),
        "voicing_error": pitch.voicing,
        "duration_ratio": Ratio(len(a) / len(b)),
    }
    if pitch.log_f0_rmse is not None:
        measures["log_f0_rmse"] = Ratio(pitch.log_f0_rmse)
    return measures


def has_sound(sound: Sound) -> bool:
    """Whether there is anything to hear."""
    enough = len(sound.wav) >= MIN_SECONDS * sound.sample_rate
    return enough and float(np.abs(sound.wav).max()) >= MIN_PEAK


def read_source(job: Job, source: Source) -> Sound:
    """The wave itself; EvaluationError naming the clip where it cannot be read."""
    if isinstance(source, Path):
        try:
            return Sound(*read_audio(source))
        except AudioError as error:
            if error.detail == NO_SAMPLES:  # a system that said nothing: measured as such
                return Sound(np.zeros(0, np.float32), HEARING.sample_rate)
            raise EvaluationError(f"{job.system}, clip {job.id}: {error}") from error
    if source.wav.ndim != 1 or not np.isfinite(source.wav).all():
        raise EvaluationError(f"{job.system}, clip {job.id}: samples are not one row of numbers")
    return source


def _at_16k(sound: Sound) -> FloatArray:
    return resample(sound.wav, sound.sample_rate, HEARING.sample_rate)


def _align(wav: FloatArray, words: list[str]) -> str | None:
    """Why the words are not found in the wave; None where they are."""
    try:
        _aligner().align(wav, HEARING.sample_rate, words)
    except AlignmentError as error:
        return str(error)
    return None


def _decoding_measures(decoding: Decoding, seconds: float) -> dict[str, Ratio]:
    measures: dict[str, Ratio] = {}
    if decoding.sentences:
        found = [attention_failures(sentence) for sentence in decoding.sentences]
        measures = {
            "skip": Ratio(float(any(f.skipped for f in found))),
            "repeat": Ratio(float(any(f.repeated for f in found))),
            "stall": Ratio(float(any(f.stalled for f in found))),
            "no_stop": Ratio(float(any(f.no_stop for f in found))),
        }
    if decoding.seconds is not None and seconds > 0:
        measures["rtf"] = Ratio(decoding.seconds, seconds)
    if decoding.first_audio is not None:
        measures["first_audio"] = Ratio(decoding.first_audio)
    return measures


def _faults(sentences: Sequence[Attention]) -> tuple[str, ...]:
    lines: list[str] = []
    for number, sentence in enumerate(sentences, start=1):
        found = attention_failures(sentence)
        where = f"sentence {number}, " if len(sentences) > 1 else ""
        named = [f"word {i} ({name})" for i, name in enumerate(sentence.names, start=1)]
        lines += [f"{where}{named[word]} skipped" for word in found.skipped]
        lines += [f"{where}{named[word]} repeated" for word in found.repeated]
        lines += [f"{where}stall at token {token}" for token in found.stalled]
        lines += [f"{where}no stop"] * found.no_stop
    return tuple(lines)


@functools.cache
def _recognizer(spec: str) -> Recognizer:
    return load_recognizer(spec)


@functools.cache
def _mos_model(spec: str) -> MosModel:
    return load_mos(spec)


@functools.cache
def _aligner() -> Aligner:
    return Aligner(independent=True)
