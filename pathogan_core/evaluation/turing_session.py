"""Making, administering and scoring a blinded Visual Turing Test.

`export_session` writes a folder that can be handed to a reader once its `key/` is taken out:

    session/
      001.png .. 100.png   in shuffled order, half of them real
      session.json         how many images and how they are shown; nothing about the truth
      key/key.csv          image,truth and, if a class is asked for too, class_truth
      key/key.json         the seed (it fixes the order, so it belongs with the key)

Nothing but the pixels may tell real from synthetic: all files have one size, bit depth, encoder
setting, length in bytes (PNG is stored, not compressed: a noisy background would give a longer
file) and modification time, and carry no metadata.

The thesis (section 3.2.3) shows 50 real and 50 synthetic images in random order without training.
How they were windowed, enlarged and timed it does not say: here that is fixed by the session.
Section 4.2.5 asks a second question of each image, tumour or non-tumour; see `turing_classes`.
"""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.csv_rows import read_rows
from pathogan_core.evaluation.turing import (
    REAL,
    SYNTHETIC,
    TRUTHS,
    Answer,
    TuringResult,
    judge_readers,
)
from pathogan_core.evaluation.turing_answers import (
    CLASS_COLUMNS,
    checked_class,
    checked_truth,
)
from pathogan_core.evaluation.turing_classes import ImageClasses
from pathogan_core.files import atomic_write, cannot_write, write_json

SESSION_FILE = "session.json"
KEY_FILE = "key/key.csv"
KEY_COLUMNS = ("image", "truth")
SHEET_COLUMNS = ("reader", "image", "answer")
CLASS_TRUTH, CLASS_ANSWER = CLASS_COLUMNS
FILE_TIME = 946684800  # 2000-01-01: one modification time for all files
Upscaling = Literal["smooth", "pixelated"]


def export_session(
    real: np.ndarray,
    synthetic: np.ndarray,
    folder: str | Path,
    *,
    per_class: int = 50,
    seed: int,
    window: tuple[int, int] | None = None,
    upscaling: Upscaling = "smooth",
    classes: ImageClasses | None = None,
) -> Path:
    """Write a blinded, balanced set of images with its key.

    Args:
        real, synthetic: uint8 `[N, H, W]` and `[M, H, W]`, same H and W; `per_class` of each are
            drawn without replacement.
        folder: new or empty; appears only when complete.
        per_class: images of each truth (thesis: 50; with classes 100).
        seed: fixes which images are drawn and their order.
        window: grey values `(low, high)` stretched to 0..255, the same for both truths.
        upscaling: how the widget enlarges the images, the same for every reader.
        classes: of both sets of images. Then half of each truth is of either class, and the
            reader is asked for the class too.

    Returns:
        The folder.

    Raises:
        PathoganError: too few images, another dtype or shape, a window that is none, a folder
            that holds something, or one that cannot be written; as `ImageClasses.draw`.
    """
    folder = Path(folder).absolute()
    _check_images(real, synthetic, per_class)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise PathoganError("exists already", where=folder, remedy="choose a new folder")

    rng = np.random.default_rng(seed)
    drawn = {
        truth: rng.choice(len(pool), per_class, replace=False)
        if classes is None
        else classes.draw(truth, len(pool), per_class, rng)
        for truth, pool in ((REAL, real), (SYNTHETIC, synthetic))
    }
    images = np.concatenate([real[drawn[REAL]], synthetic[drawn[SYNTHETIC]]])
    key = {"truth": np.repeat(TRUTHS, per_class)}
    if classes is not None:
        key[CLASS_TRUTH] = np.concatenate([classes.of(truth)[drawn[truth]] for truth in TRUTHS])
    order = rng.permutation(2 * per_class)
    images = _windowed(images[order], window)
    digits = max(3, len(str(2 * per_class)))
    names = [f"{number:0{digits}d}.png" for number in range(1, 2 * per_class + 1)]

    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    try:
        for name, image in zip(names, images, strict=True):
            _write_png(partial / name, image)
        key_rows = zip(names, *(column[order] for column in key.values()), strict=True)
        write_csv(partial / KEY_FILE, ("image", *key), key_rows)
        write_json(partial / "key" / "key.json", {"seed": seed, "per_class": per_class})
        session = {
            "schema": 1,
            "images": names,
            "height": images.shape[1],
            "width": images.shape[2],
            "real": per_class,
            "synthetic": per_class,
            "window": list(window) if window else None,
            "upscaling": upscaling,
        }
        if classes is not None:
            session["classes"] = list(classes.names)
        write_json(partial / SESSION_FILE, session)
        for path in [partial, *partial.rglob("*")]:
            os.utime(path, (FILE_TIME, FILE_TIME))
        partial.replace(folder)
    except OSError as error:
        raise cannot_write(folder, error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _check_images(real: np.ndarray, synthetic: np.ndarray, per_class: int) -> None:
    for name, images in ((REAL, real), (SYNTHETIC, synthetic)):
        if images.ndim != 3 or images.dtype != np.uint8:
            raise PathoganError(
                f"{name} images are {images.dtype} of shape {images.shape}",
                remedy="give uint8 [N, H, W], the same conversion for both truths",
            )
        if not 1 <= per_class <= len(images):
            raise PathoganError(
                f"{per_class} {name} images wanted, {len(images)} given",
                remedy="give more images or a per_class from 1 to that number",
            )
    if real.shape[1:] != synthetic.shape[1:]:
        raise PathoganError(
            f"real images are {real.shape[1:]}, synthetic ones {synthetic.shape[1:]} pixels",
            remedy="bring both to one size: the size would tell them apart",
        )


def _windowed(images: np.ndarray, window: tuple[int, int] | None) -> np.ndarray:
    if window is None:
        return images
    low, high = window
    if not 0 <= low < high <= 255:
        raise PathoganError(f"window {window} is none", remedy="give 0 <= low < high <= 255")
    scaled = (images.astype(np.float32) - low) / (high - low)
    return np.rint(255 * np.clip(scaled, 0, 1)).astype(np.uint8)


def _write_png(path: Path, image: np.ndarray) -> None:
    stored = io.BytesIO()
    Image.fromarray(image).save(stored, "PNG", compress_level=0)
    with atomic_write(path) as handle:
        handle.write(stored.getvalue())


def write_csv(path: Path, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Write a CSV atomically."""
    with atomic_write(path, "w") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def read_key(path: str | Path) -> dict[str, str]:
    """Truth by image name from a session's `key.csv`."""
    return {image: truth for image, (truth, _) in _key_rows(path).items()}


def read_key_classes(path: str | Path) -> dict[str, str]:
    """Class by image name from a session's `key.csv`; empty if no class was asked for."""
    return {image: shown for image, (_, shown) in _key_rows(path).items() if shown}


def _key_rows(path: str | Path) -> dict[str, tuple[str, str]]:
    """Truth and class, perhaps empty, by image name."""
    rows: dict[str, tuple[str, str]] = {}
    for place, row in read_rows(path, KEY_COLUMNS, (CLASS_TRUTH,)):
        if row["image"] in rows:
            raise PathoganError(
                f"{place}: {row['image']} is given twice", where=path, remedy="use the exported key"
            )
        truth = checked_truth(row["truth"], "truth", place, path)
        rows[row["image"]] = truth, row.get(CLASS_TRUTH, "").lower()
    if len({shown == "" for _, shown in rows.values()}) > 1:
        raise PathoganError(
            f"{CLASS_TRUTH} is empty for some images", where=path, remedy="use the exported key"
        )
    return rows


def join_key(answers: str | Path, key: str | Path) -> list[Answer]:
    """Answers to a session (CSV with `reader,image,answer`) with the truth from its `key.csv`.

    With a key that holds classes, `class_answer` is read too; it is empty where the reader stopped
    before the second question.

    Raises:
        PathoganError: bad rows in either file, an image that the key does not know, one that a
            reader answered twice, or a class answer where the key has no such class.
    """
    truths = _key_rows(key)
    names = sorted({shown for _, shown in truths.values() if shown})
    joined: list[Answer] = []
    seen: set[tuple[str, str]] = set()
    for place, row in read_rows(answers, SHEET_COLUMNS, (CLASS_ANSWER,)):
        reader, image = row["reader"], row["image"]
        said_class = row.get(CLASS_ANSWER, "")
        problem = (
            "reader is empty"
            if not reader
            else f"{image!r} is no image of {key}"
            if image not in truths
            else f"{reader} answered {image} before"
            if (reader, image) in seen
            else f"{CLASS_ANSWER} is given, but {key} has no {CLASS_TRUTH}"
            if said_class and not names
            else None
        )
        if problem:
            raise PathoganError(
                f"{place}: {problem}", where=answers, remedy="give the answers to this session"
            )
        seen.add((reader, image))
        said = checked_truth(row["answer"], "answer", place, answers)
        truth, shown = truths[image]
        if said_class:
            named = checked_class(said_class, names, place, answers)
            joined.append(Answer(reader, truth, said, shown, named))
        else:
            joined.append(Answer(reader, truth, said))
    return joined


def score_answers(
    answers: str | Path, key: str | Path, *, positive: str | None = None
) -> dict[str, TuringResult]:
    """Results per reader and pooled ("all") of a session's answers and its key.

    A reader who stopped early is scored on what they answered, and the result's notes say so:
    someone who stops when it goes well is not a random sample.

    Args:
        answers, key: as `join_key`.
        positive: the class that sensitivity is about, as in `turing.judge_readers`.

    Raises:
        PathoganError: as `join_key` and `turing.judge_readers`.
    """
    joined = join_key(answers, key)
    images, classes = len(read_key(key)), set(read_key_classes(key).values())
    results = judge_readers(joined, positive, classes)
    for reader, answered in Counter(answer.reader for answer in joined).items():
        named = sum(a.reader == reader and a.class_answer is not None for a in joined)
        notes = []
        if answered < images:
            notes.append(f"stopped early: {answered} of {images} images answered")
        if classes and named < answered:
            notes.append(f"class named for {named} of {answered} images answered")
        results[reader] = replace(results[reader], notes=(*results[reader].notes, *notes))
    return results


def score_session(
    folder: str | Path,
    answers: str | Path,
    *,
    key: str | Path | None = None,
    positive: str | None = None,
) -> dict[str, TuringResult]:
    """`score_answers` with the key of a session's folder, or `key` if it was taken out.

    Args:
        folder: what `export_session` wrote.
        answers: CSV with `reader,image,answer`, as the widget writes it.
        key: where the key is, if not in the folder.
        positive: as `score_answers`.
    """
    return score_answers(answers, key or Path(folder) / KEY_FILE, positive=positive)
