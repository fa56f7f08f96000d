"""What the vocoder graph carries from one call to the next."""

from __future__ import annotations

from tts_kit.config import HifiganConfig


def vocoder_states(config: HifiganConfig, n_mels: int) -> dict[str, tuple[int, int]]:
    """Parts of the vocoder graph's ``state`` in their order: (channels, samples), samples at
    the rate of the layer that reads them. All start as zeros.

    Each layer is computed as soon as its last input is there, so its output lags by what it
    looks ahead; ``delay`` fills the sum of that up to ``context`` whole frames.
    """
    widths = [config.channels // 2**i for i in range(len(config.upsample_rates) + 1)]
    longest = max(sum(units) for units in config.unit_reaches)
    states, lag = {"conv_pre": (n_mels, 6)}, 3
    for i, (rate, kernel) in enumerate(config.upsamplings):
        states[f"upsamplers.{i}"] = (widths[i], -(-kernel // rate) - 1)
        states |= _stage_states(config, i, widths[i + 1], longest)
        lag = lag * rate + (kernel - rate) // 2 + longest
    states["conv_post"] = (widths[-1], 6)
    lag += 3
    if config.istft_hop:  # the window's first sample is 0
        states["inverse_stft"] = (
            config.istft_n_fft + 2,
            config.istft_n_fft // config.istft_hop - 1,
        )
        lag = lag * config.istft_hop + (config.istft_n_fft - config.istft_hop) // 2 - 1
    states["delay"] = (1, config.context * config.hop_length - lag)
    return states


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
