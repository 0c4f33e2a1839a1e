"""Measure training, detection, cohorts, evaluation on this machine: `python -m benchmarks`."""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any, NoReturn

import torch

from benchmarks.cohorts import OPERATIONS, CohortCase
from benchmarks.detection import DETECTORS, DetectionCase
from benchmarks.elsewhere import compared
from benchmarks.evaluation import FrocCase
from benchmarks.machine import described, machine
from benchmarks.methods import METHODS
from benchmarks.rows import Row, table
from benchmarks.training import TrainingCase
from benchmarks.usage import in_fresh_process
from pathogan_core.errors import PathoganError
from pathogan_core.files import cannot_write, write_json

SCHEMA = 2  # of the JSON file
DEVICES = ("cpu", "cuda")
CUDA_STEPS = (50, 500)  # warm-up, timed
CUDA_IMAGES = (20, 200)
SCANS, WORKERS = 8, (1, 2)

SIZES = {
    **{name: tuple(method.sizes) for name, method in METHODS.items()},
    **{name: tuple(detector.sizes) for name, detector in DETECTORS.items()},
}
FROC, FROC_MARKS = "froc", 50
WHAT = (*SIZES, *OPERATIONS, FROC)
FROC_SCANS, QUICK_FROC_SCANS = 888, 3  # the first as in LUNA16
QUICK_STEPS, QUICK_SCANS, QUICK_WORKERS = (1, 2), 1, (1,)

Run = Callable[..., Any]


class OneLineParser(argparse.ArgumentParser):
    """Bad options are a `PathoganError`, as all bad input is."""

    def error(self, message: str) -> NoReturn:
        raise PathoganError(message, remedy="--help shows what can be given")


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    made = OneLineParser(prog="python -m benchmarks", description=__doc__)
    made.add_argument(
        "--only",
        nargs="+",
        choices=WHAT,
        default=WHAT,
        metavar="WHAT",
        help=f"of {', '.join(WHAT)}; all by default",
    )
    made.add_argument(
        "--size", type=whole, nargs="+", metavar="PIXELS", help="images of these only; default: all"
    )
    made.add_argument("--device", choices=DEVICES, help="networks there only; default: on each")
    made.add_argument("--threads", type=whole, help="of PyTorch; its own default if not given")
    made.add_argument("--steps", type=whole, help="timed steps, or images; default: see README.md")
    made.add_argument("--scans", type=whole, help=f"size of the cohort; default: {SCANS}")
    made.add_argument(
        "--workers",
        type=whole,
        nargs="+",
        help=f"processes that share the scans; default: {' and '.join(map(str, WORKERS))}",
    )
    made.add_argument(
        "--quick", action="store_true", help="small and short: tries the command, measures nothing"
    )
    made.add_argument("--markdown", action="store_true", help="print a Markdown table")
    made.add_argument("--json", type=Path, metavar="FILE", help="write figures and machine there")
    return made


def whole(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def network_cases(given: argparse.Namespace) -> Iterator[TrainingCase | DetectionCase]:
    """Every method and detector, size and precision, on the devices that are wanted and there."""
    if given.device == "cuda" and not torch.cuda.is_available():
        raise PathoganError("there is none", where="--device cuda", remedy="use --device cpu")
    refuse_unknown_sizes(given)
    there = [name for name in DEVICES if name == "cpu" or torch.cuda.is_available()]
    for device in [given.device] if given.device else there:
        yield from training_cases(given, device)
        yield from detection_cases(given, device)


def training_cases(given: argparse.Namespace, device: str) -> Iterator[TrainingCase]:
    """Every method, size and precision that is asked for."""
    for (name, size), bf16 in itertools.product(sized(given, METHODS), (False, True)):
        method = METHODS[name]
        warmup, timed = method.cpu_steps if device == "cpu" else CUDA_STEPS
        if given.quick:
            warmup, timed = QUICK_STEPS
        yield TrainingCase(
            name, size, bf16, device, method.at(size, quick=given.quick),
            warmup=warmup, steps=given.steps or timed, threads=given.threads,
        )  # fmt: skip


def detection_cases(given: argparse.Namespace, device: str) -> Iterator[DetectionCase]:
    """Every detector and size that is asked for."""
    for name, size in sized(given, DETECTORS):
        detector = DETECTORS[name]
        warmup, timed = detector.cpu_images if device == "cpu" else CUDA_IMAGES
        if given.quick:
            warmup, timed = QUICK_STEPS
        yield DetectionCase(
            name, size, device, detector.at(size, quick=given.quick),
            warmup=warmup, images=given.steps or timed, threads=given.threads,
        )  # fmt: skip


def sized(given: argparse.Namespace, known: Iterable[str]) -> list[tuple[str, int]]:
    """Names and sizes that are asked for, of those that are known."""
    return [
        (name, size)
        for name in known
        if name in given.only
        for size in SIZES[name]
        if size in (given.size or SIZES[name])
    ]


def refuse_unknown_sizes(given: argparse.Namespace) -> None:
    """A size at which nothing of what is asked for works would be left out in silence."""
    known = {size for name, sizes in SIZES.items() if name in given.only for size in sizes}
    if strange := sorted(set(given.size or ()) - known):
        raise PathoganError(
            f"nothing is measured at {strange[0]} px",
            where="--size",
            remedy=f"choose from {', '.join(map(str, sorted(known)))}" if known else "leave it out",
        )


def cohort_cases(given: argparse.Namespace, folder: Path) -> Iterator[CohortCase]:
    """Every operation by every number of workers; simulating comes first, for the others."""
    scans = given.scans or (QUICK_SCANS if given.quick else SCANS)
    teams = given.workers or (QUICK_WORKERS if given.quick else WORKERS)
    operations = [name for name in OPERATIONS if name in given.only]
    for operation, workers in itertools.product(operations, teams):
        if workers > scans:
            raise PathoganError(
                f"{workers} cannot share {scans}", where="--workers", remedy="give more --scans"
            )
        yield CohortCase(operation, workers, scans, folder)


def evaluation_cases(given: argparse.Namespace, folder: Path) -> Iterator[FrocCase]:
    """The command that judges a detector of nodules, if asked for."""
    if FROC in given.only:
        yield FrocCase(QUICK_FROC_SCANS if given.quick else FROC_SCANS, FROC_MARKS, folder)


def measure(given: argparse.Namespace, run: Run) -> list[Row]:
    """All rows that are asked for, one after the other."""
    rows = []
    with TemporaryDirectory() as folder:
        cases: list[TrainingCase | DetectionCase | CohortCase | FrocCase] = [
            *network_cases(given),
            *cohort_cases(given, Path(folder)),
            *evaluation_cases(given, Path(folder)),
        ]
        for number, case in enumerate(cases, 1):
            print(f"{number}/{len(cases)} {case.name}", file=sys.stderr, flush=True)
            if isinstance(case, CohortCase | FrocCase):
                run(case.provide)
            rows.append(run(case.measure))
    return rows


def report(given: argparse.Namespace, run: Run) -> None:
    """Measure, print the table, write the JSON file."""
    if given.json:
        refuse_unwritable(given.json)
    facts = machine()
    rows = measure(given, run)
    if given.quick:
        print("QUICK: too small and too short to say anything about speed\n")
    print(described(facts), table(rows, markdown=given.markdown), sep="\n\n")
    if not given.quick and (beside := compared(rows)):
        print(f"\n{beside}")
    if given.json:
        settings = {case.name: case.settings for case in network_cases(given)}
        content = {"schema": SCHEMA, "quick": given.quick, "machine": facts, "settings": settings}
        write_json(given.json, content | {"rows": [row.as_json() for row in rows]})


def refuse_unwritable(path: Path) -> None:
    """Find out before the measurements, not after them."""
    if path.is_dir():
        raise PathoganError("is a folder", where=path, remedy="name a file for --json")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise cannot_write(path, error) from error


def main(arguments: Sequence[str] | None = None, run: Run = in_fresh_process) -> int:
    """The command; `run` calls what is measured, in a process of its own by default."""
    try:
        report(parser().parse_args(arguments), run)
    except PathoganError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("benchmarks: interrupted, nothing was written", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
