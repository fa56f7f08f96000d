"""How far word times lie from a forced alignment of the same audio.

`python benchmarks/word_times.py CHECKPOINT CORPUS [CLIPS]`: Tacotron 2 hears recordings with
teacher forcing, so that its attention and the aligner (pocketsphinx) speak of the same audio, and
the quality of the voice does not count.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from tts_kit.align import Aligner, AlignmentError
from tts_kit.audio import FloatArray, load_clip
from tts_kit.checkpoint import open_checkpoint
from tts_kit.config import AudioConfig, StreamConfig
from tts_kit.dump_mels import load_acoustic
from tts_kit.forced_alignment import spoken_words
from tts_kit.guards import Block, Guards
from tts_kit.mel import LogMel
from tts_kit.metadata import list_recordings, read_metadata
from tts_kit.models.tacotron2 import Tacotron2
from tts_kit.plain import from_dict
from tts_kit.runtime.chunks import Span
from tts_kit.runtime.words import CallerText, WordClock
from tts_kit.text import Encoded


def times_by_attention(
    alignment: FloatArray, text: CallerText, encoded: Encoded, audio: AudioConfig, reduction: int
) -> dict[Span, tuple[float, float]]:
    """Start and end of each word by the runtime's rules; the key is its span."""
    gate = np.zeros(len(alignment), np.float32)
    block = Block(np.zeros((1, len(alignment)), np.float32), gate, alignment)
    guards = Guards(audio, StreamConfig(), reduction)
    furthest, _, _ = guards.check(block, guards.start())
    clock = WordClock(
        text.words_of(encoded),
        begin=0,
        samples_a_step=float(audio.hop_length * reduction),
        sample_rate=audio.sample_rate,
        position=0,
    )
    clock.reached(furthest)
    end = len(alignment) * reduction * audio.hop_length
    words, _ = clock.pass_to(end, done=True)
    return {word.span: (word.start, word.end) for word in words}


def spans_of(encoded: Encoded, heard: Iterable[Span]) -> dict[Span, Span]:
    """The caller's word of each spoken one, where that is the only one in it."""
    inside = {
        span: [(w.start, w.end) for w in encoded.words if span[0] <= w.start and w.end <= span[1]]
        for span in heard
    }
    return {spoken[0]: span for span, spoken in inside.items() if len(spoken) == 1}


def teacher_forced(model: Tacotron2, tokens: tuple[int, ...], mel: torch.Tensor) -> FloatArray:
    frames = mel.shape[2] // model.config.reduction * model.config.reduction
    lengths = torch.tensor([len(tokens)]), torch.tensor([frames])
    with torch.inference_mode():
        output = model(torch.tensor([tokens]), lengths[0], mel[:, :, :frames], lengths[1])
    result: FloatArray = output.alignment[0].numpy()
    return result


def main() -> None:
    torch.set_num_threads(1)
    checkpoint = open_checkpoint(Path(sys.argv[1]))
    model, frontend = load_acoustic(checkpoint)
    model.eval()
    audio = from_dict(AudioConfig(), checkpoint.meta["audio"])
    log_mel, aligner = LogMel(audio), Aligner()
    corpus, wanted = Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 50
    starts: list[float] = []
    ends: list[float] = []
    clips = 0
    rows, _ = read_metadata(corpus / "metadata.csv")
    recordings = list_recordings(corpus)
    for entry in rows[:: max(1, len(rows) // (wanted + 5))]:
        if clips == wanted:
            break
        wav = load_clip(recordings[entry.id], audio)
        encoded = frontend.encode(entry.normalized)
        try:
            aligned = iter(aligner.align(wav, audio.sample_rate, spoken_words(encoded.normalized)))
        except AlignmentError:
            continue
        text = CallerText(entry.normalized)
        for _ in text:
            pass
        mel = log_mel(torch.from_numpy(wav)[None])
        alignment = teacher_forced(model, encoded.tokens, mel)
        heard = times_by_attention(alignment, text, encoded, audio, model.config.reduction)
        span_of = spans_of(encoded, heard)
        for word in encoded.words:
            spoken = [next(aligned) for _ in spoken_words(word.text)]
            span = span_of.get((word.start, word.end))
            if spoken and span is not None:
                own = heard[span]
                starts.append(own[0] - spoken[0].start)
                ends.append(own[1] - spoken[-1].end)
        clips += 1
    for name, errors in (("start", starts), ("end", ends)):
        sizes = np.abs(errors) * 1e3
        print(
            f"{name}: {len(errors)} words of {clips} clips, error median "
            f"{np.median(sizes):.0f} ms, mean {sizes.mean():.0f}, 90 % below "
            f"{np.quantile(sizes, 0.9):.0f}; bias {np.mean(errors) * 1e3:+.0f}"
        )


if __name__ == "__main__":
    main()
