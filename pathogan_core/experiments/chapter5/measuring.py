"""Whether CPGGAN's lesions lie where they are asked for, beside real ones (thesis 5.3.1)."""

from __future__ import annotations

from typing import Any

from pathogan_core.evaluation import placement
from pathogan_core.experiments.chapter5 import placing
from pathogan_core.experiments.chapter5.data import Chapter
from pathogan_core.experiments.store import Measurement, Run


def measured(chapter: Chapter, gan: str) -> Run:
    """A GAN with the contrast of the boxes that it is asked for in its record's metrics."""
    run = placing.train_gan(chapter, gan)
    p = chapter.parameters

    def measure(run: Run) -> dict[str, dict[str, Any]]:
        boxes, _ = placing.asked(chapter, p.asked_images)
        images = placing.fill(run, boxes, p.seed)
        return as_json(placement.placement(images, boxes, seed=p.seed))

    measured_with = {
        "generated": p.asked_images,
        "boxes": {"shift": p.shift, "zoom": p.zoom, "least_left": p.least_left},
        "seed": p.seed,
        "revision": placement.REVISION,
    }
    return chapter.store.measured(run, Measurement(measured_with, measure))


def of_real(chapter: Chapter) -> dict[str, dict[str, Any]]:
    """The same of real training slices with their own rough boxes: what there is to reach."""
    real = chapter.training
    metrics = placement.placement(real.images, real.rough, seed=chapter.parameters.seed)
    return as_json(metrics)


def as_json(metrics: dict[str, placement.Metric]) -> dict[str, dict[str, Any]]:
    """As a record holds them."""
    return {name: metric.as_json() for name, metric in metrics.items()}
