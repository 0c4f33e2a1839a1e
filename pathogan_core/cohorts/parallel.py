"""One function over many scans, in order, without holding many results."""

from __future__ import annotations

import ast
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
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
        PathoganError: if a script calls this outside ``if __name__ == "__main__":``, or the
            operating system kills a worker.
    """
    if workers <= 1:
        yield from map(function, items)
        return
    _refuse_unguarded_script()
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


def _refuse_unguarded_script() -> None:
    """Refuse where the workers, which import the main script again, would run it all over.

    They would wait for the folder that this process holds, and it for them, for ever.
    """
    main = sys.modules["__main__"]
    script = getattr(main, "__file__", None)
    if script is None or getattr(getattr(main, "__spec__", None), "name", "").endswith("__main__"):
        return  # an interpreter, a notebook or `python -m package`: workers import none of these
    running = [
        line
        for frame, line in traceback.walk_stack(None)
        if frame.f_globals is vars(main) and frame.f_code.co_name == "<module>"
    ]
    try:
        tree = ast.parse(Path(script).read_bytes())
    except (OSError, SyntaxError) as error:  # read from standard input, removed or changed since
        raise PathoganError(
            "cannot be imported again, as worker processes do",
            where=script,
            remedy="save the script to a file, or use 1 worker",
        ) from error
    guards = [
        range(node.lineno, (node.end_lineno or node.lineno) + 1)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)
    ]
    for line in running:
        if not any(line in guard for guard in guards):
            raise PathoganError(
                "starts worker processes, each of which would run the whole script again",
                where=f"{script}, line {line}",
                remedy='put the call below `if __name__ == "__main__":`, or use 1 worker',
            )
