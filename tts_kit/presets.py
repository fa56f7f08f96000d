"""Sizes of the models that a configuration may name as ``preset``."""

from __future__ import annotations

import dataclasses

from tts_kit.config import HifiganConfig, Tacotron2Config

ACOUSTIC_PRESETS: dict[str, Tacotron2Config] = {
    "tacotron2": Tacotron2Config(),
    "tacotron2-edge": Tacotron2Config(
        embedding_dim=256,
        encoder_dim=256,
        prenet_dim=128,
        attention_rnn_dim=384,
        decoder_rnn_dim=512,
        postnet_dim=256,
        reduction=2,
    ),
}

_V2 = HifiganConfig(channels=128)
_V3 = HifiganConfig(
    upsample_rates=(8, 8, 4),
    upsample_kernels=(16, 16, 8),
    channels=256,
    resblock=2,
    resblock_kernels=(3, 5, 7),
    resblock_dilations=((1, 2), (2, 6), (3, 12)),
)
_EDGE = dataclasses.replace(
    _V3,
    channels=192,
    mpd_channels=(16, 32, 64, 128, 128),
    msd_scales=2,
    msd_channels=(16, 32, 64, 128, 128, 128, 128),
    msd_groups=(1, 4, 8, 8, 8, 8, 1),
)
_EDGE_ISTFT = dataclasses.replace(
    _EDGE, upsample_rates=(8, 8), upsample_kernels=(16, 16), istft_n_fft=16, istft_hop=4
)
VOCODER_PRESETS: dict[str, HifiganConfig] = {
    "v1": HifiganConfig(),
    "v2": _V2,
    "v3": _V3,
    "edge": _EDGE,
    "edge-istft": _EDGE_ISTFT,
    # Scale discriminators would double the time of a step; the STFT loss judges what they do.
    "edge-nsf": dataclasses.replace(
        _EDGE_ISTFT, source_n_fft=1024, mel_correction=True, msd_scales=0
    ),
}
