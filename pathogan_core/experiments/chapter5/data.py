"""Slices with their boxes, and what every step of the chapter needs (thesis 5.2.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pathogan_core import boxes as box_rules
from pathogan_core.cohorts import prepared_lesions, rough_boxes
from pathogan_core.cohorts.prepare_parameters import PreparationParameters
from pathogan_core.cohorts.prepared import PreparedSlices
from pathogan_core.cohorts.simulated_metastases import prepare_metastases
from pathogan_core.experiments.chapter5.parameters import DIVISIONS, Parameters
from pathogan_core.experiments.workplace import Workplace, with_fewer_patients
from pathogan_core.places import data_root, project_root

SEQUENCE = "t1c"
METASTASES, NORMAL = "metastases", "normal"


@dataclass(frozen=True, eq=False)
class BoxedSlices:
    """Real slices of a split: images, what is drawn around their lesions, and whose they are.

    Args:
        images: uint8 ``[N, S, S]``.
        rough: a hurried annotator's boxes in each, ``[n, 4]`` in pixels (`pathogan_core.boxes`).
        exact: the lesions' tight boxes in each.
        patients: ``[N]``.
    """

    images: np.ndarray
    rough: Sequence[np.ndarray]
    exact: Sequence[np.ndarray]
    patients: np.ndarray

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class Chapter(Workplace):
    """What every step needs: parameters, prepared slices, the run store.

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
            prepared = with_fewer_patients(prepared, parameters.train_patients, METASTASES)
        return cls(parameters, prepared, progress)

    @property
    def frame(self) -> int:
        """Pixels of 1 mm along a slice's side, before it is shrunk."""
        return int(self.prepared.info["parameters"]["frame"])

    @cached_property
    def _rough(self) -> list[np.ndarray]:
        """Rough boxes in pixels of the frame, for each of the prepared rows."""
        p, table = self.parameters, self.prepared.table
        exact = prepared_lesions.exact_boxes(self.prepared, self.frame)
        drawn = rough_boxes.annotate_slices(
            exact, list(table["patient"]), list(table["slice"]), p.annotation_seed, p.roughness,
            self.frame,
        )  # fmt: skip
        return [boxes for boxes, _ in drawn]

    @cached_property
    def annotated(self) -> PreparedSlices:
        """The slices of patients with metastases in which an annotator drew a box.

        The thesis' images are tumour-bearing ones (`facts` 4.5): what its counts imply.
        """
        boxed = np.array([len(boxes) > 0 for boxes in self._rough], bool)
        ill = (self.prepared.table["grade"] == METASTASES).to_numpy(bool)
        return self.prepared.select(boxed & ill, {"slices": "annotated", **self._annotation})

    @cached_property
    def normal(self) -> PreparedSlices:
        """Slices of normal subjects with enough brain; only CPGGAN ever sees them."""
        p, table = self.parameters, self.prepared.table
        used = (
            (table["grade"] == NORMAL)
            & (table["brain_fraction"] >= p.brain_fraction)
            & (table["slice"] % p.every == 0)
        ).to_numpy(bool)
        selection = {"slices": NORMAL, "brain_fraction": p.brain_fraction, "every": p.every}
        return self.prepared.select(used, selection)

    @property
    def _annotation(self) -> dict[str, Any]:
        p = self.parameters
        return {"roughness": p.roughness, "annotation_seed": p.annotation_seed}

    def provenance(self, split: str, *, every: bool = False) -> dict[str, Any]:
        """Of a split's slices, for a record; arguments as of `slices`.

        Every slice has its boxes with it, so that other boxes are another fingerprint.
        """
        return self._chosen(every).provenance(SEQUENCE, self.parameters.image_size, split)

    def _chosen(self, every: bool) -> PreparedSlices:
        return self._all if every else self.annotated

    @cached_property
    def _all(self) -> PreparedSlices:
        chosen = np.ones(len(self.prepared.table), bool)
        return self.prepared.select(chosen, {"slices": "all", **self._annotation})

    def slices(self, split: str, *, every: bool = False) -> BoxedSlices:
        """The annotated slices of a split.

        Args:
            every: all that were prepared, also those in which no box was drawn.
        """
        size, chosen = self.parameters.image_size, self._chosen(every)
        by_row = dict(zip(self.prepared.rows.tolist(), self._rough, strict=True))
        rows = chosen.rows_of(split).tolist()
        return BoxedSlices(
            images=chosen.images(SEQUENCE, size, split),
            rough=[by_row[row] * (size / self.frame) for row in rows],
            exact=prepared_lesions.exact_boxes(chosen, size, split),
            patients=chosen.patients_of(SEQUENCE, split),
        )

    @cached_property
    def training(self) -> BoxedSlices:
        """The annotated training slices."""
        return self.slices("train")

    def normal_images(self) -> np.ndarray:
        """uint8 ``[N, S, S]``."""
        return self.normal.images(SEQUENCE, self.parameters.image_size, "train")


def drawn(boxes: Sequence[np.ndarray], size: int) -> np.ndarray:
    """Boxes of each image as an image, uint8 ``[N, size, size]``: 0 outside, 255 in a box."""
    images = np.zeros((len(boxes), size, size), np.uint8)
    for image, some in zip(images, boxes, strict=True):
        image[:] = np.rint(255 * box_rules.drawn(some, size))
    return images


def _prepared_slices(parameters: Parameters) -> PreparedSlices:
    p = parameters
    if p.prepared:
        # Not the working directory: Jupyter's and papermill's is the notebook's own folder.
        return PreparedSlices.open(project_root() / Path(p.prepared).expanduser())
    folder = f"brain_metastases-sim{p.patients}-{p.normals}-seed{p.data_seed}"
    if p.division != "thesis":
        folder += f"-{p.division}"
    chosen = replace(PreparationParameters.section5(), split=DIVISIONS[p.division])
    return prepare_metastases(
        data_root() / folder, p.patients, p.normals, p.data_seed, chosen, workers=2
    )
