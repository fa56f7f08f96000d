"""A pool of processes for work on clips."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

from tts_kit.errors import UsageError
from tts_kit.evaluation.clip import Job

_Result = TypeVar("_Result")


class Workers:
    """A pool of processes, or none for one job; a progress bar over what they do."""

    def __init__(self, jobs: int, *, progress: bool) -> None:
        self._jobs, self._progress = jobs, progress
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Workers:
        if self._jobs > 1:
            context = get_context("spawn")
            self._pool = ProcessPoolExecutor(self._jobs, mp_context=context)
        return self

    def __exit__(self, *error: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def run(
        self, work: Callable[[Job], _Result], jobs: Sequence[Job], title: str
    ) -> Iterator[_Result]:
        """``work`` on each of ``jobs``, results in their order, each as soon as it is there."""
        from tqdm import tqdm

        shown = tqdm(
            self._results(work, jobs),
            title,
            len(jobs),
            unit="clip",
            disable=not self._progress,
        )
        try:
            yield from shown
        except BrokenProcessPool as error:
            raise UsageError("a measuring process died: free memory, or use --jobs 1") from error

    def _results(self, work: Callable[[Job], _Result], jobs: Sequence[Job]) -> Iterator[_Result]:
        return map(work, jobs) if self._pool is None else self._pool.map(work, jobs)
