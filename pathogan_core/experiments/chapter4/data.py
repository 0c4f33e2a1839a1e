"""The real images of both classes, and what every step of the chapter needs (thesis 4.2.2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pathogan_core.cad.image_sets import NON_TUMOUR, TUMOUR, ImageSet
from pathogan_core.cohorts.prepare_parameters import PreparationParameters
from pathogan_core.cohorts.prepared import PreparedSlices
from pathogan_core.cohorts.simulated import prepare_simulated
from pathogan_core.cohorts.slice_classes import CLASSES, SliceClasses
from pathogan_core.cohorts.slices import fit_frame, resize_area
from pathogan_core.experiments.chapter4.parameters import DIVISIONS, Parameters
from pathogan_core.experiments.workplace import Workplace, with_fewer_patients
from pathogan_core.places import data_root, project_root

SEQUENCE = "t1c"
LABELS = {"tumour": TUMOUR, "non_tumour": NON_TUMOUR}


@dataclass(frozen=True)
class Chapter(Workplace):
    """What every step needs: parameters, prepared slices, the rule for classes, the run store.

    Args:
        progress: show bars on standard error while something trains.
    """

    parameters: Parameters
    prepared: PreparedSlices
    progress: bool = False

    @classmethod
    def open(cls, parameters: Parameters, *, progress: bool = False) -> Chapter:
        """With the slices that the parameters name; a simulated cohort is made once.

        Raises:
            PathoganError: the folder holds no prepared slices, or none of the size that is needed.
        """
        prepared = _prepared_slices(parameters)
        if parameters.train_patients:
            prepared = with_fewer_patients(prepared, parameters.train_patients)
        return cls(parameters, prepared, progress)

    @property
    def classes(self) -> SliceClasses:
        """The rule for tumour and non-tumour."""
        p = self.parameters
        return SliceClasses(p.tumour_rule, p.tumour_voxels, p.every, p.brain_fraction)

    def slices(self, name: str) -> PreparedSlices:
        """The slices of one class, ``tumour`` or ``non_tumour``."""
        return self.classes.select(self.prepared, name)

    def provenance(self, split: str, name: str | None = None) -> dict[str, Any]:
        """Of real images, for a record: of one class, or of both."""
        chosen = self.slices(name) if name else self._both()
        return chosen.provenance(SEQUENCE, self.parameters.slice_size, split)

    def gan_images(self, name: str) -> np.ndarray:
        """The training images of a class as PGGAN sees them, uint8 ``[N, gan_size, gan_size]``."""
        images = self.slices(name).images(SEQUENCE, self.parameters.slice_size, "train")
        return fit_frame(images, self.parameters.gan_size)

    def classifier_images(self, split: str, name: str) -> np.ndarray:
        """Real images of a class, uint8 ``[N, classifier_size, classifier_size]``."""
        images = self.slices(name).images(SEQUENCE, self.parameters.slice_size, split)
        return shrunk(images, self.parameters.classifier_size)

    def patients(self, split: str, name: str) -> np.ndarray:
        """Whose each of `classifier_images` is."""
        return self.slices(name).patients_of(SEQUENCE, split)

    @cached_property
    def training(self) -> ImageSet:
        """The real training images of both classes, which all arms of this chapter share."""
        return self.labelled("train")

    def labelled(self, split: str) -> ImageSet:
        """Real images of both classes, tumour first."""
        images = [self.classifier_images(split, name) for name in CLASSES]
        return ImageSet("real", np.concatenate(images), labels_of(map(len, images)))

    def for_classifier(self, generated: np.ndarray) -> np.ndarray:
        """PGGAN's images, uint8 ``[N, gan_size, gan_size]``, as the classifier gets them."""
        if self.parameters.crop_first:
            generated = fit_frame(generated, self.parameters.slice_size)
        return shrunk(generated, self.parameters.classifier_size)

    def _both(self) -> PreparedSlices:
        used = self.classes.of(self.prepared.table) != ""
        return self.prepared.select(used, {"classes": list(CLASSES), **asdict(self.classes)})


def shrunk(images: np.ndarray, size: int) -> np.ndarray:
    """uint8 ``[N, S, S]`` to ``[N, size, size]`` by area averaging; as they are at this size."""
    if images.shape[1] == size:
        return images
    parts = np.array_split(images, max(1, len(images) // 500))  # floats of all would be large
    return np.concatenate([resize_area(part, size).round().astype(np.uint8) for part in parts])


def labels_of(counts: Iterable[int]) -> np.ndarray:
    """One label for each image, where each class has so many, in the order of `CLASSES`."""
    return np.repeat([LABELS[name] for name in CLASSES], list(counts))


def _prepared_slices(parameters: Parameters) -> PreparedSlices:
    if parameters.prepared:
        # Not the working directory: Jupyter's and papermill's is the notebook's own folder.
        return PreparedSlices.open(project_root() / Path(parameters.prepared).expanduser())
    folder = f"brats2016-axial-sim{parameters.patients}-seed{parameters.data_seed}"
    if parameters.division != "possible":
        folder += f"-{parameters.division}"
    return prepare_simulated(
        data_root() / folder,
        parameters.patients,
        parameters.data_seed,
        replace(PreparationParameters.section4(), split=DIVISIONS[parameters.division]),
        workers=2,
    )
