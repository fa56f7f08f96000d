"""A voice in an asyncio application: chunks by an async generator, computed on another thread.

python examples/asyncio_app.py VOICE "One." "Two."     # both at once, into 0.wav and 1.wav

Nothing here blocks the event loop. At most ``AHEAD`` chunks wait to be taken; leaving the generator
early (``aclosing``, a cancelled task) stops the computing within a chunk.
"""

from __future__ import annotations

import asyncio
import queue
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np

from tts_kit.audio import write_wav
from tts_kit.runtime import Chunk, Voice

AHEAD = 4


async def speak(voice: Voice, text: str, **options: Any) -> AsyncIterator[Chunk]:
    """The chunks of ``voice.stream(text, **options)``; its errors are raised here."""
    loop = asyncio.get_running_loop()
    room = queue.Queue[None](AHEAD)  # what is not taken yet: the thread waits when it is full
    ready = asyncio.Queue[Chunk | BaseException | None]()
    stopped = False

    def work() -> None:
        last: BaseException | None = None
        try:
            with voice.stream(text, **options) as stream:
                for chunk in stream:
                    room.put(None)
                    if stopped:
                        break
                    loop.call_soon_threadsafe(ready.put_nowait, chunk)
        except Exception as error:
            last = error
        loop.call_soon_threadsafe(ready.put_nowait, last)

    done = loop.run_in_executor(None, work)
    try:
        while (chunk := await ready.get()) is not None:
            if isinstance(chunk, BaseException):
                raise chunk
            room.get_nowait()
            yield chunk
    finally:
        stopped = True
        while not room.empty():  # a thread that waits for room shall see it
            room.get_nowait()
        await done


async def save(voice: Voice, text: str, target: Path) -> None:
    """A client: takes each chunk as it comes."""
    parts = []
    async with aclosing(speak(voice, text)) as chunks:
        async for chunk in chunks:
            parts.append(chunk.samples)
            print(f"{target}: {len(chunk.samples)} samples, {chunk.status}")
    write_wav(target, np.concatenate(parts), voice.sample_rate)


async def main() -> None:
    voice = await asyncio.to_thread(Voice.load, sys.argv[1])
    texts = sys.argv[2:]
    await asyncio.gather(*(save(voice, text, Path(f"{i}.wav")) for i, text in enumerate(texts)))


if __name__ == "__main__":
    asyncio.run(main())
