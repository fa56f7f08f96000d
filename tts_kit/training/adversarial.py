"""The two sides of adversarial training: whose gradients come of which judgement."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import cached

from tts_kit.losses import adversarial_loss, discriminator_loss, feature_matching_loss
from tts_kit.models.discriminators import Judgement


def discriminators_side(discriminators: Any, real: Tensor, fake: Tensor) -> Tensor:
    """What the discriminators minimize (HiFi-GAN equation 1); nothing flows back into ``fake``.

    ``discriminators`` is called once, for both kinds of wave (B, T): the wrapper of distributed
    training must see one forward for one backward.
    """
    both: list[Judgement] = discriminators(torch.cat((real, fake.detach())))
    n = len(real)
    return discriminator_loss(
        [Judgement(j.score[:n], [f[:n] for f in j.features]) for j in both],
        [Judgement(j.score[n:], [f[n:] for f in j.features]) for j in both],
    )


def generators_side(discriminators: nn.Module, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Adversarial and feature matching loss (HiFi-GAN equations 2 and 4) of ``fake`` (B, T).

    ``discriminators`` come without their distributed wrapper, whose hooks expect every gradient:
    here they get none, nor do the recordings, for which half of the backward pass is saved.
    """
    discriminators.requires_grad_(False)
    with cached():  # both see the same weights: spectral norm moves at every evaluation
        with torch.no_grad():
            judged_real = discriminators(real)
        judged = discriminators(fake)
    discriminators.requires_grad_(True)
    return adversarial_loss(judged), feature_matching_loss(judged_real, judged)
