"""What the vocoder graph carries from one call to the next."""

from __future__ import annotations

from typing import NamedTuple

from tts_kit.config import PITCH_LAYERS, SOURCE_CHANNELS, HifiganConfig


def vocoder_states(config: HifiganConfig, n_mels: int) -> dict[str, tuple[int, int]]:
    """Parts of the vocoder graph's ``state`` in their order: (channels, samples), samples at
    the rate of the layer that reads them. All start as zeros.

    Each layer is computed as soon as its last input is there, so its output lags by what it
    looks ahead; ``delay`` fills the sum of that up to ``wave_context`` whole frames. With a source
    the mel waits for its pitch, and then whoever is first, network or source, for the other.
    """
    widths = [config.channels // 2**i for i in range(len(config.upsample_rates) + 1)]
    longest = max(sum(units) for units in config.unit_reaches)
    lag = vocoder_lags(config).wave
    states: dict[str, tuple[int, int]] = {}
    if config.source_n_fft:
        states |= _source_states(config, n_mels)
        lag += (PITCH_LAYERS + config.source_delay) * config.hop_length
    states["conv_pre"] = (n_mels, 6)
    for i, (rate, kernel) in enumerate(config.upsamplings):
        states[f"upsamplers.{i}"] = (widths[i], -(-kernel // rate) - 1)
        states |= _stage_states(config, i, widths[i + 1], longest)
    states["conv_post"] = (widths[-1], 6)
    if config.istft_hop:  # the window's first sample is 0
        states["inverse_stft"] = (
            config.istft_n_fft + 2,
            config.istft_n_fft // config.istft_hop - 1,
        )
    states["delay"] = (1, config.wave_context * config.hop_length - lag)
    if config.mel_correction:
        states |= _correction_states(config)
    return states


class Lags(NamedTuple):
    """How far signals are behind the mel that the network takes, in samples of the wave."""

    upsampled: tuple[int, ...]  # each, before its residual blocks
    wave: int  # before ``delay``


def vocoder_lags(config: HifiganConfig) -> Lags:
    """Of a stream."""
    longest = max(sum(units) for units in config.unit_reaches)
    upsampled, lag, samples = [], 3, config.hop_length
    for rate, kernel in config.upsamplings:
        samples //= rate
        lag = lag * rate + (kernel - rate) // 2
        upsampled.append(lag * samples)
        lag += longest
    lag += 3
    if config.istft_hop:
        lag = lag * config.istft_hop + (config.istft_n_fft - config.istft_hop) // 2 - 1
    return Lags(tuple(upsampled), lag)


def source_waits(config: HifiganConfig) -> Lags:
    """Samples that a source waits for each of these signals."""
    lags = vocoder_lags(config)
    early = config.source_delay * config.hop_length - config.source_lag
    return Lags(tuple(lag + early for lag in lags.upsampled), lags.wave + early)


def _source_states(config: HifiganConfig, n_mels: int) -> dict[str, tuple[int, int]]:
    """``elapsed`` counts frames from the start on, ``mel`` waits as told above, ``flat`` holds
    pulses and noise until they are shaped, ``overlap`` what a window adds to later samples."""
    widths = [n_mels, *[config.pitch_channels] * (PITCH_LAYERS - 1)]
    waits = source_waits(config)
    paddings = [padding for _, _, padding in config.source_convs]
    kept = [wait + padding for wait, padding in zip(waits.upsampled, paddings, strict=True)]
    return {
        **{f"pitch.convs.{i}": (width, 2) for i, width in enumerate(widths)},
        "elapsed": (1, 1),
        "phase": (1, 1),
        "mel": (n_mels, _mel_frames(config)),
        "excitation": (1, config.source_lag),
        "overlap": (1, config.source_n_fft - config.hop_length),
        "flat": (SOURCE_CHANNELS - 1, config.source_lag),
        "source": (SOURCE_CHANNELS, max(*kept, waits.wave)),
    }


def _mel_frames(config: HifiganConfig) -> int:
    """Of the past, that something still waits for."""
    if config.mel_correction:
        return config.wave_context + config.source_frames
    return PITCH_LAYERS + max(config.source_frames, config.source_delay)


def _correction_states(config: HifiganConfig) -> dict[str, tuple[int, int]]:
    """``wave`` waits for its frames' ends, ``wave_overlap`` is as ``overlap``, and
    ``correction_delay`` fills up to ``context`` whole frames."""
    frames = config.context - config.wave_context
    return {
        "wave": (1, config.source_lag),
        "wave_overlap": (1, config.source_n_fft - config.hop_length),
        "correction_delay": (1, frames * config.hop_length - config.source_lag),
    }


def _stage_states(
    config: HifiganConfig, stage: int, width: int, longest: int
) -> dict[str, tuple[int, int]]:
    """Of the residual blocks after an upsampling. All but the first stage keep their input
    alone and compute what lies between anew: there, with few samples a frame, that would be a
    large share."""
    first, name = stage == 0, f"stages.{stage}"
    samples = [
        longest - sum(units) + 2 * (units[0] if first else sum(units))
        for units in config.unit_reaches
    ]
    states = {name: (width, max(samples))}
    if first:
        for block, units in enumerate(config.unit_reaches):
            for unit, reach in list(enumerate(units))[1:]:
                states[f"{name}.blocks.{block}.{unit}"] = (width, 2 * reach)
    return states


def vocoder_state_size(config: HifiganConfig, n_mels: int) -> int:
    """Numbers in the vocoder graph's ``state``."""
    return sum(channels * n for channels, n in vocoder_states(config, n_mels).values())
