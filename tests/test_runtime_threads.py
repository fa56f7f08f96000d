"""Two threads a stream, many streams a voice: the same bytes, and nothing left behind."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from speaking import LONG, SSML, TEXT, samples, threads, watched

from tts_kit.errors import TextError, VoiceError
from tts_kit.runtime import Voice, pipeline
from tts_kit.runtime.pipeline import AHEAD, Ahead


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    assert threads() == set()


def description(chunks: Any) -> list[tuple[Any, ...]]:
    return [(c.samples.tobytes(), c.span, c.words, c.index, c.status, c.final) for c in chunks]


@pytest.mark.parametrize(
    ("text", "schedule"),
    [
        (TEXT, (1,)),
        (LONG * 5, None),
        *((t, s) for t in (LONG, SSML, "", "...") for s in (None, (500,))),
    ],
)
def test_the_same_chunks_with_two_threads(
    voice: Voice, piped: Voice, text: str, schedule: tuple[int, ...] | None
) -> None:
    alone = description(voice.stream(text, seed=4, chunk_frames=schedule))
    assert description(piped.stream(text, seed=4, chunk_frames=schedule)) == alone
    parts = [text[i : i + 7] for i in range(0, len(text), 7)]
    assert description(piped.stream(iter(parts), seed=4, chunk_frames=schedule)) == alone
    assert description(voice.stream(iter(parts), seed=4, chunk_frames=schedule)) == alone


class Meeting:
    """Makes runs wait for one another: they only end if they overlap."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.names: set[str] = set()

    def begin(self) -> None:
        self.names.add(threading.current_thread().name)
        self.begun.set()

    def wait(self) -> None:
        assert self.begun.wait(20), "nothing ran at the same time"


def test_the_decoder_runs_beside_the_vocoder(voice: Voice) -> None:
    met = Meeting()

    def decode(outputs: list[Any], run: int) -> list[Any]:
        if run == 3:
            met.begin()
        return outputs

    def vocode(outputs: list[Any], run: int) -> list[Any]:
        if run == 2:
            met.wait()
        return outputs

    made, _ = watched(voice, pipeline=True, decoder=decode, vocoder=vocode)
    assert samples(made.stream(TEXT)).tobytes() == samples(voice.stream(TEXT)).tobytes()
    assert met.names == {pipeline.NAME}


def test_the_next_sentence_is_encoded_while_the_last_one_is_vocoded(voice: Voice) -> None:
    met = Meeting()

    def encode(outputs: list[Any], run: int) -> list[Any]:
        if run == 2:
            met.begin()
        return outputs

    def vocode(outputs: list[Any], run: int) -> list[Any]:
        if run == 4:  # the last chunk of the first sentence
            met.wait()
        return outputs

    made, _ = watched(voice, pipeline=True, encoder=encode, vocoder=vocode)
    assert len(samples(made.stream("Hello there. Bye!"))) == 2 * 480 + 1600


def test_one_thread_would_have_waited(voice: Voice, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault of the two tests above."""
    met = Meeting()
    monkeypatch.setattr(met.begun, "wait", lambda _: False)

    def vocode(outputs: list[Any], run: int) -> list[Any]:
        met.wait()
        return outputs

    with pytest.raises(VoiceError, match="nothing ran at the same time"):
        watched(voice, vocoder=vocode)


def test_only_a_few_pieces_are_made_ahead(voice: Voice) -> None:
    made, sessions = watched(voice, pipeline=True)
    with made.stream(TEXT, chunk_frames=(1,)) as stream:
        next(stream)
        assert sessions["decoder"].runs == 1 and threads(wait=0) == set()
        next(stream)
        for _ in range(200):
            if sessions["decoder"].runs > 2 + AHEAD:
                break
            threading.Event().wait(0.005)
        threading.Event().wait(0.1)
        assert sessions["decoder"].runs <= 2 + AHEAD + 1
        assert threads(wait=0) == {pipeline.NAME}
    runs = sessions["decoder"].runs
    assert stream.status == "cancelled" and list(stream) == []
    assert threads() == set() and sessions["decoder"].runs == runs


def test_without_the_thread_nothing_is_made_ahead(voice: Voice) -> None:
    made, sessions = watched(voice)
    before = threading.active_count()
    stream = made.stream(TEXT)
    for number in (0, 1, 2):
        runs = {name: session.runs for name, session in sessions.items()}
        assert runs == {n: min(1, number) if n == "encoder" else number for n in runs}
        next(stream)
    assert threading.active_count() <= before + 1  # the watchdog
    stream.close()
    assert list(stream) == [] and sessions["decoder"].runs == 3 and stream.status == "cancelled"


def test_a_long_text_starts_with_its_first_sentence(voice: Voice) -> None:
    made, sessions = watched(voice, pipeline=True)
    with made.stream("Hello there. " * 100_000) as stream:
        next(stream)
        assert sessions["encoder"].runs == 1 and sessions["vocoder"].runs == 1


def forget(stream: Any) -> None:
    del stream


def fail(outputs: list[Any], run: int) -> list[Any]:
    if run >= 3:
        raise RuntimeError("planted")
    return outputs


@pytest.mark.parametrize("how", ["end", "close", "with", "forget", "collect"])
def test_no_thread_is_left(piped: Voice, how: str) -> None:
    gc.disable()
    try:
        stream = piped.stream(LONG * 20)
        next(stream), next(stream)
        assert threads(wait=0) == {pipeline.NAME}
        if how == "end":
            list(stream)
        elif how == "close":
            stream.close()
        elif how == "with":
            with pytest.raises(ZeroDivisionError), stream:
                raise ZeroDivisionError
        elif how == "forget":
            del stream
        else:
            stream.itself = stream  # type: ignore[attr-defined]
            del stream
            assert threads(wait=0.05) == {pipeline.NAME}
            gc.collect()
        assert threads() == set()
    finally:
        gc.enable()


@pytest.mark.parametrize("graph", ["decoder", "vocoder", "postnet"])
def test_no_thread_is_left_by_an_error(voice: Voice, graph: str) -> None:
    made, _ = watched(voice, pipeline=True, **{graph: fail})
    stream = made.stream(LONG)
    with pytest.raises(VoiceError, match=f"the graph {graph} failed: planted"):
        list(stream)
    assert threads() == set()
    with pytest.raises(StopIteration):
        next(stream)
    assert stream.status == "truncated"


def test_a_leaked_thread_would_be_seen(piped: Voice, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault of the tests above."""
    close = Ahead.close
    monkeypatch.setattr(Ahead, "close", lambda self: None)
    leaked = []
    init = Ahead.__init__

    def keep(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        leaked.append(self)

    monkeypatch.setattr(Ahead, "__init__", keep)
    stream = piped.stream(LONG * 20)
    next(stream), next(stream)
    stream.close()
    assert threads(wait=0.2) == {pipeline.NAME}
    for ahead in leaked:
        close(ahead)


@pytest.mark.parametrize("pipelined", [False, True])
def test_an_iterator_is_asked_by_the_callers_thread_and_no_sooner(
    voice: Voice, pipelined: bool
) -> None:
    made = Voice(voice.info, voice.sessions, pipeline=pipelined)
    asked: list[tuple[int, int]] = []
    heard = 0

    def parts() -> Iterator[str]:
        for part in ("Hello there. ", "How are you? ", "Fine."):
            asked.append((threading.get_ident(), heard))
            yield part

    for chunk in made.stream(parts()):
        heard += len(chunk.samples)
    assert {thread for thread, _ in asked} == {threading.get_ident()}
    assert [samples for _, samples in asked] == [0, 0, 480]  # a sentence needs to see the next word


@pytest.mark.parametrize("pipelined", [False, True])
def test_errors_of_the_text_reach_the_caller(voice: Voice, pipelined: bool) -> None:
    made = Voice(voice.info, voice.sessions, pipeline=pipelined)
    with pytest.raises(TextError, match="not well formed"):
        list(made.stream("<speak>One"))

    def parts() -> Iterator[str]:
        yield "Hello there. And "
        raise ZeroDivisionError

    stream = made.stream(parts())
    with pytest.raises(ZeroDivisionError):
        list(stream)


def test_a_handover_passes_everything_in_order_and_then_the_error() -> None:
    def things() -> Any:
        yield from range(100)
        raise ZeroDivisionError

    with Ahead(things()) as ahead:
        assert [next(ahead) for _ in range(100)] == list(range(100))
        with pytest.raises(ZeroDivisionError):
            next(ahead)
        with pytest.raises(StopIteration):
            next(ahead)
