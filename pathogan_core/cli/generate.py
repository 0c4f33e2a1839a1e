"""`pathogan generate`: images from the weights of a finished run."""

from __future__ import annotations

import difflib
import math
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pathogan_core.errors import PathoganError
from pathogan_core.files import atomic_write, cannot_write, sha256_of_file, write_json

if TYPE_CHECKING:
    import numpy as np

    from pathogan_core.cli.artists import Artist
    from pathogan_core.experiments.store import Run

PROVENANCE = "generated.json"
BATCH = 64
"""Latents drawn together: always as many, because rounding may differ between batch sizes."""
SHEET_IMAGES = 256
NAMES_TOLD = 8


def generate(
    run: Annotated[
        str,
        typer.Argument(
            help="A name from `pathogan runs list` or its beginning, a committed result such as "
            "ch3/wgan-t1c-128, or a run's folder."
        ),
    ],
    out: Annotated[
        Path, typer.Option(help=f"Folder to make, of PNG files (8-bit grey) and {PROVENANCE}.")
    ],
    count: Annotated[int, typer.Option("-n", "--count", help="How many images.")] = 64,
    seed: Annotated[int, typer.Option(help="Same run and seed, same images.")] = 0,
    boxes: Annotated[
        Path | None,
        typer.Option(
            help="CSV with image,xmin,ymin,xmax,ymax: the boxes that a CPGGAN is asked for, "
            "image by image; without it those that are stored with a committed run, moved about."
        ),
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(help=f"PNG file to show the first {SHEET_IMAGES} of them in, side by side."),
    ] = None,
) -> None:
    """Draw images with a finished run's generator.

    Of a CPGGAN the folder also holds the boxes that were asked for, as CSV and in COCO's format,
    and a model card.

    Image i depends on the run and the seed, not on how many are drawn.

    The folder appears whole or not at all.
    """
    from pathogan_core.cli.artists import artist_of
    from pathogan_core.cli.boxed_images import write_boxes, write_card

    if count < 1:
        raise PathoganError(f"is {count}", where="-n", remedy="draw at least 1 image")
    if sheet is not None and sheet.suffix.lower() != ".png":
        raise PathoganError(f"is {sheet}", where="--sheet", remedy="name a .png file")
    out = out.expanduser().resolve()
    _refuse_occupied(out)
    found = find_run(run)
    artist = artist_of(found, count, seed, boxes)
    with whole_folder(out) as folder:
        first = _write_images(_drawn(artist, count, seed), count, folder)
        told = provenance(found, count, seed)
        write_json(folder / PROVENANCE, told)
        if artist.boxes is not None:
            names = [_name(number) for number in range(count)]
            write_boxes(folder, names, artist.boxes, first.shape[-1])
            write_card(folder, told, found.record.metrics)
        if sheet is not None:
            sheet = sheet.expanduser().resolve()
            inside = sheet.is_relative_to(out)
            _write_sheet(first, folder / sheet.relative_to(out) if inside else sheet)
    typer.echo(
        f"{out}: {count} images by {found.record.run} ({found.record.setup}, trained on "
        f"{told['source']} data, scale {found.record.scale}), seed {seed}"
    )


def find_run(given: str) -> Run:
    """The finished run that a name, its beginning, or a folder stands for.

    Raises:
        PathoganError: there is none or there are several, or its record is damaged or of another.
    """
    from pathogan_core.experiments.records import read_record
    from pathogan_core.experiments.store import RECORD, Run

    folder = Path(given).expanduser()
    if (folder / RECORD).is_file():
        return Run(folder, read_record(folder / RECORD))
    named = _finished_runs()
    fitting = [given] if given in named else sorted(n for n in named if n.startswith(given))
    if not fitting:
        raise _no_finished_run(given, named)
    if len(fitting) > 1:
        raise PathoganError(
            "fits several runs", where=given, remedy=f"choose one of {_listed(fitting)}"
        )
    folder = named[fitting[0]]
    record = read_record(folder / RECORD)
    if folder.name not in (record.run, record.setup):
        raise PathoganError(
            f"is the record of another run ({record.run})",
            where=folder / RECORD,
            remedy=f"delete the folder {folder.name} to make it again, or restore it from a copy",
        )
    return Run(folder, record)


def _finished_runs() -> dict[str, Path]:
    """Folders by name: of the run store, and of committed results as ``<chapter>/<set-up>``."""
    from pathogan_core.experiments.store import RECORD
    from pathogan_core.places import results_root, runs_root

    named = {path.parent.name: path.parent for path in runs_root().glob(f"*/{RECORD}")}
    for path in results_root().glob(f"*/*/{RECORD}"):
        named[path.parent.relative_to(results_root()).as_posix()] = path.parent
    return named


def _no_finished_run(given: str, named: Iterable[str]) -> PathoganError:
    from pathogan_core.experiments.store import CONFIG, unfinished_runs
    from pathogan_core.places import runs_root

    begun = any(folder.name.startswith(given) for folder in unfinished_runs(runs_root()))
    if begun or (Path(given).expanduser() / CONFIG).is_file():
        return PathoganError("is not finished", where=given, remedy="train it to its end first")
    near = difflib.get_close_matches(given, named, NAMES_TOLD) or sorted(named)
    return PathoganError(
        "is no finished run",
        where=given,
        remedy=f"there is {_listed(near)}" if near else "there is none yet: run a notebook first",
    )


def _listed(names: list[str]) -> str:
    return ", ".join(names[:NAMES_TOLD]) + (", ..." if names[NAMES_TOLD:] else "")


def provenance(run: Run, count: int, seed: int) -> dict[str, Any]:
    """The content of `generated.json`: what drew the images, and what it had learnt from.

    `source` is ``simulated`` or ``real``, or both joined by ``+``. `code_version` is of the code
    that drew; that of the code that trained is in `run`.
    """
    from pathogan_core.experiments.records import code_version
    from pathogan_core.experiments.store import GENERATOR

    record = run.record.as_json()
    told = ("run", "chapter", "setup", "method", "revision", "scale", "seed", "config", "inputs",
            "code_version")  # fmt: skip
    sources = {str(given.get("source")) for given in run.record.inputs.values()}
    return {
        "run": {name: record[name] for name in told},
        "weights_sha256": sha256_of_file(run.folder / GENERATOR),
        "source": "+".join(sorted(sources)),
        "seed": seed,
        "count": count,
        "code_version": code_version(),
    }


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """A hidden folder beside `out` to fill: it becomes `out` at the end, or is removed.

    If the process is killed it stays, and is cleared by the next call for the same `out`.

    Raises:
        PathoganError: `out` holds files (another process was quicker), or cannot be written.
    """
    from pathogan_core.cohorts.prepare_store import LOCK, locked

    folder = out.with_name(f".{out.name}.partial")
    with locked(folder):
        try:
            _refuse_occupied(out)
            _clear(folder, LOCK)
            yield folder
            folder.rename(out)  # with the lock inside: who waits for it begins anew
            (out / LOCK).unlink()
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, OSError):
                raise cannot_write(out, error) from error
            raise


def _clear(folder: Path, kept: str) -> None:
    for entry in folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name != kept:
            entry.unlink()


def _refuse_occupied(out: Path) -> None:
    try:
        if out == Path.cwd():  # it would be replaced under the caller's shell
            raise PathoganError("is the working folder", where=out, remedy="name another one")
        if out.exists() and not out.is_dir():
            raise PathoganError("is not a folder", where=out, remedy="name a new one")
        if out.exists() and any(out.iterdir()):
            raise PathoganError("holds files", where=out, remedy="name a new or an empty folder")
    except OSError as error:
        raise cannot_write(out, error) from error


def _drawn(artist: Artist, count: int, seed: int) -> Iterator[np.ndarray]:
    """The images, uint8 ``[S, S]``, without holding them all in memory."""
    import numpy as np
    import torch

    from pathogan_core.gans.sampling import latent_stream

    stream = latent_stream(seed)
    for begin in range(0, count, BATCH):
        latents = torch.from_numpy(stream.standard_normal((BATCH, artist.latent), np.float32))
        yield from artist.draw(latents, begin)[: count - begin]


def _name(number: int) -> str:
    return f"{number:06}.png"


def _write_images(images: Iterator[np.ndarray], count: int, folder: Path) -> np.ndarray:
    """Write ``000000.png`` and so on; returns the first ones, ``[<= SHEET_IMAGES, S, S]``."""
    import numpy as np
    from PIL import Image
    from tqdm import tqdm

    first: list[np.ndarray] = []
    with tqdm(images, total=count, unit="image", leave=False, disable=None) as bar:
        for number, image in enumerate(bar):
            with atomic_write(folder / _name(number)) as handle:
                Image.fromarray(image).save(handle, "png")
            if number < SHEET_IMAGES:
                first.append(image)
    return np.stack(first)


def _write_sheet(images: np.ndarray, path: Path) -> None:
    """Show `images` in a square, as far as they go, and black after the last one."""
    import numpy as np

    from pathogan_core.figures.images import contact_sheet

    columns = math.ceil(math.sqrt(len(images)))
    black = np.zeros((-len(images) % columns, *images.shape[1:]), np.uint8)
    with atomic_write(path) as handle:
        handle.write(contact_sheet(np.concatenate([images, black]), columns))
