"""Stage 5: checkpoints to ONNX graphs, checked against torch and packed as a voice."""

from __future__ import annotations

import dataclasses
import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tts_kit import __version__
from tts_kit.checkpoint import Checkpoint, open_checkpoint
from tts_kit.config import (
    AudioConfig,
    HifiganConfig,
    StreamConfig,
    fingerprint,
    from_dict,
)
from tts_kit.dump_mels import load_acoustic
from tts_kit.errors import CheckpointError, VoiceError
from tts_kit.export.graph import OPSET
from tts_kit.export.hifigan import vocoder_graph
from tts_kit.export.parity import Parity, check_parity
from tts_kit.export.tacotron2 import decoder_step_graph, encoder_graph, postnet_graph
from tts_kit.models.hifigan import Generator
from tts_kit.runtime import Voice
from tts_kit.voice import (
    DECODER_STEP,
    ENCODER,
    POSTNET,
    VOCODER,
    Context,
    VoiceInfo,
    read_voice,
    write_voice,
)

logger = logging.getLogger(__name__)

UNTRAINED = "this voice is too little trained: it did not end a sentence by itself"


@dataclass(frozen=True)
class ExportOptions:
    """What a voice says of itself beside its models."""

    name: str = "voice"
    language: str = "en"
    license: str = "as the recordings it was trained on"
    license_file: Path | None = None  # copied into the voice


def export_voice(
    acoustic: Path,
    vocoder: Path,
    out: Path,
    *,
    stream: StreamConfig,
    options: ExportOptions,
    force: bool = False,
) -> VoiceInfo:
    """Exports the checkpoints (or run folders, whose newest is taken) to the folder ``out``.

    Does nothing where ``out`` holds this very voice. Raises CheckpointError for checkpoints that
    do not fit each other and VoiceError if a graph differs from torch.
    """
    tacotron2, hifigan = open_checkpoint(acoustic), open_checkpoint(vocoder)
    inputs = fingerprint(
        *(tacotron2.manifest, hifigan.manifest, stream, __version__, OPSET),
        {key: str(value) for key, value in dataclasses.asdict(options).items()},
    )
    if not force and _holds(out, inputs):
        logger.info("%s is up to date", out)
        return read_voice(out)
    model, frontend = load_acoustic(tacotron2)
    generator = load_generator(hifigan)
    audio = from_dict(AudioConfig(), tacotron2.meta["audio"])
    if audio.mel_settings != from_dict(AudioConfig(), hifigan.meta["audio"]).mel_settings:
        raise CheckpointError(
            f"{acoustic} and {vocoder} were trained with different audio settings: "
            "train both with one configuration"
        )
    info = VoiceInfo(
        name=options.name,
        language=options.language,
        license=options.license,
        tts_kit=__version__,
        audio=audio,
        text=frontend.info,
        acoustic=model.config,
        vocoder=generator.config,
        stream=stream,
        context=Context(model.config.postnet_context, generator.config.context),
        opset=OPSET,
        training={
            "inputs": inputs,
            "tacotron2_steps": tacotron2.step,
            "hifigan_steps": hifigan.step,
            "hifigan_stage": hifigan.meta["stage"],
        },
    )
    graphs = {
        ENCODER: encoder_graph(model),
        DECODER_STEP: decoder_step_graph(model, audio.n_mels),
        POSTNET: postnet_graph(model, audio.n_mels),
        VOCODER: vocoder_graph(generator, audio.n_mels),
    }
    texts = {"license_text": _license_text(options), "lexicon_text": frontend.lexicon.canonical}
    # Checked as users will load it: from a folder, by the runtime.
    with tempfile.TemporaryDirectory() as scratch:
        draft = write_voice(Path(scratch) / "voice", info, graphs, **texts)
        parity = check_parity(Voice.load(draft.folder), model, generator)
    _report(parity)
    ended = all(sentence["status"] == "ok" for sentence in parity.sentences)
    warnings = () if ended else (UNTRAINED,)
    for warning in warnings:
        logger.warning("warning: %s", warning)
    info = dataclasses.replace(info, parity=parity.to_json(), warnings=warnings)
    return write_voice(out, info, graphs, **texts)


def _holds(out: Path, inputs: str) -> bool:
    try:
        return bool(read_voice(out).training.get("inputs") == inputs)
    except VoiceError:
        return False


def load_generator(checkpoint: Checkpoint) -> Generator:
    """The trained generator of a checkpoint, weight norm folded, in evaluation mode."""
    meta: dict[str, Any] = checkpoint.meta
    if "vocoder" not in meta:
        raise CheckpointError(f"{checkpoint.folder} is no HiFi-GAN checkpoint")
    config = from_dict(HifiganConfig(), meta["vocoder"])
    audio = from_dict(AudioConfig(), meta["audio"])
    generator = Generator(audio.n_mels, config)
    generator.load_state_dict(checkpoint.trained("generator"))
    generator.fold_weight_norm()
    return generator.eval()


def _license_text(options: ExportOptions) -> str:
    if options.license_file is None:
        return f"Licence of this voice: {options.license}.\n"
    try:
        return options.license_file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise VoiceError(f"cannot read the licence {options.license_file}: {error}") from error


def _report(parity: Parity) -> None:
    worst = max(parity.errors.values())
    logger.info("largest error of a graph against torch: %.2g", worst)
    for sentence in parity.sentences:
        logger.info(
            "stops at step %d (torch %d), audio error %.2g, %s: %s",
            *(sentence[key] for key in ("steps_onnx", "steps_torch", "audio_error")),
            *(sentence[key] for key in ("status", "text")),
        )
