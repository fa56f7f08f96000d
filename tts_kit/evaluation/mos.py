"""Models that guess what listeners would say, behind one small interface."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tts_kit.audio import FloatArray, resample
from tts_kit.errors import UsageError
from tts_kit.evaluation.backends import load_backend

DNSMOS = "dnsmos"
_RATE = 16_000  # Hz, of DNSMOS
_KEYS = {"sig": "sig_mos", "bak": "bak_mos", "ovrl": "ovrl_mos", "p808": "p808_mos"}


class MosModel(Protocol):
    """Scores speech without a reference."""

    name: str  # with its version, for reports

    def score(self, wav: FloatArray, sample_rate: int) -> Mapping[str, float]:
        """Scores of ``wav`` (T,), more is better, by a name each such as ``utmos``; the same names
        for every clip."""
        ...


class Dnsmos:
    """DNSMOS (Reddy et al. 2022, arXiv:2110.01763), with the models of speechmos's wheel.

    Opinions on a scale of 1 to 5: of the speech (SIG), the background (BAK), the whole (OVRL), and
    P.808. It was trained on noisy telephone speech: it hears noise and artefacts, not wrong words.
    """

    def __init__(self) -> None:
        from importlib.metadata import version

        from speechmos import dnsmos

        self.name = f"DNSMOS (speechmos {version('speechmos')})"
        folder = Path(dnsmos.__file__).parent / "dnsmos_models"
        primary, p808 = folder / "sig_bak_ovr.onnx", folder / "model_v8.onnx"
        self._model: Any = dnsmos.DNSMOS(str(primary), str(p808))
        # One thread each: the clips are what runs side by side.
        self._model.onnx_sess = _one_thread(primary)
        self._model.p808_onnx_sess = _one_thread(p808)

    def score(self, wav: FloatArray, sample_rate: int) -> Mapping[str, float]:
        """As ``MosModel``; ``wav`` must not be empty."""
        heard = np.clip(resample(wav, sample_rate, _RATE), -1.0, 1.0)
        assert len(heard), "no samples, no score"  # speechmos would repeat them for ever
        scores = self._model(heard, _RATE, is_personalized_MOS=False)
        return {f"dnsmos_{key}": float(scores[name]) for key, name in _KEYS.items()}


def load_mos(spec: str) -> MosModel:
    """``dnsmos``, or the user's own by ``package.module:factory``."""
    if spec == DNSMOS:
        return Dnsmos()
    model: MosModel = load_backend("--mos", spec, "score")
    return model


def checked(scores: Mapping[str, float], model: str) -> dict[str, float]:
    """``scores`` as plain finite numbers; UsageError where ``model`` gave something else."""
    plain = {str(key): float(value) for key, value in scores.items()}
    if not plain or not all(math.isfinite(value) for value in plain.values()):
        raise UsageError(f"--mos {model} gave {dict(scores)}: it must give finite numbers")
    return plain


def _one_thread(model: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(model), options, ["CPUExecutionProvider"])
