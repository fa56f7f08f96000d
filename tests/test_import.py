"""Files of NVIDIA/tacotron2: the same numbers come out, and nothing passes that does not match."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from foreign_files import (
    NVIDIA,
    SMALL,
    write_nvidia,
)
from torch import Tensor
from torch.nn import functional as F

from tts_kit.checkpoint import open_checkpoint
from tts_kit.cli import main
from tts_kit.config import AudioConfig, Tacotron2Config
from tts_kit.dump_mels import load_acoustic
from tts_kit.errors import CheckpointError, UsageError, VoiceError
from tts_kit.foreign import ImportOptions, import_checkpoint
from tts_kit.plain import from_dict
from tts_kit.text import load_frontend, open_frontend
from tts_kit.text.symbols import KEITHITO

OPTIONS = ImportOptions()


# What the published code computes, written anew from the paper's equations on the file's own names.


def lstm_step(
    w: dict[str, Tensor], name: str, x: Tensor, state: tuple[Tensor, Tensor], suffix: str = ""
) -> tuple[Tensor, Tensor]:
    gates = x @ w[f"{name}.weight_ih{suffix}"].T + w[f"{name}.bias_ih{suffix}"]
    gates = gates + state[0] @ w[f"{name}.weight_hh{suffix}"].T + w[f"{name}.bias_hh{suffix}"]
    i, f, g, o = gates.chunk(4, dim=-1)
    cell = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
    return o.sigmoid() * cell.tanh(), cell


def conv_norm(w: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    x = F.conv1d(x, w[f"{name}.0.conv.weight"], w[f"{name}.0.conv.bias"], padding=2)
    scale = w[f"{name}.1.weight"] / (w[f"{name}.1.running_var"] + 1e-5).sqrt()
    return (x - w[f"{name}.1.running_mean"][:, None]) * scale[:, None] + w[f"{name}.1.bias"][
        :, None
    ]


def nvidia_encoder(w: dict[str, Tensor], tokens: list[int], layers: int) -> Tensor:
    """Memory (L, E)."""
    x = w["embedding.weight"][tokens].T
    for i in range(layers):
        x = conv_norm(w, f"encoder.convolutions.{i}", x[None])[0].relu()
    ways = []
    for suffix, order in (("_l0", 1), ("_l0_reverse", -1)):
        hidden = w[f"encoder.lstm.weight_hh{suffix}"].shape[1]
        state = (torch.zeros(hidden), torch.zeros(hidden))
        rows = []
        for column in list(x.T)[::order]:
            state = lstm_step(w, "encoder.lstm", column, state, suffix)
            rows.append(state[0])
        ways.append(torch.stack(rows[::order]))
    return torch.cat(ways, dim=1)


class NvidiaDecoder:
    """One decoder step after another, without any attention window."""

    def __init__(self, w: dict[str, Tensor], memory: Tensor) -> None:
        self.w, self.memory = w, memory
        self.keys = memory @ w["decoder.attention_layer.memory_layer.linear_layer.weight"].T
        a = w["decoder.attention_rnn.weight_hh"].shape[1]
        d = w["decoder.decoder_rnn.weight_hh"].shape[1]
        self.attention = (torch.zeros(a), torch.zeros(a))
        self.decoder = (torch.zeros(d), torch.zeros(d))
        self.last = self.total = torch.zeros(len(memory))
        self.context = torch.zeros(memory.shape[1])

    def step(self, frame: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """Mel (n_mels,) and gate logit for the last ``frame`` and ``masks`` (2, P)."""
        w, x = self.w, frame
        for i, mask in enumerate(masks):
            x = (x @ w[f"decoder.prenet.layers.{i}.linear_layer.weight"].T).relu() * mask
        x = torch.cat((x, self.context))
        self.attention = lstm_step(w, "decoder.attention_rnn", x, self.attention)
        name = "decoder.attention_layer"
        kernel = w[f"{name}.location_layer.location_conv.conv.weight"]
        history = torch.stack((self.last, self.total))[None]
        location = F.conv1d(history, kernel, padding=kernel.shape[2] // 2)[0].T
        location = location @ w[f"{name}.location_layer.location_dense.linear_layer.weight"].T
        query = self.attention[0] @ w[f"{name}.query_layer.linear_layer.weight"].T
        energy = (query + location + self.keys).tanh() @ w[f"{name}.v.linear_layer.weight"][0]
        self.last = energy.softmax(dim=0)
        self.total = self.total + self.last
        self.context = self.last @ self.memory
        x = torch.cat((self.attention[0], self.context))
        self.decoder = lstm_step(w, "decoder.decoder_rnn", x, self.decoder)
        x = torch.cat((self.decoder[0], self.context))
        mel = x @ w["decoder.linear_projection.linear_layer.weight"].T
        gate = x @ w["decoder.gate_layer.linear_layer.weight"].T
        return (
            mel + w["decoder.linear_projection.linear_layer.bias"],
            gate + w["decoder.gate_layer.linear_layer.bias"],
        )


def nvidia_postnet(w: dict[str, Tensor], mel: Tensor) -> Tensor:
    x = mel
    for i in range(5):
        x = conv_norm(w, f"postnet.convolutions.{i}", x)
        x = x.tanh() if i < 4 else x
    return mel + x


# Tacotron2


@pytest.mark.parametrize("prefix", ["", "module."])
def test_an_nvidia_model_computes_the_same(prefix: str, tmp_path: Path) -> None:
    w = write_nvidia(tmp_path / "checkpoint_1200", prefix=prefix)
    import_checkpoint(tmp_path / "checkpoint_1200", tmp_path / "run", options=OPTIONS)
    checkpoint = open_checkpoint(tmp_path / "run")
    model, frontend = load_acoustic(checkpoint)
    assert checkpoint.step == 1200 and frontend.symbols == KEITHITO
    tokens = list(frontend.encode("Hello, world: it works!").tokens)
    memory = nvidia_encoder(w, tokens, SMALL["convolutions"])
    published = NvidiaDecoder(w, memory)
    random = torch.Generator().manual_seed(1)
    with torch.inference_mode():
        ours = model.encoder(torch.tensor([tokens]))
        torch.testing.assert_close(ours[0], memory, atol=1e-5, rtol=0)
        processed, state = model.decoder.attention.memory(ours), model.decoder.initial_state(ours)
        frame, mels = torch.zeros(1, SMALL["n_mels"]), []
        for _ in range(12):
            masks = (torch.rand(2, 1, SMALL["prenet"], generator=random) > 0.5) * 2.0
            wanted, wanted_gate = published.step(frame[0], masks[:, 0])
            mel, gate, state = model.decoder.step(frame, masks, ours, processed, state)
            torch.testing.assert_close(mel[0, :, 0], wanted, atol=1e-5, rtol=0)
            torch.testing.assert_close(gate, wanted_gate, atol=1e-5, rtol=0)
            torch.testing.assert_close(
                state.attention_weights[0], published.last, atol=1e-5, rtol=0
            )
            frame = wanted[None]
            mels.append(frame)
        coarse = torch.stack(mels, dim=2)
        torch.testing.assert_close(
            model.postnet(coarse), nvidia_postnet(w, coarse), atol=1e-5, rtol=0
        )
    assert float(coarse.std()) > 0.1  # the numbers were lively


def test_the_comparison_notices_exchanged_gates(tmp_path: Path) -> None:
    """The planted fault: forget and input gate of the decoder LSTM the other way round."""
    w = write_nvidia(tmp_path / "file")
    for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        i, f, g, o = w[f"decoder.decoder_rnn.{part}"].chunk(4)
        w[f"decoder.decoder_rnn.{part}"] = torch.cat((f, i, g, o))
    import_checkpoint(tmp_path / "file", tmp_path / "run", options=OPTIONS)
    model, _ = load_acoustic(open_checkpoint(tmp_path / "run"))
    memory = nvidia_encoder(w, [40, 41], SMALL["convolutions"])
    decoder, frame, masks = NvidiaDecoder(w, memory), torch.zeros(80), torch.ones(2, 10)
    with torch.inference_mode():
        ours = model.encoder(torch.tensor([[40, 41]]))
        state = model.decoder.initial_state(ours)
        for _ in range(2):
            mel, _, state = model.decoder.step(
                frame[None], masks[:, None], ours, model.decoder.attention.memory(ours), state
            )
            wanted, _ = decoder.step(frame, masks)
    assert float((mel[0, :, 0] - wanted).abs().max()) > 1e-3


def test_a_model_of_the_published_size(tmp_path: Path) -> None:
    write_nvidia(tmp_path / "tacotron2_statedict.pt", NVIDIA)
    import_checkpoint(tmp_path / "tacotron2_statedict.pt", tmp_path / "run", options=OPTIONS)
    meta = open_checkpoint(tmp_path / "run").meta
    assert from_dict(Tacotron2Config(), meta["acoustic"]) == Tacotron2Config()
    audio = from_dict(AudioConfig(), meta["audio"])
    assert audio == AudioConfig(level=None, trim=None)
    assert meta["stream"]["gate_threshold"] == 0.5
    assert meta["imported"]["source"] == "NVIDIA/tacotron2"


def test_hparams_tell_what_shapes_cannot(tmp_path: Path) -> None:
    write_nvidia(tmp_path / "file")
    text = "sampling_rate=24000, mel_fmax=12000,gate_threshold=0.6,max_decoder_steps=2000"
    text += ",p_attention_dropout=0.2,prenet_dim=10"
    import_checkpoint(tmp_path / "file", tmp_path / "run", options=ImportOptions(hparams=text))
    meta = open_checkpoint(tmp_path / "run").meta
    audio = from_dict(AudioConfig(), meta["audio"])
    assert (audio.sample_rate, audio.f_max, audio.n_fft) == (24000, 12000.0, 1024)
    assert meta["stream"]["gate_threshold"] == 0.6
    assert meta["stream"]["max_seconds"] == pytest.approx(2000 * 256 / 24000)
    assert meta["acoustic"]["rnn_dropout"] == 0.2
    for wrong, message in (
        ("prenet_dim=256", "prenet_dim=10, --hparams says 256"),
        ("n_symbols=150", "n_symbols=148, --hparams says 150"),
        ("batch=1", "unknown 'batch'; known: attention_dim"),
        ("mel_fmax=high", "mel_fmax must be a number"),
        ("mel_fmax=99000", "f_max <= sample_rate / 2"),
    ):
        with pytest.raises((UsageError, CheckpointError), match=message):
            options = ImportOptions(hparams=wrong)
            import_checkpoint(tmp_path / "file", tmp_path / "no", options=options)
    assert not (tmp_path / "no").exists()


def test_half_precision_and_old_files(tmp_path: Path) -> None:
    w = write_nvidia(tmp_path / "file")
    old = {n: v.half() for n, v in w.items() if not n.endswith("num_batches_tracked")}
    torch.save({"state_dict": old}, tmp_path / "old", _use_new_zipfile_serialization=False)
    import_checkpoint(tmp_path / "old", tmp_path / "run", options=OPTIONS)
    checkpoint = open_checkpoint(tmp_path / "run")
    weights = checkpoint.weights("tacotron2")
    assert checkpoint.step == 0
    assert {v.dtype for n, v in weights.items() if "num_batches" not in n} == {torch.float32}
    load_acoustic(checkpoint)


def test_every_misfit_is_listed(tmp_path: Path) -> None:
    file = tmp_path / "file"
    w = write_nvidia(file)

    def refused(change: dict[str, Any], lost: str = "") -> str:
        state = {k: v for k, v in {**w, **change}.items() if k != lost}
        torch.save({"state_dict": state}, file)
        with pytest.raises(CheckpointError) as caught:
            import_checkpoint(file, tmp_path / "run", options=OPTIONS)
        assert not (tmp_path / "run").exists()
        return str(caught.value)

    more = {"speaker.weight": torch.zeros(1), "decoder.gate_layer.linear_layer.bias": torch.ones(3)}
    told = refused(more, lost="encoder.lstm.bias_hh_l0_reverse")
    assert "lacks encoder.lstm.bias_hh_l0_reverse" in told
    assert "holds unknown speaker.weight" in told
    assert "decoder.gate_layer.linear_layer.bias (3,) instead of (1,)" in told
    assert "lacks embedding.weight" in refused({}, lost="embedding.weight")
    assert "149 symbols, the table has 148: give --symbols" in refused(
        {"embedding.weight": torch.zeros(149, 12)}
    )
    two = {
        "decoder.linear_projection.linear_layer.weight": torch.zeros(160, 30),
        "decoder.prenet.layers.0.linear_layer.weight": torch.zeros(10, 160),
    }
    assert "n_frames_per_step=1" in refused(two)
    assert "1 axes" in refused({"embedding.weight": torch.zeros(148)})


def test_what_is_no_such_file(tmp_path: Path) -> None:
    file, run = tmp_path / "file", tmp_path / "run"

    def refused(message: str, options: ImportOptions = OPTIONS) -> None:
        with pytest.raises((CheckpointError, UsageError), match=message):
            import_checkpoint(file, run, options=options)
        assert not run.exists()

    refused("there is no file")
    file.write_bytes(b"no torch file")
    refused("damaged or not of torch.save")
    torch.save([torch.zeros(1)], file)
    refused("holds a list")
    torch.save({"model": {}}, file)
    refused("neither of NVIDIA/tacotron2 .* it holds model")
    torch.save({"state_dict": {"embedding.weight": 3}}, file)
    refused("'state_dict' is no dict of names and tensors")
    write_nvidia(file)
    refused("--config does not belong to a Tacotron2", ImportOptions(config=file))
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])
    refused("damaged")


@pytest.mark.parametrize(
    ("extra", "name"),
    [(np.float64(0.1), "numpy"), (argparse.Namespace(a=1), "argparse.Namespace")],
)
def test_foreign_objects_are_named_with_a_remedy(extra: Any, name: str, tmp_path: Path) -> None:
    write_nvidia(tmp_path / "file", hparams=extra)
    with pytest.raises(CheckpointError, match=f"holds {name}.*keep its weights alone"):
        import_checkpoint(tmp_path / "file", tmp_path / "run", options=OPTIONS)


def test_code_in_a_file_does_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "ran",))

    write_nvidia(tmp_path / "file", hparams=Evil())
    with pytest.raises(CheckpointError, match="could run code"):
        import_checkpoint(tmp_path / "file", tmp_path / "run", options=OPTIONS)
    assert not (tmp_path / "ran").exists()


def test_never_into_a_folder_with_checkpoints(tmp_path: Path) -> None:
    write_nvidia(tmp_path / "file")
    import_checkpoint(tmp_path / "file", tmp_path / "run", options=OPTIONS)
    with pytest.raises(UsageError, match="holds checkpoints already"):
        import_checkpoint(tmp_path / "file", tmp_path / "run", options=OPTIONS)


# The symbol table


def test_the_front_end_takes_the_voices_table() -> None:
    frontend = load_frontend("en_char", symbols=KEITHITO)
    assert len(KEITHITO) == 148 and KEITHITO[0] == "_" and KEITHITO[11] == " "
    assert KEITHITO[12:14] == ("A", "B") and KEITHITO[38:40] == ("a", "b")
    assert KEITHITO[64:66] == ("@AA", "@AA0") and KEITHITO[-1] == "@ZH"
    encoded = frontend.encode('He said "It\'s 5" (twice) - loudly')
    shown = "".join(KEITHITO[token] for token in encoded.tokens)
    # Lower case, numbers as words, no quotation marks or end symbol in the table, closed by a mark.
    assert shown == "he said it's five (twice) - loudly."
    spoken = [shown[word.token_start : word.token_end] for word in encoded.words]
    assert spoken == ["he", "said", "it's", "five", "twice", "loudly"]
    assert open_frontend(frontend.info, "").info == frontend.info
    quoted = frontend.encode('"Yes" he said')
    assert "".join(KEITHITO[token] for token in quoted.tokens) == "yes he said."


def test_tables_with_and_without_what_is_optional() -> None:
    letters = tuple("abcdefghijklmnopqrstuvwxyz .,")
    plain = load_frontend("en_char", symbols=letters)
    assert "".join(letters[t] for t in plain.encode("Don't! Go?").tokens) == "dont go."
    ended = load_frontend("en_char", symbols=("_", "~", *letters))
    assert ended.encode("Go.").tokens[-1] == 1


def test_bad_tables_are_refused() -> None:
    good = load_frontend("en_char", symbols=KEITHITO).info
    for symbols, message in (
        (KEITHITO[:20], "lacks 'a'"),
        ((*KEITHITO, "a"), "a symbol twice"),
        ((), "lacks 'a'"),
    ):
        with pytest.raises(VoiceError, match=message):
            open_frontend(dataclasses.replace(good, symbols=symbols), "")
    with pytest.raises(UsageError, match="en_arpabet takes no other symbols"):
        load_frontend("en_arpabet", symbols=KEITHITO)


def test_a_table_from_a_file(tmp_path: Path) -> None:
    h = {**SMALL, "n_symbols": 30}
    write_nvidia(tmp_path / "file", h)
    table = tmp_path / "symbols.txt"
    table.write_text("\n".join("_abcdefghijklmnopqrstuvwxyz .,") + "\n", encoding="utf-8")
    import_checkpoint(tmp_path / "file", tmp_path / "run", options=ImportOptions(symbols=table))
    _, frontend = load_acoustic(open_checkpoint(tmp_path / "run"))
    assert frontend.encode("Abc").tokens == (1, 2, 3, 28)
    with pytest.raises(UsageError, match="cannot read the symbols"):
        options = ImportOptions(symbols=tmp_path / "none")
        import_checkpoint(tmp_path / "file", tmp_path / "other", options=options)


def test_the_command(tmp_path: Path) -> None:
    write_nvidia(tmp_path / "file")
    run = CliRunner().invoke(main, ["import", str(tmp_path / "file"), "-o", str(tmp_path / "run")])
    assert run.exit_code == 0 and "step-00001200" in run.stderr, run.stderr
    again = CliRunner().invoke(
        main, ["import", str(tmp_path / "file"), "-o", str(tmp_path / "second"), "--json"]
    )
    checkpoint = Path(json.loads(again.stdout)["checkpoint"])
    assert checkpoint.name == "step-00001200" and checkpoint.is_dir()
    again = CliRunner().invoke(main, ["import", "nothing", "-o", str(tmp_path / "other")])
    assert again.exit_code == 4 and again.stderr.startswith("error: there is no file nothing")
