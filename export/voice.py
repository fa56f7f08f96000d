"""Stage 5: checkpoints to ONNX graphs, checked against torch and packed as a voice."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tts_kit import __version__
from tts_kit.checkpoint import Checkpoint, open_checkpoint
from tts_kit.config import AudioConfig, HifiganConfig, StreamConfig
from tts_kit.dump_mels import load_acoustic
from tts_kit.errors import CheckpointError, VoiceError
from tts_kit.export import parity, spoken
from tts_kit.export.graph import OPSET
from tts_kit.export.options import ExportOptions
from tts_kit.export.parity import Models
from tts_kit.export.profiles import exact_graphs, stored_graphs
from tts_kit.models.hifigan import Generator
from tts_kit.plain import fingerprint, from_dict
from tts_kit.runtime import Voice
from tts_kit.text import Frontend, open_frontend
from tts_kit.voice import GRAPHS, VOCODER, Context, VoiceInfo, build_voice, copy_voice, open_voice

logger = logging.getLogger(__name__)


def export_voice(
    acoustic: Path,
    vocoder: Path,
    out: Path,
    *,
    options: ExportOptions,
    stream: StreamConfig | None = None,
    force: bool = False,
) -> VoiceInfo:
    """Exports the checkpoints (or run folders, whose newest is taken) to ``out``: a folder, or one
    file where it ends in ``.voice``.

    ``stream`` is by default that of an imported model, else the usual one. Does nothing where
    ``out`` holds this very voice. Raises CheckpointError for checkpoints that do not fit each other
    and VoiceError if a graph differs from torch.
    """
    tacotron2, hifigan = open_checkpoint(acoustic), open_checkpoint(vocoder)
    if stream is None:
        stream = from_dict(StreamConfig(), tacotron2.meta.get("stream", {}), where="stream.")
    texts = spoken.read_sentences()[: options.sentences]
    inputs = fingerprint(
        *(tacotron2.manifest, hifigan.manifest, stream, __version__, OPSET),
        {key: str(value) for key, value in dataclasses.asdict(options).items()},
    )
    if not force and _holds(out, inputs):
        logger.info("%s is up to date", out)
        return open_voice(out)
    model, frontend = load_acoustic(tacotron2)
    generator = load_generator(hifigan)
    audio = from_dict(AudioConfig(), tacotron2.meta["audio"])
    if audio.mel_settings != from_dict(AudioConfig(), hifigan.meta["audio"]).mel_settings:
        raise CheckpointError(
            f"{acoustic} and {vocoder} were trained with different audio settings: "
            "train both with one configuration"
        )
    models = Models(model, generator, audio, stream)
    exact = exact_graphs(models, debug=options.debug_graphs)
    stored = stored_graphs(exact, models, options)
    write = functools.partial(
        build_voice,
        graphs=stored.graphs,
        license_text=_license_text(options),
        lexicon_text=frontend.lexicon.canonical,
    )
    info = _describe(models, frontend, options, _training(tacotron2, hifigan, inputs))
    info = dataclasses.replace(info, vocoder_profile=stored.storage[VOCODER])
    report, warnings = check_voice(write(info), exact, stored.storage, models, texts)
    report["vocoder_quality"] = stored.vocoder_quality
    warnings = (*warnings, *stored.warnings)
    info = dataclasses.replace(info, parity=report["summary"], warnings=warnings)
    return copy_voice(write(info, parity=report), out)


def check_voice(
    draft: VoiceInfo,
    exact: Mapping[str, bytes],
    storage: Mapping[str, str],
    models: Models,
    texts: Sequence[str],
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """parity.json of a voice, and warnings. The ``exact`` graphs are held to torch, then those that
    the voice has, then sentences as users will hear them: by the runtime, from the very bytes.

    VoiceError where they are too far apart.
    """
    tokens = open_frontend(draft.text, draft.lexicon()).encode(texts[0]).tokens
    exactly = parity.graph_differences(parity.open_graphs(exact), models, tokens)
    has_source = models.generator.source is not None
    parity.require_exact(exactly, has_source=has_source)
    graphs = parity.open_graphs({name: draft.graph_bytes(name) for name in draft.graphs})
    nearly = parity.graph_differences(graphs, models, tokens)
    parity.require_near(nearly, storage, has_source=has_source)
    voice = Voice(draft, {name: graphs[name] for name in GRAPHS})
    sentences = spoken.speak_twice(voice, models, texts)
    warnings = spoken.require_sound(sentences, profile=draft.profile)
    summary = {"graph_max": max(d.max for d in exactly.values()), **spoken.summary(sentences)}
    _log(summary, warnings)
    report = {
        "summary": summary,
        "float32_graphs": parity.to_json(exactly),
        "stored_graphs": parity.to_json(nearly),
        "storage": dict(storage),
        "sentences": spoken.to_json(sentences),
    }
    return report, warnings


def _describe(
    models: Models, frontend: Frontend, options: ExportOptions, training: dict[str, Any]
) -> VoiceInfo:
    acoustic, vocoder = models.tacotron2.config, models.generator.config
    return VoiceInfo(
        name=options.name,
        language=options.language,
        license=options.license,
        authors=options.authors,
        tts_kit=__version__,
        audio=models.audio,
        text=frontend.info,
        acoustic=acoustic,
        vocoder=vocoder,
        stream=models.stream,
        context=Context(acoustic.postnet_context, vocoder.context),
        profile=options.profile,
        vocoder_profile=options.vocoder_profile,
        training=training,
    )


def _training(tacotron2: Checkpoint, hifigan: Checkpoint, inputs: str) -> dict[str, Any]:
    facts: dict[str, Any] = {"inputs": inputs}
    for name, checkpoint in (("tacotron2", tacotron2), ("hifigan", hifigan)):
        facts[f"{name}_stage"] = checkpoint.meta["stage"]
        facts[f"{name}_steps"] = checkpoint.step
        if "kept_of_start" in checkpoint.meta:
            facts[f"{name}_kept_of_start"] = checkpoint.meta["kept_of_start"]
        if origin := checkpoint.meta.get("imported"):
            facts[f"{name}_source"] = f"{origin['source']} {origin['file']}"
    return facts


def _holds(out: Path, inputs: str) -> bool:
    try:
        return bool(open_voice(out).training.get("inputs") == inputs)
    except VoiceError:
        return False


def load_generator(checkpoint: Checkpoint) -> Generator:
    """The trained generator of a checkpoint, weight norm folded, in evaluation mode."""
    meta: dict[str, Any] = checkpoint.meta
    if "vocoder" not in meta:
        raise CheckpointError(f"{checkpoint.folder} is no HiFi-GAN checkpoint")
    config = from_dict(HifiganConfig(), meta["vocoder"])
    audio = from_dict(AudioConfig(), meta["audio"])
    generator = Generator(audio, config)
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


def _log(summary: Mapping[str, Any], warnings: tuple[str, ...]) -> None:
    logger.info("largest error of a float32 graph against torch: %.2g", summary["graph_max"])
    logger.info(
        "%d sentences: %d stop within a step of torch, at most %d steps apart; mel distance %.3g",
        *(summary["sentences"], summary["stop_within_one_step"]),
        *(summary["stop_difference_max"], summary["mel_distance"]),
    )
    for warning in warnings:
        logger.warning("WARNING: %s", warning)
