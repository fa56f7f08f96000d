"""The commands that speak a text, and that show how it is read: `say` and `text`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from tts_kit.cli_errors import PATH as _PATH
from tts_kit.cli_errors import run_command
from tts_kit.cli_output import json_option, print_json
from tts_kit.cli_voices import VOICE, warn_of_preview
from tts_kit.config import TextConfig
from tts_kit.errors import TextError, UsageError, VoiceError


@click.command()
@click.argument("text", required=False)
@click.option("-o", "--output", help="WAV file; `-` is standard output.", required=True)
@click.option("-f", "--file", type=_PATH, help="Speak a text file; without TEXT, standard input.")
@click.option(
    "--voice",
    type=VOICE,
    envvar="TTS_KIT_VOICE",
    show_envvar=True,
    help="Path, or a name that `tts-kit voices` lists. [default: kathleen]",
)
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
@json_option("Status, length, and the times of the words, as JSON.")
def say(text: str | None, file: Path | None, **options: Any) -> None:
    """Speak TEXT, a file or standard input; SSML where it begins with <speak."""
    run_command(_say, text, file, **options)


def _say(
    text: str | None,
    file: Path | None,
    *,
    output: str,
    voice: Path | None,
    lexicon: Path | None,
    seed: int,
    threads: int,
    provider: str,
    raw: bool,
    vocoder: str,
    as_json: bool,
) -> None:
    from tts_kit import installed
    from tts_kit.runtime import Voice
    from tts_kit.text import read_lexicon
    from tts_kit.text.markup import is_ssml

    if as_json and output == "-":
        raise UsageError("--json and the sound cannot both go to standard output: name a file")
    spoken = _read_text(text, file)
    if vocoder == "griffin-lim" and is_ssml(spoken):
        raise UsageError("--vocoder griffin-lim speaks plain text only: leave the SSML out")
    chosen = installed.installed_voice(installed.DEFAULT) if voice is None else voice
    loaded = Voice.load(chosen, provider=provider, threads=threads)
    warn_of_preview(chosen, loaded.info)
    words = None if lexicon is None else read_lexicon(lexicon)
    if output == "-" and raw and vocoder == "voice":
        status = _stream_raw(loaded.stream(spoken, seed=seed, lexicon=words))
    else:
        speech = loaded.say(spoken, seed=seed, lexicon=words)
        status = str(speech.status)
        if as_json:
            print_json(_described(speech))
        if status != "nothing_to_say":
            _write_speech(loaded, speech, output, raw, vocoder)
    if status == "nothing_to_say":
        raise TextError("the text holds nothing to say: give some words")
    if status == "truncated":
        click.echo("warning: a sentence went wrong and was cut", err=True)


def _described(speech: Any) -> dict[str, Any]:
    """What is known of a spoken text, times in seconds."""
    return {
        "status": str(speech.status),
        "seconds": len(speech.samples) / speech.sample_rate,
        "sample_rate": speech.sample_rate,
        "words": [
            {"text": w.text, "start": w.start, "end": w.end, "span": list(w.span)}
            for w in speech.words
        ],
    }


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


@click.command("text")
@click.argument("text", required=False)
@click.option("-f", "--file", type=_PATH, help="Read a text file; without TEXT, standard input.")
@click.option("--voice", type=VOICE, help="Read as this voice does.")
@click.option("--frontend", default=TextConfig.frontend, show_default=True, help="Without --voice.")
@click.option("--lexicon", type=_PATH, help="File of pronunciations: `word  HH AH0 L OW1` a line.")
@json_option("One JSON object a piece, one a line.")
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
