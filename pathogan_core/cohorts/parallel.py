"""One function over many scans, in order, without holding many results."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

from pathogan_core.errors import PathoganError

Item = TypeVar("Item")
Result = TypeVar("Result")


def ordered_map(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[Result]:
    """`map(function, items)` on `workers` processes; at most two results a worker wait.

    Args:
        function: must be importable by a fresh process (or `functools.partial` of such a function).
        items: drawn as they are needed.
        workers: 1 stays in this process.

    Raises:
        PathoganError: if the operating system kills a worker.
    """
    if workers <= 1:
        yield from map(function, items)
        return
    # Forking a process that runs torch or SimpleITK threads can deadlock: start afresh instead.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        under_way: deque[Future[Result]] = deque()
        try:
            for item in items:
                under_way.append(pool.submit(function, item))
                if len(under_way) >= 2 * workers:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        except BrokenProcessPool as error:
            raise PathoganError(
                "a process was killed, perhaps for lack of memory",
                where=f"{workers} workers",
                remedy="use fewer workers and run the same command again",
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)
