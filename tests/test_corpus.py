import io
import os
import re
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas
import pytest
import soundfile

import tts_kit.clip_checks
import tts_kit.corpus
from tts_kit.audio import FloatArray, load_clip
from tts_kit.clip_checks import Row, check_duration, clipped_share
from tts_kit.config import AudioConfig
from tts_kit.corpus import prepare, read_metadata
from tts_kit.errors import CorpusError, OutputError
from tts_kit.manifests import (
    MANIFESTS,
    REJECTS,
    SUMMARY,
    Clip,
    manifest_hash,
    read_clip_bytes,
    read_manifest,
)

ROOT = Path(__file__).parents[1]
PRACTICE = ROOT / "recipes" / "ljspeech" / "practice"
SHARED = ROOT.parent / "shared"
CONFIG = AudioConfig(sample_rate=16_000, n_fft=512, win_length=512, hop_length=128)
RATE = CONFIG.sample_rate
TEXTS = [
    "the first spoken line",
    "yellow boats sail home",
    "rivers bend around hills",
    "please bring warm bread",
    "nobody answered my call",
    "eight candles burn low",
]


def shared(*parts: str) -> Path:
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"{'/'.join(parts)} lies outside the repository and is not here")
    return path


def speech(seconds: float = 1.5, seed: int = 0) -> FloatArray:
    time = np.arange(round(seconds * RATE)) / RATE
    wav = np.random.default_rng(seed).standard_normal(len(time)) * (1.2 + np.sin(25 * time))
    scaled: FloatArray = (0.3 * wav / np.abs(wav).max()).astype(np.float32)
    return scaled


def write(path: Path, wav: FloatArray, *, rate: int = RATE, subtype: str = "PCM_16") -> None:
    soundfile.write(path, wav, rate, subtype=subtype)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Six good clips c0 to c5, the last one FLAC; a test damages c0."""
    folder = tmp_path / "corpus"
    (folder / "wavs").mkdir(parents=True)
    lines = []
    for number, text in enumerate(TEXTS):
        suffix = "flac" if number == 5 else "wav"
        write(folder / "wavs" / f"c{number}.{suffix}", speech(seed=number))
        lines.append(f"c{number}|{text.title()}.|{text}\n")
    (folder / "metadata.csv").write_text("".join(lines), encoding="utf-8")
    return folder


def all_clips(out: Path) -> list[Clip]:
    return [clip for name in MANIFESTS.values() for clip in read_manifest(out / name)]


def rejects(out: Path) -> list[tuple[str, str]]:
    table = pandas.read_csv(out / REJECTS, dtype=str, keep_default_na=False)
    assert (table["detail"] != "").all()
    return list(zip(table["id"], table["reason"], strict=True))


# ---- stage 0 on real speech


def assert_all_accepted(corpus: Path, out: Path, count: int, jobs: int) -> None:
    config = AudioConfig()
    summary = prepare(corpus, out, config, jobs=jobs)
    assert summary.rejects == {} and summary.total == count
    rows, _ = read_metadata(corpus / "metadata.csv")
    clips = all_clips(out)
    assert sorted((c.id, c.text, c.normalized) for c in clips) == sorted(
        (r.id, r.text, r.normalized) for r in rows
    )
    for clip in clips[::10]:
        wav = load_clip(read_clip_bytes(clip), config)
        assert clip.path.is_absolute() and clip.n_samples == len(wav)
        assert clip.duration == pytest.approx(len(wav) / config.sample_rate, abs=1e-6)
    durations = [clip.duration for clip in read_manifest(out / MANIFESTS["train"])]
    assert durations == sorted(durations)


def test_accepts_ljspeech(tmp_path: Path) -> None:
    assert_all_accepted(shared("corpus", "LJSpeech-1.1"), tmp_path / "out", 32, jobs=1)


def test_accepts_the_practice_corpus(tmp_path: Path) -> None:
    assert_all_accepted(PRACTICE, tmp_path / "out", 60, jobs=1)


def test_processes_change_nothing(corpus: Path, tmp_path: Path) -> None:
    for jobs in (1, 2):
        prepare(corpus, tmp_path / f"out{jobs}", CONFIG, jobs=jobs)
    assert manifest_hash(tmp_path / "out1") == manifest_hash(tmp_path / "out2")


# ---- every reject code


def edit(old: str, new: str) -> Callable[[Path], object]:
    def fault(corpus: Path) -> None:
        path = corpus / "metadata.csv"
        text = path.read_bytes()
        assert old.encode() in text
        path.write_bytes(text.replace(old.encode(), new.encode("utf-8", "surrogateescape"), 1))

    return fault


def replace_audio(
    wav: FloatArray, *, rate: int = RATE, subtype: str = "PCM_16"
) -> Callable[[Path], object]:
    return lambda corpus: write(corpus / "wavs" / "c0.wav", wav, rate=rate, subtype=subtype)


def change_bytes(change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    def fault(corpus: Path) -> None:
        path = corpus / "wavs" / "c0.wav"
        path.write_bytes(change(path.read_bytes()))

    return fault


def instead_of_file(make: Callable[[Path], object]) -> Callable[[Path], object]:
    def fault(corpus: Path) -> None:
        (corpus / "wavs" / "c0.wav").unlink()
        make(corpus / "wavs" / "c0.wav")

    return fault


def flac_bomb(path: Path) -> None:
    """26 bytes that claim 2^36 - 1 samples; by their name FLAC, or by their content."""
    packed = RATE << 44 | 15 << 36 | 2**36 - 1
    info = struct.pack(">HH", 4096, 4096) + bytes(6) + packed.to_bytes(8, "big")
    path.with_suffix(".flac").write_bytes((b"fLaC\x80\x00\x00\x22" + info)[:26])


def ogg(path: Path) -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, speech(), RATE, format="OGG", subtype="VORBIS")
    path.write_bytes(buffer.getvalue())


ROW = f"c0|{TEXTS[0].title()}.|{TEXTS[0]}\n"
NAN = speech()
NAN[100] = np.nan
FAULTS: list[tuple[str, str, Callable[[Path], object]]] = [
    ("c0", "missing_wav", lambda corpus: (corpus / "wavs" / "c0.wav").unlink()),
    ("c0", "missing_wav", instead_of_file(lambda path: path.symlink_to("nowhere"))),
    ("c0", "missing_row", edit(ROW, "")),
    ("c0", "duplicate_id", edit(ROW, ROW + ROW)),
    ("c0", "field_count", edit("|the", "the")),
    ("c0", "field_count", edit("|the", "|more|the")),
    ("c0", "bad_utf8", edit("|the", "|th\udcffe")),
    ("../wavs/c0", "bad_id", edit(ROW, ROW + ROW.replace("c0", "../wavs/c0"))),
    ("", "bad_id", edit(ROW, ROW + ROW.replace("c0", ""))),
    ("c0", "empty_text", edit(ROW, "c0|...|-?\n")),
    ("c0", "bad_character", edit("|the", "|the\x00")),
    ("c0", "bad_character", edit("|the", "|the\ufffd")),
    ("c0", "characters_per_second", edit("|the", "|" + "the " * 30)),
    ("c0", "characters_per_second", edit(TEXTS[0] + "\n", "a\n")),
    ("c0", "not_regular_file", instead_of_file(os.mkfifo)),
    ("c0", "not_regular_file", instead_of_file(os.mkdir)),
    ("c0", "damaged", change_bytes(lambda data: data[:-1])),
    ("c0", "damaged", change_bytes(lambda data: data[: len(data) // 2])),
    ("c0", "damaged", change_bytes(lambda data: data[:44])),
    ("c0", "damaged", instead_of_file(flac_bomb)),
    ("c0", "wrong_format", change_bytes(lambda data: b"")),
    ("c0", "wrong_format", instead_of_file(ogg)),
    ("c0", "wrong_format", replace_audio(speech(), subtype="ULAW")),
    ("c0", "wrong_format", replace_audio(speech(), rate=8000)),
    ("c0", "wrong_format", replace_audio(np.stack([speech()] * 3, axis=1))),
    ("c0", "too_short", replace_audio(speech(0.15))),
    ("c0", "too_long", replace_audio(speech(31))),
    ("c0", "too_long", replace_audio(np.zeros(61 * RATE, np.float32))),
    ("c0", "silent", replace_audio(np.zeros(RATE, np.float32))),
    ("c0", "silent", replace_audio(0.002 * speech())),
    ("c0", "clipped", replace_audio(np.clip(20 * speech(), -0.8, 0.8))),
    ("c0", "not_finite", replace_audio(NAN, subtype="FLOAT")),
    ("c0", "dc_offset", replace_audio(speech() + np.float32(0.1))),
    ("c1", "duplicate_audio", lambda c: shutil.copy(c / "wavs/c0.wav", c / "wavs/c1.wav")),
]


@pytest.mark.parametrize(
    ("name", "reason", "fault"), FAULTS, ids=[f"{i}-{f[1]}" for i, f in enumerate(FAULTS)]
)
def test_a_fault_is_rejected_with_its_reason(
    name: str, reason: str, fault: Callable[[Path], object], corpus: Path, tmp_path: Path
) -> None:
    fault(corpus)
    summary = prepare(corpus, tmp_path / "out", CONFIG, max_rejects=0.5)
    assert rejects(tmp_path / "out") == [(name, reason)]
    assert summary.rejects == {reason: 1}
    kept = {f"c{number}" for number in range(6)} - ({name} if reason != "duplicate_id" else set())
    assert {clip.id for clip in all_clips(tmp_path / "out")} == kept


def test_every_reason_has_a_fault() -> None:
    modules = ("audio.py", "audio_header.py", "clip_checks.py", "metadata.py", "corpus.py")
    source = "".join((ROOT / "tts_kit" / name).read_text(encoding="utf-8") for name in modules)
    raised = set(re.findall(r"AudioError\(\s*\"(\w+)\"", source))
    raised |= set(re.findall(r"Reject\([^\"()]+(?:\[\d\])?, \"(\w+)\"", source))
    raised.add("duplicate_audio")
    assert raised == {reason for _, reason, _ in FAULTS}


def test_rows_of_one_id_that_differ_are_all_rejected(corpus: Path, tmp_path: Path) -> None:
    edit(ROW, ROW + "c0|something else here|something else here\n")(corpus)
    prepare(corpus, tmp_path / "out", CONFIG, max_rejects=0.5)
    assert rejects(tmp_path / "out") == [("c0", "duplicate_id")] * 2


@pytest.mark.parametrize("text", ["None", "NA", "nan", 'a "quoted", text', "tab\there", "naïve"])
def test_texts_survive_the_manifest(corpus: Path, tmp_path: Path, text: str) -> None:
    edit(ROW, f"c0|{text}|some words to speak\n")(corpus)
    prepare(corpus, tmp_path / "out", CONFIG)
    assert [clip.text for clip in all_clips(tmp_path / "out") if clip.id == "c0"] == [text]


@pytest.mark.parametrize(
    ("text", "duration", "passes"),
    [
        ("Oh.", 1.2, True),
        ("Oh.", 2.0, False),
        ("a" * 40, 2.5, True),
        ("a" * 40, 1.3, False),
        ("a" * 40, 11.5, False),
        ("a", 0.2, False),
        ("a" * 300, 31.0, False),
    ],
)
def test_durations_that_fit_a_text(text: str, duration: float, passes: bool) -> None:
    try:
        check_duration(Row("a", text, text), duration)
    except CorpusError:
        assert not passes
    else:
        assert passes


def test_clipped_share_counts_flat_tops_only() -> None:
    wav = np.array([0, 1, 1, 0, 1, 1, 1, -1, -1, -1, -1, 0.5], np.float32)
    assert clipped_share(wav) == pytest.approx(7 / 12)


# ---- stopping, repeating, and nothing half-written


def test_too_many_rejects_stop_and_are_listed(corpus: Path, tmp_path: Path) -> None:
    (corpus / "wavs" / "c0.wav").unlink()
    out = tmp_path / "out"
    with pytest.raises(CorpusError) as caught:
        prepare(corpus, out, CONFIG)
    message = str(caught.value)
    assert "1 of 6 clips" in message and "missing_wav 1" in message and "\n" not in message
    assert str(out / REJECTS) in message
    assert os.listdir(out) == [REJECTS] and rejects(out) == [("c0", "missing_wav")]
    enough = float(message.split("--max-rejects ")[1])
    assert prepare(corpus, out, CONFIG, max_rejects=enough).rejects == {"missing_wav": 1}


def remove(name: str) -> Callable[[Path], object]:
    return lambda corpus: (
        shutil.rmtree(corpus / name) if (corpus / name).is_dir() else (corpus / name).unlink()
    )


def empty(corpus: Path) -> None:
    shutil.rmtree(corpus / "wavs")
    (corpus / "wavs").mkdir()
    (corpus / "metadata.csv").write_bytes(b"")


def fifo(corpus: Path) -> None:
    (corpus / "metadata.csv").unlink()
    os.mkfifo(corpus / "metadata.csv")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (remove(""), "there is no corpus folder .*--corpus"),
        (remove("metadata.csv"), "has no metadata.csv; .*--corpus"),
        (remove("wavs"), "wavs: No such file .*--corpus"),
        (fifo, "not a regular file; .*--corpus"),
        (empty, "an empty corpus"),
    ],
)
def test_a_folder_that_is_no_corpus(
    fault: Callable[[Path], object], message: str, corpus: Path, tmp_path: Path
) -> None:
    fault(corpus)
    with pytest.raises(CorpusError, match=message) as caught:
        prepare(corpus, tmp_path / "out", CONFIG)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out" / SUMMARY).exists()


def test_two_texts_are_too_few(corpus: Path, tmp_path: Path) -> None:
    (corpus / "metadata.csv").write_text("".join(f"c{n}|a b c d|a b c d e f g\n" for n in range(6)))
    with pytest.raises(CorpusError, match="1 distinct texts.*add recordings"):
        prepare(corpus, tmp_path / "out", CONFIG)


def test_unwritable_output_is_found_before_the_checks(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tts_kit.corpus, "examine", lambda *_, **__: pytest.fail("checked"))
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "out"):
        with pytest.raises(OutputError, match="choose another folder"):
            prepare(corpus, out, CONFIG)


@pytest.mark.parametrize("before", [False, True])
def test_nothing_half_written(
    before: bool, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever file operation dies, a new folder does not appear, and an old one is whole or
    refused; the next run makes it good."""
    out = tmp_path / "out"
    finished = 0
    hashes = set()
    for seed in (1, 2):
        prepare(corpus, tmp_path / f"expected{seed}", CONFIG, seed=seed)
        hashes.add(manifest_hash(tmp_path / f"expected{seed}"))
    refused = 0
    for dies_at in range(20):
        shutil.rmtree(out, ignore_errors=True)
        if before:
            prepare(corpus, out, CONFIG, seed=1)
        calls = 0

        def die(*_: object, at: int = dies_at, real: Callable[..., object], **__: object) -> object:
            nonlocal calls
            calls += 1
            if calls > at:
                raise KeyboardInterrupt
            return real(*_, **__)

        with monkeypatch.context() as patch:
            for owner, name in ((Path, "write_text"), (Path, "rename"), (os, "replace")):
                real = getattr(owner, name)
                patch.setattr(
                    owner, name, lambda *a, real=real, die=die, **k: die(*a, real=real, **k)
                )
            try:
                prepare(corpus, out, CONFIG, seed=2)
                finished += 1
            except KeyboardInterrupt:
                assert before or not out.exists()
        try:
            assert manifest_hash(out) in hashes
        except CorpusError:
            refused += 1
        prepare(corpus, out, CONFIG, seed=2)
        assert manifest_hash(out) == manifest_hash(tmp_path / "expected2")
        assert not (tmp_path / ".out.tmp").exists()
    assert 0 < finished < 20 and refused > 0


def test_a_second_run_checks_only_what_changed(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, checked = tmp_path / "out", []
    real = tts_kit.clip_checks.examine

    def counting(row: Row, path: Path, config: AudioConfig) -> object:
        checked.append(row.id)
        return real(row, path, config)

    monkeypatch.setattr(tts_kit.corpus, "examine", counting)

    def runs(**changes: object) -> bool:
        checked.clear()
        prepare(corpus, out, **({"config": CONFIG, "seed": 1} | changes))  # type: ignore[arg-type]
        return len(checked) == 6

    assert runs()
    assert not runs()
    assert runs(force=True)
    assert runs(seed=2)
    assert runs(config=AudioConfig())
    assert runs()
    write(corpus / "wavs" / "c0.wav", speech(seed=99))
    assert runs() and not runs()
    edit("The First", "The Last")(corpus)
    assert runs() and not runs()
    (out / MANIFESTS["dev"]).write_text("changed by hand")
    assert runs() and not runs()


def test_other_files_in_the_folder_stay(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    prepare(corpus, tmp_path / "out", CONFIG)
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"
    assert len(all_clips(tmp_path / "out")) == 6


# ---- manifests


def test_a_changed_clip_is_refused(corpus: Path, tmp_path: Path) -> None:
    prepare(corpus, tmp_path / "out", CONFIG)
    clip = next(clip for clip in all_clips(tmp_path / "out") if clip.id == "c0")
    assert read_clip_bytes(clip) == clip.path.read_bytes()
    write(clip.path, speech(seed=99))
    with pytest.raises(CorpusError, match="has changed.*run stage 0 again"):
        read_clip_bytes(clip)
    clip.path.unlink()
    with pytest.raises(CorpusError, match="does not exist.*run stage 0 again"):
        read_clip_bytes(clip)


@pytest.mark.parametrize("data", [None, b"", b"\xff\xfe", b"id,text\na,b\n", b'a,"b\n'])
def test_a_bad_manifest_is_refused(data: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "train_metadata.csv"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(CorpusError, match="run stage 0"):
        read_manifest(path)
    with pytest.raises(CorpusError, match="run stage 0"):
        manifest_hash(tmp_path)


def test_a_manifest_row_with_a_broken_number_is_refused(corpus: Path, tmp_path: Path) -> None:
    prepare(corpus, tmp_path / "out", CONFIG)
    path = tmp_path / "out" / MANIFESTS["train"]
    clip = read_manifest(path)[0]
    path.write_text(path.read_text("utf-8").replace(f",{clip.n_samples},", ",many,", 1), "utf-8")
    with pytest.raises(CorpusError, match="damaged row.*run stage 0"):
        read_manifest(path)


def test_practice_corpus_is_small_and_whole() -> None:
    files = list((PRACTICE / "wavs").iterdir())
    assert len(files) == 60 and sum(path.stat().st_size for path in files) <= 3_000_000
    assert set("abcdefghijklmnopqrstuvwxyz") <= set((PRACTICE / "metadata.csv").read_text().lower())
