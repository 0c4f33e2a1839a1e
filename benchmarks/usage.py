"""What work costs: wall-clock time, processor time and memory of a process and its workers."""

from __future__ import annotations

import re
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

from pathogan_core.errors import PathoganError

Result = TypeVar("Result")

STATUS = Path("/proc/self/status")
MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True)
class Reading:
    """Seconds on the wall clock, and seconds of all processors together."""

    wall_s: float
    cpu_s: float

    def __sub__(self, earlier: Reading) -> Reading:
        return Reading(self.wall_s - earlier.wall_s, self.cpu_s - earlier.cpu_s)


def now() -> Reading:
    """The clocks as they stand; only differences mean something.

    Processor time is user and system time of every thread of this process, and of its child
    processes once they have ended.
    """
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return Reading(time.perf_counter(), sum(usage.ru_utime + usage.ru_stime for usage in used))


def peak_memory() -> int:
    """Most bytes that one process held resident: this one, or one of its ended children.

    It is a maximum over processes, not a sum, and counts pages that processes share in each.
    """
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * MAXRSS_BYTES
    return max(_own_peak(), children)


def _own_peak() -> int:
    # On Linux ru_maxrss begins with the memory of the process that started this one (for children
    # that is this process, which the maximum counts anyway); VmHWM begins afresh.
    if STATUS.exists() and (found := re.search(r"VmHWM:\s+(\d+) kB", STATUS.read_text())):
        return int(found[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * MAXRSS_BYTES


def in_fresh_process(function: Callable[..., Result], *arguments: Any) -> Result:
    """`function(*arguments)` in a process of its own, so that its peak memory is its own too.

    Raises:
        PathoganError: the operating system killed the process.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(function, *arguments).result()
        except BrokenProcessPool as error:
            raise PathoganError(
                "the process that measured was killed, perhaps for lack of memory",
                remedy="measure less at a time with --only, --workers or --scans",
            ) from error
