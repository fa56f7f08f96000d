"""Checkpoints to export: random ones, and one that reads a text token by token."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from torch import nn

from tts_kit.checkpoint import save_checkpoint
from tts_kit.config import AudioConfig, HifiganConfig, Tacotron2Config
from tts_kit.export.spoken import read_sentences
from tts_kit.models.hifigan import Generator
from tts_kit.models.tacotron2 import Tacotron2
from tts_kit.plain import to_dict
from tts_kit.text import Frontend, load_frontend

AUDIO = AudioConfig()
SHUT = -20.0  # of the gate's bias: it never fires


def lively(model: nn.Module) -> None:
    """Random batch-norm statistics and larger weights: untrained values would hide mistakes."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "prenet" in name or name.endswith("original0"):  # a weight norm's magnitude
                parameter *= 4.0
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.running_mean.uniform_(-0.5, 0.5)  # type: ignore[union-attr, operator]
            module.running_var.uniform_(0.5, 2.0)  # type: ignore[union-attr, operator]


def random_tacotron2(
    acoustic: Tacotron2Config, frontend: Frontend, audio: AudioConfig
) -> Tacotron2:
    """Its gate stays shut."""
    model = Tacotron2(len(frontend.symbols), audio.n_mels, acoustic)
    lively(model)
    with torch.no_grad():
        model.decoder.gate.bias.fill_(SHUT)
    return model.eval()


def reader(acoustic: Tacotron2Config, frontend: Frontend, audio: AudioConfig) -> Tacotron2:
    """A model whose attention goes one token forward at each step, and whose gate fires at the last
    token: sound in every respect but its sound."""
    acoustic = dataclasses.replace(acoustic, attention="dynamic", reduction=4)
    model = random_tacotron2(acoustic, frontend, audio)
    attention, gate = model.decoder.attention, model.decoder.gate
    with torch.no_grad():
        for parameter in attention.parameters():
            parameter.zero_()
        attention.static.weight[0, acoustic.dynamic_kernel // 2 - 1] = 1.0  # the token before
        attention.static_dense.weight[0, 0] = 8.0
        attention.v.weight[0, 0] = 40.0  # more than the prior has against it
        memory = [
            model.encoder(torch.tensor([frontend.encode(s).tokens]))[0] for s in read_sentences()
        ]
        wanted = torch.cat([torch.tensor([-6.0] * (len(m) - 1) + [6.0]) for m in memory])
        rows = torch.cat(memory)
        rows = torch.cat((rows, torch.ones(len(rows), 1)), dim=1)
        fit = torch.linalg.lstsq(rows, wanted[:, None], driver="gelsd").solution[:, 0]
        gate.weight.zero_()
        gate.weight[0, acoustic.decoder_rnn_dim :] = fit[:-1]
        gate.bias.fill_(fit[-1])
    return model


def save_pair(
    folder: Path,
    acoustic: Tacotron2Config,
    vocoder: HifiganConfig,
    audio: AudioConfig = AUDIO,
    *,
    reads: bool = False,
    seed: int = 0,
    hifigan: str = "hifigan",
) -> tuple[Path, Path]:
    """Checkpoints of a random Tacotron2 whose gate stays shut, or of a ``reader``, and of a random
    HiFi-GAN, whose stage is ``hifigan``."""
    torch.manual_seed(seed)
    frontend = load_frontend("en_char")
    model = (reader if reads else random_tacotron2)(acoustic, frontend, audio)
    meta = {"audio": to_dict(audio)}
    save_checkpoint(
        folder / "tacotron2",
        1,
        networks={"tacotron2": model.state_dict()},
        training={},
        meta={
            **meta,
            "stage": "tacotron2",
            "text": to_dict(frontend.info),
            "lexicon": "",
            "acoustic": to_dict(model.config),
        },
        keep=1,
    )
    generator = Generator(audio, vocoder)
    lively(generator)
    save_checkpoint(
        folder / hifigan,
        1,
        networks={"generator": generator.state_dict()},
        training={},
        meta={**meta, "stage": hifigan, "vocoder": to_dict(vocoder)},
        keep=1,
    )
    return folder / "tacotron2", folder / hifigan
