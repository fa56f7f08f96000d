"""The post-filter that gives a mel its variance back."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from scipy.fft import dct
from torch import Tensor

from tests.trainings import write_conf
from tts_kit.checkpoint import open_checkpoint
from tts_kit.config import AudioConfig, Tacotron2Config
from tts_kit.config_file import Config
from tts_kit.dump_mels import load_acoustic
from tts_kit.export.quantize import store_as_fp16
from tts_kit.export.tacotron2 import POSTFILTER, postnet_graph
from tts_kit.models.postfilter import (
    MAX_GAIN,
    Postfilter,
    Sharpening,
    VarianceStatistics,
    cosines,
)
from tts_kit.models.tacotron2 import Tacotron2
from tts_kit.training import acoustic
from tts_kit.training.run import RunOptions

BANDS, FRAMES, FLOOR = 20, 400, AudioConfig().silence


def mels(flattened: float) -> tuple[Tensor, Tensor]:
    """Recorded, and predicted with the cepstra from 3 on ``flattened`` times as variable."""
    torch.manual_seed(0)
    cepstra = torch.randn(BANDS, FRAMES, dtype=torch.float64)
    cepstra -= cepstra.mean(dim=1, keepdim=True)
    mean = torch.linspace(-3.0, -6.0, BANDS, dtype=torch.float64).unsqueeze(1)
    factor = torch.ones(BANDS, 1, dtype=torch.float64)
    factor[3:] = flattened
    recorded, predicted = (mean + cosines(BANDS).T @ c for c in (cepstra, factor * cepstra))
    return recorded.float(), predicted.float()


def filter_of(flattened: float, strength: float) -> tuple[Tensor, Tensor, Postfilter]:
    recorded, predicted = mels(flattened)
    statistics = VarianceStatistics(BANDS)
    for part in (slice(0, 150), slice(150, FRAMES)):  # two clips
        statistics.add(recorded[:, part], predicted[:, part])
    return recorded, predicted, Postfilter(statistics.sharpening(strength), FLOOR)


def test_cosines_are_the_orthonormal_transform() -> None:
    np.testing.assert_allclose(
        cosines(BANDS).numpy(), dct(np.eye(BANDS), axis=0, norm="ortho"), atol=1e-12
    )


def test_all_of_the_variance_comes_back() -> None:
    recorded, predicted, postfilter = filter_of(0.6, 1.0)
    assert float((predicted - recorded).abs().max()) > 0.5
    torch.testing.assert_close(postfilter(predicted[None])[0], recorded, rtol=0, atol=1e-3)


def test_strength_cap_and_loudness() -> None:
    _, predicted, half = filter_of(0.5, 0.5)
    deviation = (cosines(BANDS).float() @ half(predicted[None])[0]).std(dim=1)
    before = (cosines(BANDS).float() @ predicted).std(dim=1)
    torch.testing.assert_close(deviation[:3], before[:3])
    torch.testing.assert_close(deviation[3:], before[3:] * 0.5**-0.5, rtol=1e-3, atol=0)
    _, flat, capped = filter_of(0.1, 1.0)
    deviation = (cosines(BANDS).float() @ capped(flat[None])[0]).std(dim=1)
    before = (cosines(BANDS).float() @ flat).std(dim=1)
    torch.testing.assert_close(deviation[3:], before[3:] * MAX_GAIN, rtol=1e-3, atol=0)
    _, _, livelier = filter_of(1.5, 1.0)  # never made flatter
    torch.testing.assert_close(livelier(predicted[None])[0], predicted, rtol=0, atol=1e-4)


def test_nothing_falls_below_silence() -> None:
    _, _, postfilter = filter_of(0.5, 1.0)
    quiet = torch.full((1, BANDS, 3), FLOOR)
    assert float(postfilter(quiet).min()) == pytest.approx(FLOOR)


@pytest.mark.parametrize("fp16", [False, True])
def test_the_graph_filters_as_torch_does(fp16: bool) -> None:
    torch.manual_seed(1)
    config = Tacotron2Config(postnet_layers=2, postnet_dim=8, embedding_dim=8, encoder_dim=8)
    model = Tacotron2(4, BANDS, config).eval()
    mel = 3.0 * torch.randn(1, BANDS, 12) - 6.0
    without = model.postnet(mel)
    model.postnet.postfilter = filter_of(0.5, 1.0)[2]
    graph = postnet_graph(model, BANDS)
    if fp16:
        graph = store_as_fp16(graph, keep=POSTFILTER)
    found = onnxruntime.InferenceSession(graph).run(None, {"mel": mel.numpy()})[0]
    with torch.inference_mode():
        expected = model.postnet(mel).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-3 if fp16 else 1e-5)
    assert np.abs(expected - without.detach().numpy()).max() > 0.5


def test_validation_measures_it_and_the_trained_model_has_it(
    tmp_path: Path, practice_data: Path, tiny_config: Config
) -> None:
    train = {"steps": 2, "validate_every": 2, "checkpoint_every": 1, "keep_checkpoints": 2}
    conf = write_conf(tmp_path / "c.yaml", tiny_config, acoustic={**train, "postfilter": 0.5})
    run = tmp_path / "run"
    acoustic.train(RunOptions(conf, practice_data, run))
    checkpoint = open_checkpoint(run)
    sharpening = Sharpening(**checkpoint.meta["postfilter"])
    assert len(sharpening.mean) == tiny_config.audio.n_mels
    assert max(sharpening.gain) == pytest.approx(MAX_GAIN)  # two steps predict hardly anything
    model, _ = load_acoustic(checkpoint)
    assert model.postnet.postfilter is not None
    mel = torch.randn(1, tiny_config.audio.n_mels, 8) - 5.0
    filtered = model.postnet(mel)
    postfilter, model.postnet.postfilter = model.postnet.postfilter, None
    torch.testing.assert_close(filtered, postfilter(model.postnet(mel)))
