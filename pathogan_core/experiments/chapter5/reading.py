"""Visual Turing Tests of GANs that place lesions: whole slices, and lesions alone.

Not in the thesis. The first publication asks three physicians, 50 real against 50 synthetic images
in each of four tests: lesions of 32 px, then whole slices, without and with normal subjects.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pathogan_core.cohorts.splits import SPLITS
from pathogan_core.evaluation.turing_session import export_session
from pathogan_core.experiments.chapter5.data import BoxedSlices, Chapter
from pathogan_core.experiments.chapter5.lesions import (
    real_lesions,
    synthetic_lesions,
    synthetic_slices,
)
from pathogan_core.experiments.store import IDENTITY_DIGITS, Run
from pathogan_core.files import sha256_of_value
from pathogan_core.places import runs_root

SHOWN = ("lesions", "slices")
"""What a test can show, in the order of the first publication."""
TURING_IMAGES = 50
"""Real and synthetic images in a test, each; fewer where there are fewer."""


def turing_session(chapter: Chapter, run: Run, shown: str) -> Path:
    """A test of one GAN: made once, found again with the same arguments.

    Real images are of annotated test slices, or of all splits where these have too few.

    Args:
        run: the GAN, live or committed.
        shown: a name of `SHOWN`.

    Returns:
        The session's folder, below the run store; see `turing_session.export_session`.

    Raises:
        PathoganError: the run draws images of another size than the chapter's slices.
    """
    p = chapter.parameters
    asked = [p.shift, p.zoom, p.least_left]
    made_of = sha256_of_value([run.record.run, chapter.annotated.fingerprint, asked])
    name = f"{shown}-{run.record.setup}-{made_of[:IDENTITY_DIGITS]}-{p.seed}"
    folder = runs_root() / "turing" / name
    if not folder.exists():
        real, synthetic = _real(chapter, shown), _synthetic(chapter, run, shown)
        each = min(TURING_IMAGES, len(real), len(synthetic))
        export_session(real, synthetic, folder, per_class=each, seed=p.seed)
    return folder


def _real(chapter: Chapter, shown: str) -> np.ndarray:
    images = _of(chapter.slices("test"), shown)
    if len(images) >= TURING_IMAGES:
        return images
    return np.concatenate([_of(chapter.slices(split), shown) for split in SPLITS])


def _of(slices: BoxedSlices, shown: str) -> np.ndarray:
    return real_lesions(slices).images if shown == "lesions" else slices.images


def _synthetic(chapter: Chapter, run: Run, shown: str) -> np.ndarray:
    if shown == "lesions":
        return synthetic_lesions(chapter, run, TURING_IMAGES).images
    return synthetic_slices(chapter, run, TURING_IMAGES)[0]
