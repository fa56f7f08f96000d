"""The command line. A command is its options and one call; heavy imports stay inside it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from tts_kit import __version__, cli_bench, cli_evaluate, cli_report, cli_voice
from tts_kit.cli_errors import PATH as _PATH
from tts_kit.cli_errors import run_command
from tts_kit.config import TextConfig
from tts_kit.errors import TextError, UsageError, VoiceError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """From a folder of recordings to a small streaming ONNX voice."""


main.add_command(cli_bench.bench)
main.add_command(cli_voice.export)
main.add_command(cli_voice.import_command)
main.add_command(cli_evaluate.evaluate)
main.add_command(cli_evaluate.compare)
main.add_command(cli_report.report)


@main.command()
@click.option(
    "--corpus",
    required=True,
    help="Folder in LJSpeech's layout, `ljspeech` (downloads it), or `practice`.",
)
@click.option("--conf", type=_PATH, required=True, help="YAML configuration.")
@click.option("--out", type=_PATH, required=True, help="Folder for the manifests.")
@click.option("--downloads", type=_PATH, default=Path("downloads"), show_default=True)
@click.option("--practice", type=_PATH, default=Path("practice"), show_default=True)
@click.option("--seed", default=1234, show_default=True, help="Of the train/dev/test split.")
@click.option(
    "--max-rejects", default=0.01, show_default=True, help="Largest share of rejected clips."
)
@click.option("--jobs", default=2, show_default=True, help="Processes that check clips.")
@click.option("--force", is_flag=True, help="Check again even if nothing changed.")
def prepare(**options: Any) -> None:
    """Stage 0: check the recordings and write train, dev and test manifests."""
    run_command(_prepare, **options)


def _prepare(
    corpus: str, conf: Path, out: Path, downloads: Path, practice: Path, **options: Any
) -> None:
    from tts_kit import corpus as corpora
    from tts_kit.config import load_config
    from tts_kit.download import fetch_ljspeech

    config = load_config(conf)
    if corpus == "ljspeech":
        folder = fetch_ljspeech(downloads)
    else:
        folder = practice if corpus == "practice" else Path(corpus)
    summary = corpora.prepare(folder, out, config.audio, **options)
    for split, count in summary.clips.items():
        click.echo(f"{split}: {count} clips, {summary.hours[split]:.2f} h", err=True)
    if summary.rejects:
        reasons = ", ".join(f"{reason} {n}" for reason, n in summary.rejects.items())
        click.echo(f"rejected: {reasons} (see {out / 'rejects.csv'})", err=True)


@main.command()
@click.option("--conf", type=_PATH, required=True, help="YAML configuration.")
@click.option("--data", type=_PATH, required=True, help="Folder of stage 0's manifests.")
@click.option("--out", type=_PATH, required=True, help="Folder for the alignments.")
@click.option("--jobs", default=2, show_default=True, help="Processes that align clips.")
@click.option("--if-guided", is_flag=True, help="Only if the configuration trains with them.")
@click.option("--force", is_flag=True, help="Make them anew.")
def align(conf: Path, data: Path, out: Path, jobs: int, if_guided: bool, force: bool) -> None:
    """Find out when each word of each clip is spoken (English, with pocketsphinx)."""
    run_command(_align, conf, data, out, jobs, if_guided, force)


def _align(conf: Path, data: Path, out: Path, jobs: int, if_guided: bool, force: bool) -> None:
    from tts_kit.config import load_config

    config = load_config(conf)
    if if_guided and config.train.acoustic.guided != "alignments":
        return
    from tts_kit.align import FAILED, align

    summary = align(config, data, out, jobs=jobs, force=force)
    if summary is None:
        click.echo("align: done", err=True)
        return
    click.echo(f"align: {summary.aligned} clips in {out}", err=True)
    if summary.failures:
        click.echo(f"not aligned: {len(summary.failures)} (see {out / FAILED})", err=True)


@main.command()
@click.option("--conf", type=_PATH, required=True, help="YAML configuration.")
@click.option("--data", type=_PATH, required=True, help="Folder of stage 0's manifests.")
@click.option("--acoustic", type=_PATH, required=True, help="Tacotron2 run or checkpoint.")
@click.option("--out", type=_PATH, required=True, help="Folder for the mels.")
@click.option("--force", is_flag=True, help="Write them anew.")
def dump(conf: Path, data: Path, acoustic: Path, out: Path, force: bool) -> None:
    """Stage 3: write Tacotron2's teacher-forced mel of every clip."""
    run_command(_dump, conf, data, acoustic, out, force)


def _dump(conf: Path, data: Path, acoustic: Path, out: Path, force: bool) -> None:
    from tts_kit.config import load_config
    from tts_kit.dump_mels import dump_mels

    written = dump_mels(load_config(conf), data, acoustic, out, force=force)
    click.echo(f"dump: {written} mels written to {out}" if written else "dump: done", err=True)


@main.command()
@click.argument("text", required=False)
@click.option("-o", "--output", help="WAV file; `-` is standard output.", required=True)
@click.option("-f", "--file", type=_PATH, help="Speak a text file; without TEXT, standard input.")
@click.option("--voice", type=_PATH, required=True, help="Folder that `tts-kit export` wrote.")
@click.option("--lexicon", type=_PATH, help="File of pronunciations: `word  HH AH0 L OW1` a line.")
@click.option("--seed", default=0, show_default=True, help="Another seed, another reading.")
@click.option("--threads", default=1, show_default=True, help="Threads of onnxruntime.")
@click.option(
    "--provider", type=click.Choice(["cpu", "cuda", "auto"]), default="cpu", show_default=True
)
@click.option("--raw", is_flag=True, help="16-bit little-endian PCM without a header.")
@click.option(
    "--vocoder",
    type=click.Choice(["voice", "griffin-lim"]),
    default="voice",
    show_default=True,
    help="Griffin-Lim needs torch and is for comparison only.",
)
def say(text: str | None, file: Path | None, **options: Any) -> None:
    """Speak TEXT, a file or standard input; SSML where it begins with <speak."""
    run_command(_say, text, file, **options)


def _say(
    text: str | None,
    file: Path | None,
    *,
    output: str,
    voice: Path,
    lexicon: Path | None,
    seed: int,
    threads: int,
    provider: str,
    raw: bool,
    vocoder: str,
) -> None:
    from tts_kit.runtime import Voice
    from tts_kit.text import read_lexicon
    from tts_kit.text.ssml import is_ssml

    spoken = _read_text(text, file)
    if vocoder == "griffin-lim" and is_ssml(spoken):
        raise UsageError("--vocoder griffin-lim speaks plain text only: leave the SSML out")
    loaded = Voice.load(voice, provider=provider, threads=threads)
    words = None if lexicon is None else read_lexicon(lexicon)
    if output == "-" and raw and vocoder == "voice":
        status = _stream_raw(loaded.stream(spoken, seed=seed, lexicon=words))
    else:
        speech = loaded.say(spoken, seed=seed, lexicon=words)
        status = str(speech.status)
        if status != "nothing_to_say":
            _write_speech(loaded, speech, output, raw, vocoder)
    if status == "nothing_to_say":
        raise TextError("the text holds nothing to say: give some words")
    if status == "truncated":
        click.echo("warning: a sentence went wrong and was cut", err=True)


def _read_text(text: str | None, file: Path | None) -> str:
    if text is not None and file is not None:
        raise UsageError("give TEXT or -f FILE, not both")
    if text is not None:
        return text
    try:
        data = sys.stdin.buffer.read() if file is None else file.read_bytes()
        return data.decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TextError(f"the text is not UTF-8 at byte {error.start}: convert it first") from error


def _stream_raw(stream: Any) -> str:
    """PCM to standard output as it is computed."""
    from tts_kit.audio import to_pcm16

    with stream:
        for chunk in stream:
            sys.stdout.buffer.write(to_pcm16(chunk.samples))
            sys.stdout.buffer.flush()
        return str(stream.status)


def _write_speech(voice: Any, speech: Any, output: str, raw: bool, vocoder: str) -> None:
    """A whole text as a file."""
    import io

    from tts_kit.audio import to_pcm16, write_bytes, write_wav

    if not len(speech.samples):
        raise VoiceError("the voice gave no sound: export it again from another checkpoint")
    wav = speech.samples if vocoder == "voice" else _griffin_lim(voice, speech)
    if raw:
        data = to_pcm16(wav)
    else:
        buffer = io.BytesIO()
        write_wav(buffer, wav, speech.sample_rate)
        data = buffer.getvalue()
    if output == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    else:
        write_bytes(Path(output), data)


def _griffin_lim(voice: Any, speech: Any) -> Any:
    import numpy as np
    import torch

    from tts_kit.mel import griffin_lim

    audio = voice.info.audio
    pause = np.zeros(round(voice.info.stream.sentence_pause * audio.sample_rate), np.float32)
    parts = []
    for mel in speech.mels:
        wav = griffin_lim(torch.from_numpy(mel).unsqueeze(0), audio)[0]
        parts += [pause, wav.clamp(-1.0, 1.0).numpy()]
    return np.concatenate(parts[1:])


@main.command("text")
@click.argument("text", required=False)
@click.option("-f", "--file", type=_PATH, help="Read a text file; without TEXT, standard input.")
@click.option("--voice", type=_PATH, help="Read as this voice does.")
@click.option("--frontend", default=TextConfig.frontend, show_default=True, help="Without --voice.")
@click.option("--lexicon", type=_PATH, help="File of pronunciations: `word  HH AH0 L OW1` a line.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a piece.")
def text_command(text: str | None, file: Path | None, **options: Any) -> None:
    """Show how TEXT is read: normalized words, symbols, tokens, and what is dropped."""
    run_command(_text, text, file, **options)


def _text(
    text: str | None,
    file: Path | None,
    *,
    voice: Path | None,
    frontend: str,
    lexicon: Path | None,
    as_json: bool,
) -> None:
    from tts_kit.text import load_frontend, open_frontend, read_lexicon, report
    from tts_kit.voice import read_voice

    written = _read_text(text, file)
    if voice is None:
        reader = load_frontend(frontend)
    else:
        info = read_voice(voice, verify=False)
        reader = open_frontend(info.text, info.lexicon())
    words = None if lexicon is None else read_lexicon(lexicon)
    for line in report(reader, written, lexicon=words, as_json=as_json):
        click.echo(line)


@main.command()
@click.argument("voice", type=_PATH)
@click.option("--json", "as_json", is_flag=True, help="Everything, as JSON.")
def info(voice: Path, as_json: bool) -> None:
    """Check a VOICE (folder or .voice file) and show what it is."""
    run_command(_info, voice, as_json)


def _info(voice: Path, as_json: bool) -> None:
    from tts_kit.voice import describe, metadata_text, open_voice

    found = open_voice(voice)
    if as_json:
        click.echo(metadata_text(found), nl=False)
        return
    for key, value in describe(found):
        click.echo(f"{key:14} {value}")


@main.command()
@click.argument("voice", type=_PATH)
@click.option("-o", "--out", type=_PATH, required=True, help="NAME.voice, or a new folder.")
def pack(voice: Path, out: Path) -> None:
    """Copy a VOICE into one file NAME.voice, or from there into a folder."""
    run_command(_pack, voice, out)


def _pack(voice: Path, out: Path) -> None:
    from tts_kit.voice import copy_voice, open_voice

    copied = copy_voice(open_voice(voice, verify=False), out)
    size = sum(graph.size for graph in copied.graphs.values()) / 1e6
    click.echo(f"voice: {out} ({size:.1f} MB)", err=True)


@main.group()
def train() -> None:
    """Trainings; they are started by the recipe's run.sh."""


@train.command()
@click.argument("exp", type=_PATH)
@click.option("--json", "as_json", is_flag=True, help="For other programs.")
def status(exp: Path, as_json: bool) -> None:
    """Show how the trainings in EXP (such as exp/ljspeech) stand, while they run or after."""
    run_command(_status, exp, as_json)


def _status(exp: Path, as_json: bool) -> None:
    from tts_kit.training import status

    runs = status.read_status(exp)
    click.echo(status.as_json(runs) if as_json else status.as_text(runs))
