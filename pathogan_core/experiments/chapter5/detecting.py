"""YOLOv3 on one arm's images, tested on the same held-out patients as every other (5.2.3)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pathogan_core.cad import detections as found_in
from pathogan_core.cad import yolov3
from pathogan_core.cad.anchors import Anchors, anchors_of
from pathogan_core.cad.boxed_images import BoxedImages, BoxedMixture
from pathogan_core.cad.yolov3_networks import YOLOv3
from pathogan_core.evaluation import detection, detection_comparison, paired
from pathogan_core.evaluation.detection import Detections, Truth
from pathogan_core.experiments.chapter5 import configurations
from pathogan_core.experiments.chapter5.answering import (
    DETECTIONS,
    SLICES,
    TRUTHS,
    Answers,
    answers,
    packed,
)
from pathogan_core.experiments.chapter5.data import Chapter
from pathogan_core.experiments.chapter5.filling import flattened
from pathogan_core.experiments.store import Measurement, Outcome, Run, RunSpec
from pathogan_core.experiments.weights import load_network
from pathogan_core.files import atomic_write
from pathogan_core.training.checkpoint import save_tensors
from pathogan_core.training.loop import train

REVISION = 2  # raise when a change here alters the measures of a finished run
DETECTOR = "detector.safetensors"
SELECTION_IOU = 0.5


def train_detector(
    chapter: Chapter,
    setup: str,
    sets: Sequence[BoxedImages],
    made_from: Mapping[str, Any],
    seed: int,
) -> Run:
    """The detector of these images, measured on the test patients: found, resumed or trained.

    Args:
        setup: the run's name on pages.
        sets: what it learns from; their names and counts are part of its identity.
        made_from: by name of a set that is not real, an entry of the record's inputs.
        seed: of initial weights, batches, sizes and augmentation.
    """
    p = chapter.parameters
    config = configurations.detector(p, arm_anchors(chapter, sets))
    spec = RunSpec(
        chapter="ch5",
        setup=setup,
        method="yolov3",
        revision=yolov3.REVISION,
        config={
            **asdict(config),
            "steps": p.detector_steps,
            "sets": [[part.name, len(part)] for part in sets],
            "image_size": p.image_size,
        },
        inputs={
            "images": chapter.provenance("train"),
            "validation": chapter.provenance("validation"),
            "test": chapter.provenance("test", every=True),
            **made_from,
        },
        scale=p.scale,
        seed=seed,
    )

    def run(folder: Path) -> Outcome:
        validation = chapter.slices("validation")
        truth = _truth(validation.rough)

        def sensitivity(found: list[found_in.Detections]) -> float:
            outcomes = detection.match(truth, gathered(found), [SELECTION_IOU])
            point = detection.operating_point(outcomes, SELECTION_IOU, config.score_threshold)
            return point.sensitivity or 0.0

        program = yolov3.program(
            config, BoxedMixture(sets, chapter.device), validation.images, sensitivity, seed,
            chapter.device,
        )  # fmt: skip
        options = chapter.loop_options(p.detector_steps)
        clock = train(program, folder, steps=p.detector_steps, seed=seed, options=options)
        network = program.best("detector")
        header = {"config": {"width": config.width, "depth": config.depth}}
        save_tensors(folder / DETECTOR, network.state_dict(), header)
        test = chapter.slices("test", every=True)
        found = gathered(yolov3.predict(network, test.images, config))
        truths = {kind: _truth(getattr(test, kind)) for kind in TRUTHS}
        given = Answers(test.patients, truths, found)
        with atomic_write(folder / DETECTIONS) as handle:
            handle.write(packed(given, p.image_size))
        return Outcome(clock.step, clock.images, clock.seconds, chapter.device)

    trained = chapter.store.train_or_load(spec, run)
    return chapter.store.measured(trained, _measurement(chapter))


def arm_anchors(chapter: Chapter, sets: Sequence[BoxedImages]) -> Anchors:
    """Of all boxes of an arm, in pixels of the training size.

    Of several training sizes their mean, which is our choice: anchors are pixels of the network's
    input, whatever its size.
    """
    p = chapter.parameters
    boxes = np.concatenate([np.reshape(part.boxes, (-1, 4)) for part in sets])
    return anchors_of(boxes, scale=float(np.mean(p.detector_sizes)) / p.image_size)


def arm_setup(arm: str, seed: int) -> str:
    """The set-up's name of one arm and seed, e.g. ``arm-cpggan-normal-4k-seed0``."""
    return f"arm-{arm}-seed{seed}"


def parts_of_arm_setup(setup: str) -> tuple[str, int] | None:
    """Arm and seed of an `arm_setup`; None for the name of anything else."""
    found = re.fullmatch(r"arm-(.+)-seed([0-9]+)", setup)
    return (found[1], int(found[2])) if found else None


def gathered(found: Sequence[found_in.Detections]) -> Detections:
    """Detections by image as one list that names the image of each."""
    boxes, images = flattened([one.boxes.astype(np.float64) for one in found])
    scores = np.concatenate([np.empty(0), *(one.scores for one in found)])
    return Detections(images, boxes, scores)


def load_detector(run: Run) -> YOLOv3:
    """A finished run's network; see `weights.load_network` for what is refused."""
    return load_network(run, lambda values: YOLOv3(values["width"], values["depth"]), DETECTOR)


def metric_name(measure: str, iou: float, slices: str = "annotated", truth: str = "rough") -> str:
    """What a record calls a measure of `detection_comparison` on these slices and boxes."""
    return f"{slices}/{truth}/{iou:g}/{measure}"


def _measurement(chapter: Chapter) -> Measurement:
    def measure(run: Run) -> dict[str, dict[str, Any]]:
        everything, metrics = answers(run), {}
        for slices in SLICES:
            tested = everything.among(slices)
            for truth in TRUTHS:
                outcomes = tested.outcomes(truth)
                for iou in detection.IOUS:
                    found = detection_comparison.measure([outcomes], tested.patients, iou=iou)
                    for name, metric in found.items():
                        metrics[metric_name(name, iou, slices, truth)] = metric.as_json()
        return metrics

    measured_with = {
        "held_out": chapter.provenance("test", every=True),
        "resamples": paired.RESAMPLES,
        "revision": [REVISION, detection.REVISION],
    }
    return Measurement(measured_with, measure)


def _truth(boxes: Sequence[np.ndarray]) -> Truth:
    corners, images = flattened(boxes)
    return Truth(len(boxes), images, corners)
