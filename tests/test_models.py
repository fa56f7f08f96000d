import dataclasses
import re

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from tts_kit.config import AudioConfig, HifiganConfig, Tacotron2Config
from tts_kit.config_file import Config
from tts_kit.losses import tacotron2_losses
from tts_kit.models.attention import AttentionState, LocationAttention
from tts_kit.models.discriminators import Discriminators, PeriodDiscriminator
from tts_kit.models.hifigan import Generator, vocode
from tts_kit.models.tacotron2 import Prenet, Tacotron2, Tacotron2Output, length_mask
from tts_kit.presets import VOCODER_PRESETS
from tts_kit.voice import decoder_state

MELS, SYMBOLS = 5, 11
SILENCE = AudioConfig().silence


def lively(model: nn.Module) -> None:
    """Larger weights and other batch statistics than at the start of training, where attention
    is uniform and many a mistake would leave no trace."""
    torch.manual_seed(1)
    for name, module in model.named_modules():
        if isinstance(module, nn.BatchNorm1d):
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
        if isinstance(module, nn.Linear) and "attention" in name:
            module.weight.data.mul_(8.0)


@pytest.fixture(params=[1, 2, 3])
def model(request: pytest.FixtureRequest, tiny_config: Config) -> Tacotron2:
    """Tacotron2 in evaluation mode; without dropout in the prenet it is deterministic."""
    config = dataclasses.replace(
        tiny_config.acoustic, reduction=request.param, prenet_dropout=0.0, rnn_dropout=0.5
    )
    torch.manual_seed(0)
    model = Tacotron2(SYMBOLS, MELS, config)
    lively(model)
    return model.eval()


def sentence(length: int, frames: int, seed: int) -> tuple[Tensor, Tensor]:
    """Tokens (1, L) and mel (1, MELS, F)."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(1, SYMBOLS, (1, length), generator=generator)
    return tokens, 2 * torch.randn(1, MELS, frames, generator=generator)


def whole(model: Tacotron2, tokens: Tensor, mel: Tensor) -> Tacotron2Output:
    output: Tacotron2Output = model(
        tokens, torch.tensor([tokens.shape[1]]), mel, torch.tensor([mel.shape[2]])
    )
    return output


@torch.no_grad()
def test_teacher_forcing_equals_the_steps_one_by_one(model: Tacotron2) -> None:
    reduction, steps = model.config.reduction, 9
    tokens, mel = sentence(7, steps * reduction, seed=2)
    expected = whole(model, tokens, mel)
    assert float(expected.alignment.std()) > 0.05, "a flat attention would hide mistakes"
    memory = model.encoder(tokens)
    processed = model.decoder.attention.memory(memory)
    masks = torch.ones(model.config.prenet_layers, 1, model.config.prenet_dim)
    state, frame = model.decoder.initial_state(memory), torch.zeros(1, MELS)
    mels, gates, alignment = [], [], []
    for step in range(steps):
        predicted, gate, state = model.decoder.step(frame, masks, memory, processed, state)
        mels.append(predicted)
        gates.append(gate)
        alignment.append(state.attention_weights)
        frame = mel[:, :, (step + 1) * reduction - 1]  # the last one of the step
    tight = {"rtol": 0, "atol": 1e-5}
    torch.testing.assert_close(torch.cat(mels, dim=2), expected.mel, **tight)
    torch.testing.assert_close(torch.stack(gates, dim=1), expected.gate, **tight)
    torch.testing.assert_close(torch.stack(alignment, dim=1), expected.alignment, **tight)
    torch.testing.assert_close(model.postnet(expected.mel), expected.refined, **tight)
    total = expected.alignment.sum(dim=1)
    torch.testing.assert_close(state.attention_cumulative, total, **tight)


def test_scheduled_sampling_feeds_frames_of_a_first_pass(model: Tacotron2) -> None:
    tokens, mel = sentence(7, 9 * model.config.reduction, seed=2)
    lengths = torch.tensor([tokens.shape[1]]), torch.tensor([mel.shape[2]])

    def sampled(share: float) -> Tacotron2Output:
        output: Tacotron2Output = model(
            tokens, lengths[0], mel, lengths[1], scheduled_sampling=share
        )
        return output

    close = {"rtol": 0, "atol": 1e-6}
    first = whole(model, tokens, mel).mel.detach()
    torch.testing.assert_close(sampled(0.0).mel, first, **close)
    own, expected = sampled(1.0).mel, whole(model, tokens, first).mel
    torch.testing.assert_close(own, expected, **close)
    assert (own - first).abs().max() > 1e-4, "the first pass is fed back without a trace"
    some = sampled(0.5).mel
    assert not torch.equal(some, own) and not torch.equal(some, first)
    weight = model.decoder.prenet.layers[0].weight  # no gradient comes through the first pass
    gradients = [torch.autograd.grad(mel.square().sum(), weight)[0] for mel in (own, expected)]
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_padded_batch_equals_its_single_sentences(model: Tacotron2) -> None:
    reduction = model.config.reduction
    sizes = [(6, 5 * reduction), (11, 8 * reduction - (reduction > 1))]  # tokens, frames
    tokens = torch.zeros(2, 13, dtype=torch.long)
    mel = torch.full((2, MELS, 10 * reduction), SILENCE)
    singles = []
    for row, (length, frames) in enumerate(sizes):
        alone, sound = sentence(length, frames, seed=row)
        tokens[row, :length], mel[row, :, :frames] = alone[0], sound[0]
        up = -(-frames // reduction) * reduction
        whole_steps = mel[row : row + 1, :, :up]
        lengths = torch.tensor([length]), torch.tensor([frames])
        singles.append(model(alone, lengths[0], whole_steps, lengths[1]))
    token_lengths, mel_lengths = torch.tensor(sizes).unbind(dim=1)
    for rubbish in (False, True):
        if rubbish:  # whatever padding holds
            for row, (length, frames) in enumerate(sizes):
                tokens[row, length:] = 3
                mel[row, :, -(-frames // reduction) * reduction :] = 7.0
        output = model(tokens, token_lengths, mel, mel_lengths)
        for row, (length, frames) in enumerate(sizes):
            steps, single = -(-frames // reduction), singles[row]
            close = {"rtol": 0, "atol": 1e-5}
            torch.testing.assert_close(
                output.mel[row, :, :frames], single.mel[0, :, :frames], **close
            )
            torch.testing.assert_close(
                output.refined[row, :, :frames], single.refined[0, :, :frames], **close
            )
            torch.testing.assert_close(output.gate[row, :steps], single.gate[0], **close)
            torch.testing.assert_close(
                output.alignment[row, :steps, :length], single.alignment[0], **close
            )
            assert float(output.alignment[row, :, length:].abs().max()) == 0.0


@torch.no_grad()
def test_the_encoder_minds_the_lengths(model: Tacotron2) -> None:
    tokens, _ = sentence(9, 4, seed=0)
    alone = model.encoder(tokens[:, :5])
    padded = model.encoder(tokens, torch.tensor([5]))
    assert alone.shape == (1, 5, model.config.encoder_dim)
    assert padded.shape == (1, 9, model.config.encoder_dim)
    torch.testing.assert_close(padded[:, :5], alone, rtol=0, atol=1e-5)
    assert float(padded[:, 5:].abs().max()) == 0.0
    assert float((model.encoder(tokens)[:, :5] - alone).abs().max()) > 1e-3  # padding does tell


@torch.no_grad()
def test_attention_follows_the_papers_formula() -> None:
    torch.manual_seed(0)
    attention = LocationAttention(6, 4, 8, filters=3, kernel=5)
    query, memory = torch.randn(2, 6), torch.randn(2, 7, 4)
    last, total = torch.rand(2, 2, 7).unbind()
    padding = ~length_mask(torch.tensor([7, 5]), 7)
    found = attention(
        query,
        memory,
        attention.memory(memory),
        AttentionState(last, total, torch.zeros(2, 4)),
        kernel=attention.location_kernel(),
        padding=padding,
    )
    location = attention.location_conv(torch.stack((last, total), dim=1)).transpose(1, 2)
    hidden = attention.query(query).unsqueeze(1) + attention.memory(memory)
    scores = attention.v(torch.tanh(hidden + attention.location_dense(location))).squeeze(2)
    weights = torch.softmax(scores.masked_fill(padding, -torch.inf), dim=1)
    torch.testing.assert_close(found.weights, weights)
    torch.testing.assert_close(found.cumulative, total + weights)
    torch.testing.assert_close(found.context, torch.einsum("bl,ble->be", weights, memory))


def test_states_are_those_of_the_voice(model: Tacotron2) -> None:
    state = model.decoder.initial_state(model.encoder(sentence(8, 1, seed=0)[0]))
    sizes = {name: value.shape[1] for name, value in state._asdict().items()}
    assert sizes.pop("attention_weights") == sizes.pop("attention_cumulative") == 8
    assert {"frame": MELS, **sizes} == decoder_state(model.config, MELS)
    assert all(float(value.detach().abs().sum()) == 0.0 for value in state)


def test_gradients_reach_every_parameter(model: Tacotron2) -> None:
    tokens = torch.arange(SYMBOLS).unsqueeze(0)
    lengths = torch.tensor([SYMBOLS]), torch.tensor([12])
    mel = torch.randn(1, MELS, 12)
    losses = tacotron2_losses(
        model(tokens, lengths[0], mel, lengths[1]),
        mel,
        lengths[1],
        lengths[0],
        reduction=model.config.reduction,
        gate_weight=8.0,
        guided_sigma=0.3,
        guided_tokens=2.5,
    )
    sum(losses[:4]).backward()  # type: ignore[union-attr]
    missed = [
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().sum() > 0
    ]
    assert missed == []


def test_training_under_bfloat16_stays_near_float32(model: Tacotron2) -> None:
    tokens, mel = sentence(7, 12, seed=0)
    expected = whole(model, tokens, mel)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = whole(model, tokens, mel)
    assert output.alignment.dtype == torch.float32
    torch.testing.assert_close(output.alignment, expected.alignment, rtol=0, atol=0.1)
    output.refined.float().square().mean().backward()
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters() if p.grad is not None)


def test_prenet_dropout_stays_on_at_inference_and_masks_replace_it() -> None:
    torch.manual_seed(0)
    prenet = Prenet(MELS, 64, 2, dropout=0.5).eval()
    frames = torch.randn(3, MELS)
    assert not torch.equal(prenet(frames), prenet(frames))
    masks = 2.0 * (torch.rand(2, 3, 64) < 0.5)
    first = torch.relu(prenet.layers[0](frames)) * masks[0]
    second = torch.relu(prenet.layers[1](first)) * masks[1]
    torch.testing.assert_close(prenet(frames, masks), second)
    dropped = (prenet(frames.repeat(200, 1)) == 0).float().mean()
    kept = (prenet(frames.repeat(200, 1), torch.ones(2, 1, 64)) == 0).float().mean()
    assert float(dropped) == pytest.approx(float(kept) / 2 + 0.5, abs=0.1)


def test_rnn_dropout_belongs_to_training(model: Tacotron2) -> None:
    tokens, mel = sentence(7, 12, seed=0)
    with torch.no_grad():
        assert torch.equal(whole(model, tokens, mel).mel, whole(model, tokens, mel).mel)
        model.decoder.train()
        assert not torch.equal(whole(model, tokens, mel).mel, whole(model, tokens, mel).mel)


def test_length_mask() -> None:
    expected = torch.tensor([[False] * 3, [True, True, False], [True] * 3])
    assert torch.equal(length_mask(torch.tensor([0, 2, 3]), 3), expected)


# NVIDIA's tacotron2 (the checkpoints most people have) calls the same weights so.
RENAMES = (
    (r"^embedding\.", "encoder.embedding."),
    (r"\.conv\.(weight|bias)$", r".\1"),
    (r"\.linear_layer\.", "."),
    (r"decoder\.attention_layer\.location_layer\.", "decoder.attention."),
    (r"decoder\.attention_layer\.(query|memory)_layer\.", r"decoder.attention.\1."),
    (r"decoder\.attention_layer\.", "decoder.attention."),
    (r"decoder\.decoder_rnn\.(\w+)", r"decoder.decoder_rnn.\1_l0"),
    (r"decoder\.linear_projection\.", "decoder.projection."),
    (r"decoder\.gate_layer\.", "decoder.gate."),
)


def nvidia_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the published checkpoint of 148 symbols."""
    shapes: dict[str, tuple[int, ...]] = {"embedding.weight": (148, 512)}

    def conv_norm(where: str, n_in: int, n_out: int) -> None:
        shapes.update(
            {f"{where}.0.conv.weight": (n_out, n_in, 5), f"{where}.0.conv.bias": (n_out,)}
        )
        for name in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{where}.1.{name}"] = (n_out,)
        shapes[f"{where}.1.num_batches_tracked"] = ()

    def lstm(where: str, n_in: int, n: int, suffix: str = "") -> None:
        for kind, size in (("ih", n_in), ("hh", n)):
            shapes[f"{where}.weight_{kind}{suffix}"] = (4 * n, size)
            shapes[f"{where}.bias_{kind}{suffix}"] = (4 * n,)

    for i in range(3):
        conv_norm(f"encoder.convolutions.{i}", 512, 512)
    lstm("encoder.lstm", 512, 256, "_l0")
    lstm("encoder.lstm", 512, 256, "_l0_reverse")
    lstm("decoder.attention_rnn", 256 + 512, 1024)
    lstm("decoder.decoder_rnn", 1024 + 512, 1024)
    shapes |= {
        "decoder.prenet.layers.0.linear_layer.weight": (256, 80),
        "decoder.prenet.layers.1.linear_layer.weight": (256, 256),
        "decoder.attention_layer.query_layer.linear_layer.weight": (128, 1024),
        "decoder.attention_layer.memory_layer.linear_layer.weight": (128, 512),
        "decoder.attention_layer.v.linear_layer.weight": (1, 128),
        "decoder.attention_layer.location_layer.location_conv.conv.weight": (32, 2, 31),
        "decoder.attention_layer.location_layer.location_dense.linear_layer.weight": (128, 32),
        "decoder.linear_projection.linear_layer.weight": (80, 1536),
        "decoder.linear_projection.linear_layer.bias": (80,),
        "decoder.gate_layer.linear_layer.weight": (1, 1536),
        "decoder.gate_layer.linear_layer.bias": (1,),
    }
    for i, (n_in, n_out) in enumerate([(80, 512), *[(512, 512)] * 3, (512, 80)]):
        conv_norm(f"postnet.convolutions.{i}", n_in, n_out)
    return shapes


def test_nvidias_state_dict_needs_other_names_only() -> None:
    renamed = {}
    for name, shape in nvidia_shapes().items():
        for pattern, replacement in RENAMES:
            name = re.sub(pattern, replacement, name)
        renamed[name] = shape
    ours = Tacotron2(148, 80, Tacotron2Config()).state_dict()
    assert renamed == {name: tuple(value.shape) for name, value in ours.items()}


@pytest.fixture(params=VOCODER_PRESETS)
def generator(request: pytest.FixtureRequest) -> Generator:
    """Of the layout of each preset, but narrow."""
    config = dataclasses.replace(VOCODER_PRESETS[request.param], channels=32)
    torch.manual_seed(0)
    generator = Generator(AudioConfig(n_mels=MELS), config).eval()
    for module in generator.modules():
        if is_parametrized(module):
            module.weight = 3.0 * nn.init.xavier_normal_(torch.empty_like(module.weight))
    return generator


@torch.no_grad()
def test_generator_makes_a_hop_of_samples_a_frame(generator: Generator) -> None:
    for frames in (1, 2, 9):
        wav = generator(torch.randn(2, MELS, frames))
        assert wav.shape == (2, frames * 256)
        assert float(wav.abs().max()) <= 1.0 or generator.inverse_stft is not None
        assert float(wav.std()) > 1e-3


@torch.no_grad()
def test_folding_the_weight_norm_keeps_the_output(generator: Generator) -> None:
    mel = torch.randn(1, MELS, 6)
    expected = generator(mel)
    generator.fold_weight_norm()
    torch.testing.assert_close(generator(mel), expected, rtol=0, atol=1e-5)
    assert not any(is_parametrized(module) for module in generator.modules())
    assert not any("parametrizations" in name for name in generator.state_dict())


@torch.no_grad()
def test_vocode_equals_the_generator_on_pieces_with_their_context(generator: Generator) -> None:
    if generator.source is not None:
        pytest.skip("a piece's phase would begin anew: test_export_vocoder.py streams it")
    context, hop, frames = generator.double().config.context, generator.config.hop_length, 24
    mel = torch.randn(1, MELS, frames, dtype=torch.float64)
    expected = vocode(generator, mel, SILENCE)
    assert expected.shape == (1, frames * hop)
    framed = torch.nn.functional.pad(mel, (context, context), value=SILENCE)
    for start, end in ((0, 5), (5, 6), (6, 24)):
        piece = generator(framed[:, :, start : end + 2 * context])
        piece = piece[:, context * hop : -context * hop]
        torch.testing.assert_close(piece, expected[:, start * hop : end * hop], rtol=0, atol=1e-9)
    assert float((generator(mel) - expected).abs().max()) > 1e-3  # the frame does tell


def test_weights_start_small_but_the_first_convolutions() -> None:
    torch.manual_seed(0)
    generator = Generator(AudioConfig(), VOCODER_PRESETS["v2"])
    for module in (generator.conv_post, *generator.upsamplers):
        assert float(module.weight.detach().std()) == pytest.approx(0.01, rel=0.1)


def small_discriminators(config: HifiganConfig) -> Discriminators:
    torch.manual_seed(0)
    return Discriminators(config).eval()  # spectral norm moves at every call of training


@torch.no_grad()
def test_discriminators_judge_every_wave_for_itself(tiny_config: Config) -> None:
    config = tiny_config.vocoder
    discriminators = small_discriminators(config)
    wav = torch.randn(2, 2051)  # no multiple of a period
    judgements = discriminators(wav)
    assert len(judgements) == len(config.mpd_periods) + config.msd_scales
    alone = [discriminators(row.unsqueeze(0)) for row in wav]
    for i, judgement in enumerate(judgements):
        period = i < len(config.mpd_periods)
        assert len(judgement.features) == (6 if period else 8)
        assert judgement.score.dim() == 2 and len(judgement.score) == 2
        assert all(len(feature) == 2 for feature in judgement.features)
        rows = torch.cat([single[i].score for single in alone])
        torch.testing.assert_close(judgement.score, rows)
    scales = judgements[len(config.mpd_periods) :]
    sizes = [scale.score.shape[1] for scale in scales]
    assert all(size == pytest.approx(2051 / 64 / 2**i, abs=2) for i, size in enumerate(sizes))


def test_a_period_discriminator_sees_one_phase_at_a_time() -> None:
    period = 3
    torch.manual_seed(0)
    network = PeriodDiscriminator(period, (2, 2, 2, 2, 2))
    wav = torch.randn(1, 600, requires_grad=True)
    score = network(wav).score
    assert score.shape[1] % period == 0
    for phase in range(period):
        (gradient,) = torch.autograd.grad(score[0, phase::period].sum(), wav, retain_graph=True)
        seen = set((gradient[0].nonzero().flatten() % period).tolist())
        assert seen == {phase}


def test_every_discriminator_parameter_learns(tiny_config: Config) -> None:
    discriminators = small_discriminators(tiny_config.vocoder).train()
    judgements = discriminators(torch.randn(2, 2048))
    torch.stack([judgement.score.square().mean() for judgement in judgements]).sum().backward()
    assert all(
        parameter.grad is not None and float(parameter.grad.abs().sum()) > 0
        for parameter in discriminators.parameters()
    )
