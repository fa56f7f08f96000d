"""Starting from another model: its symbols sorted into ours, and parts kept as they are."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from torch import Tensor, nn

from tts_kit.checkpoint import Checkpoint
from tts_kit.errors import CheckpointError, ConfigError
from tts_kit.models.tacotron2 import Tacotron2, cut_projection

logger = logging.getLogger(__name__)

EMBEDDING = "encoder.embedding.weight"


def acoustic_weights(
    checkpoint: Checkpoint, model: Tacotron2, symbols: Sequence[str]
) -> dict[str, Tensor]:
    """Weights of a Tacotron2 checkpoint with the embedding's rows in the order of ``symbols``.

    A symbol that the checkpoint lacks keeps the row that ``model`` has, and the log names it.
    """
    rows = model.decoder.projection.out_features
    weights = cut_projection(checkpoint.trained("tacotron2"), rows)
    own = {symbol: row for row, symbol in enumerate(checkpoint.meta["text"]["symbols"])}
    theirs, ours = weights[EMBEDDING], model.state_dict()[EMBEDDING].detach().clone()
    if theirs.shape[1] != ours.shape[1]:
        return weights  # of another size altogether: loading them says so
    new = [symbol for symbol in symbols if symbol not in own]
    if len(new) == len(symbols):
        raise CheckpointError(f"{checkpoint.folder} shares no symbol with this text front end")
    for row, symbol in enumerate(symbols):
        if symbol in own:
            ours[row] = theirs[own[symbol]]
    if new:
        logger.warning(
            "%d of %d symbols are new to %s: %s",
            *(len(new), len(symbols), checkpoint.folder, " ".join(new)),
        )
    return {**weights, EMBEDDING: ours}


class Frozen:
    """The parts of a model, named by prefixes, that training leaves as they are."""

    def __init__(self, model: nn.Module, prefixes: Sequence[str]) -> None:
        """ConfigError where a prefix names nothing, or where nothing is left to train."""
        self._norms: list[nn.Module] = []
        for prefix in prefixes:
            names = [n for n, _ in model.named_parameters() if _within(n, prefix)]
            if not names:
                parts = ", ".join(name for name, _ in model.named_children())
                raise ConfigError(
                    f"train.*.freeze: the model has no {prefix!r}; it has {parts} and their parts"
                )
            for name in names:
                model.get_parameter(name).requires_grad_(False)
            self._norms += [
                module
                for name, module in model.named_modules()
                if _within(name, prefix) and isinstance(module, nn.modules.batchnorm._BatchNorm)
            ]
        if not trained_parameters(model):
            raise ConfigError("train.*.freeze leaves nothing to train")
        if prefixes:
            count = sum(p.numel() for p in model.parameters() if not p.requires_grad)
            logger.info("%.2f M parameters are frozen: %s", count / 1e6, " ".join(prefixes))

    def keep(self) -> None:
        """To be called after ``model.train()``: frozen batch norm goes on as in evaluation."""
        for module in self._norms:
            module.eval()


def trained_parameters(model: nn.Module) -> list[nn.Parameter]:
    """Parameters that are not frozen."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def _within(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(f"{prefix}.")
