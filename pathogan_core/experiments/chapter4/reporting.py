"""What the chapter's page shows of its runs, beyond their records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pathogan_core.cohorts.slice_classes import CLASSES
from pathogan_core.cohorts.splits import SPLITS
from pathogan_core.evaluation import classification
from pathogan_core.evaluation.classification import HeldOut
from pathogan_core.evaluation.memorisation import nearest, pixel_vectors
from pathogan_core.evaluation.metric import Metric
from pathogan_core.evaluation.turing_classes import ImageClasses
from pathogan_core.evaluation.turing_session import export_session
from pathogan_core.experiments import pooling
from pathogan_core.experiments.chapter4 import classifying, measuring
from pathogan_core.experiments.chapter4.data import Chapter
from pathogan_core.experiments.published_table2 import ARM_LABELS, TRAINING_LABELS
from pathogan_core.experiments.store import IDENTITY_DIGITS, Run
from pathogan_core.files import sha256_of_value
from pathogan_core.places import runs_root

TURING_IMAGES = 100
"""Real and generated images in a Visual Turing Test, each; half of them with a tumour (4.2.5)."""
TURING_CLASSES = ("tumour", "non-tumour")


@dataclass(frozen=True)
class TestedArm:
    """An arm's measures, the mean over its seeds, as `figures.classification` draws them."""

    arm: str
    training: str
    metrics: Mapping[str, Metric]
    seeds: int

    @property
    def group(self) -> str:
        """How the network began."""
        return TRAINING_LABELS[self.training]

    @property
    def label(self) -> str:
        """What was added to the real images."""
        return ARM_LABELS[self.arm]

    @property
    def short(self) -> str:
        """The number of its row in Table 2."""
        return str(list(ARM_LABELS).index(self.arm) + 1)

    @property
    def accuracy(self) -> Metric:
        """Share of test images that are called right."""
        return self.metrics["accuracy"]

    @property
    def sensitivity(self) -> Metric:
        """Share of tumour images that are called tumour."""
        return self.metrics["sensitivity"]

    @property
    def specificity(self) -> Metric:
        """Share of non-tumour images that are called non-tumour."""
        return self.metrics["specificity"]


def tested_arms(runs: Mapping[str, Sequence[Run]], training: str) -> list[TestedArm]:
    """Every arm of one training, in the order given; see `classification.measure_seeds`."""
    found = []
    for arm, own in runs.items():
        told = [classifying.answers(run) for run in own]
        held_out: HeldOut = told[0].held_out
        metrics = classification.measure_seeds(held_out, np.stack([one.scores for one in told]))
        found.append(TestedArm(arm, training, metrics, len(own)))
    return found


def followed(chapter: Chapter, name: str, count: int) -> list[dict[str, np.ndarray]]:
    """The first images of a class at every stage, and the training image nearest to PGGAN's.

    Returns:
        For each image uint8 ``[S, S]`` by ``nearest`` and the names of `measuring.STAGES`.
    """
    stages = measuring.stages(chapter, name)
    images = {kind: pooling.images_of(run)[:count] for kind, run in stages.items()}
    images["nearest"] = nearest_real(chapter, name, images["pggan"])
    return [dict(zip(images, row, strict=True)) for row in zip(*images.values(), strict=True)]


def nearest_real(chapter: Chapter, name: str, generated: np.ndarray) -> np.ndarray:
    """The training image of a class that is most like each generated one, in its pixels."""
    real = chapter.classifier_images("train", name)
    fake = pixel_vectors(measuring.large_enough(np.array(generated)))
    found = nearest(
        fake, pixel_vectors(measuring.large_enough(real)), chapter.patients("train", name)
    )
    return real[found.indices]


def turing_session(chapter: Chapter, kind: str) -> Path:
    """Table 3's Visual Turing Test of one stage: made once, found again with the same arguments.

    Real images are of test patients, where these have enough of them.

    Returns:
        The session's folder, below the run store; see `turing_session.export_session`.
    """
    seed = chapter.parameters.seed
    runs = {name: measuring.stage(chapter, kind, name) for name in CLASSES}
    made_of = sha256_of_value([run.record.run for run in runs.values()])[:IDENTITY_DIGITS]
    held_out = chapter.prepared.fingerprint[:IDENTITY_DIGITS]
    folder = runs_root() / "turing" / f"{kind}-{made_of}-{held_out}-{seed}"
    if not folder.exists():
        real = {name: _held_out(chapter, name) for name in CLASSES}
        synthetic = {name: pooling.images_of(run) for name, run in runs.items()}
        export_session(
            np.concatenate(list(real.values())),
            np.concatenate(list(synthetic.values())),
            folder,
            per_class=TURING_IMAGES,
            seed=seed,
            classes=ImageClasses(TURING_CLASSES, _named(real), _named(synthetic)),
        )
    return folder


def _held_out(chapter: Chapter, name: str) -> np.ndarray:
    """A class's test images, or all of them where a session needs more."""
    images = chapter.classifier_images("test", name)
    if len(images) >= TURING_IMAGES // 2:
        return images
    return np.concatenate([chapter.classifier_images(split, name) for split in SPLITS])


def _named(images: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.repeat(TURING_CLASSES, [len(images[name]) for name in CLASSES])


def brain_widths(chapter: Chapter, name: str = "tumour") -> dict[bool, float]:
    """Mean width of brains on the classifier's input, with and without cropping first.

    Real training images take both ways that a generated image can take from PGGAN's frame.

    Returns:
        Relative to the real images as the classifier gets them, by `Parameters.crop_first`.
    """
    real, framed = _width(chapter.classifier_images("train", name)), chapter.gan_images(name)
    widths = {}
    for crop_first in (True, False):
        parameters = replace(chapter.parameters, crop_first=crop_first)
        seen = replace(chapter, parameters=parameters).for_classifier(framed)
        widths[crop_first] = _width(seen) / real
    return widths


def _width(images: np.ndarray) -> float:
    """Standard deviation of the signal's place across, mean over images: exact below a pixel."""
    signal = images.sum(axis=1, dtype=float)
    share = signal / signal.sum(axis=1, keepdims=True)
    place = np.arange(images.shape[2])
    centre = share @ place
    return float(np.sqrt((share * (place - centre[:, None]) ** 2).sum(axis=1)).mean())
