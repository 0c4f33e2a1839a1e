"""ResNet on one arm's images, tested on the same held-out patients as every other (4.2.4)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pathogan_core.cad import resnet50
from pathogan_core.cad.image_sets import TUMOUR, ImageSet, Mixture
from pathogan_core.cohorts.slice_classes import CLASSES
from pathogan_core.evaluation import classification
from pathogan_core.evaluation.classification import HeldOut
from pathogan_core.experiments.chapter4 import configurations
from pathogan_core.experiments.chapter4.data import Chapter
from pathogan_core.experiments.chapter4.parameters import Parameters
from pathogan_core.experiments.store import Measurement, Outcome, Run, RunSpec
from pathogan_core.experiments.weights import load_network
from pathogan_core.training.checkpoint import save_tensors
from pathogan_core.training.loop import train

CLASSIFIER = "classifier.safetensors"
SCORES = "scores.safetensors"
"""Of a finished run: tumour probabilities of validation and test images, with truth and patient."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What a classifier says of a split's images.

    Args:
        labels: ``[N]``, 1 tumour and 0 non-tumour.
        patients: ``[N]``, whose image each is.
        scores: probabilities of tumour ``[N]``.
    """

    labels: np.ndarray
    patients: np.ndarray
    scores: np.ndarray

    @property
    def held_out(self) -> HeldOut:
        """Truth and patients, as the evaluation takes them: of two patients or more."""
        return HeldOut(self.labels, self.patients)

    @property
    def accuracy(self) -> float:
        """Share of images on the right side of the threshold."""
        called = self.scores >= classification.THRESHOLD
        return float((called == (self.labels == TUMOUR)).mean())


def train_classifier(
    chapter: Chapter,
    setup: str,
    sets: Sequence[ImageSet],
    made_from: Mapping[str, Any],
    training: str,
    seed: int,
) -> Run:
    """The classifier of these images, measured on the test patients: found, resumed or trained.

    Args:
        setup: the run's name on pages.
        sets: what it learns from; their names, counts and augmentation are part of its identity.
        made_from: by name of a set that is not real, an entry of the record's inputs.
        training: of `configurations.INITIAL`.
        seed: of initial weights, batches, dropout and augmentation.

    Raises:
        MissingImageNetWeights: these are needed and not there.
    """
    p = chapter.parameters
    config = configurations.classifier(p, training)
    steps = p.epochs * config.steps_per_epoch(sum(map(len, sets)))
    composition = [[part.name, len(part), part.augmented] for part in sets]
    spec = RunSpec(
        chapter="ch4",
        setup=setup,
        method=config.model,
        revision=resnet50.REVISION,
        config={
            **asdict(config),
            "steps": steps,
            "sets": composition,
            "image_size": p.classifier_size,
            "slice_size": p.slice_size,
        },
        inputs={
            "images": chapter.provenance("train"),
            "validation": chapter.provenance("validation"),
            "test": chapter.provenance("test"),
            **made_from,
        },
        scale=p.scale,
        seed=seed,
    )

    def run(folder: Path) -> Outcome:
        mixture, validation = Mixture(sets, chapter.device), chapter.labelled("validation")
        weights = configurations.imagenet_weights(p)
        program = resnet50.program(config, mixture, validation, seed, chapter.device, weights)
        options = chapter.loop_options(steps)
        clock = train(program, folder, steps=steps, seed=seed, options=options)
        network = resnet50.tested(config, program)
        save_tensors(folder / CLASSIFIER, network.state_dict(), {"config": {"depth": p.depth}})
        _save_answers(chapter, network, folder / SCORES)
        return Outcome(clock.step, clock.images, clock.seconds, chapter.device)

    trained = chapter.store.train_or_load(spec, run)
    return chapter.store.measured(trained, _measurement(chapter))


def judging(p: Parameters) -> str:
    """The training of a classifier that judges images for all arms.

    Pre-trained where such arms are asked for and the ImageNet weights are there, else from scratch:
    without these weights everything but the pre-trained arms works.
    """
    weights = configurations.imagenet_weights(p)
    usable = "pretrained" in p.trainings and weights is not None and weights.is_file()
    return "pretrained" if usable else "scratch"


def real_only(chapter: Chapter, training: str, seed: int) -> Run:
    """The baseline: real images as they are."""
    return train_classifier(
        chapter, arm_setup("real", training, seed), [chapter.training], {}, training, seed
    )


def arm_setup(arm: str, training: str, seed: int) -> str:
    """The set-up's name of one arm and seed, e.g. ``arm-classic-munit-scratch-seed0``."""
    return f"arm-{arm}-{training}-seed{seed}"


def parts_of_arm_setup(setup: str) -> tuple[str, str, int] | None:
    """Arm, training and seed of an `arm_setup`; None for the name of anything else."""
    found = re.fullmatch(r"arm-(.+)-([a-z]+)-seed([0-9]+)", setup)
    return (found[1], found[2], int(found[3])) if found else None


def answers(run: Run, split: str = "test") -> Answers:
    """A finished classifier's answers to the images of ``validation`` or ``test``.

    Raises:
        PathoganError: the file is missing or damaged.
    """
    tensors, header = run.load_tensors(SCORES)
    scores, labels, owners = (
        tensors[f"{split}/{what}"].numpy() for what in ("scores", "labels", "patients")
    )
    return Answers(labels, np.array(header["patients"][split])[owners], scores)


def load_classifier(run: Run) -> resnet50.TumourClassifier:
    """A finished run's network; see `weights.load_network` for what is refused."""
    return load_network(run, lambda values: resnet50.TumourClassifier(values["depth"]), CLASSIFIER)


def _save_answers(chapter: Chapter, network: torch.nn.Module, path: Path) -> None:
    tensors, names = {}, {}
    for split in ("validation", "test"):
        images = chapter.labelled(split)
        patients = np.concatenate([chapter.patients(split, name) for name in CLASSES])
        unique, owners = np.unique(patients, return_inverse=True)
        names[split] = unique.tolist()
        tensors[f"{split}/scores"] = torch.from_numpy(resnet50.predict(network, images.images))
        tensors[f"{split}/labels"] = torch.from_numpy(images.labels)
        tensors[f"{split}/patients"] = torch.from_numpy(owners)
    save_tensors(path, tensors, {"patients": names})


def _measurement(chapter: Chapter) -> Measurement:
    def measure(run: Run) -> dict[str, dict[str, Any]]:
        test = answers(run)
        found = classification.measure(test.held_out, test.scores)
        return {name: metric.as_json() for name, metric in found.items()}

    measured_with = {
        "held_out": chapter.provenance("test"),
        "resamples": classification.RESAMPLES,
        "revision": classification.REVISION,
    }
    return Measurement(measured_with, measure)
