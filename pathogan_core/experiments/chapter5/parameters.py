"""What chapter 5's notebook can be told (thesis section 5.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pathogan_core.errors import PathoganError
from pathogan_core.experiments.chapter5 import configurations
from pathogan_core.experiments.parameters import (
    check_choices,
    check_distinct,
    check_not_negative,
    check_positive,
    checked,
)

DIVISIONS = {"thesis": (0.7, 0.1, 0.2), "handful": (0.4, 0.2, 0.4)}
"""Shares of the patients for training, validation and test: 126, 18 and 36 of 180 in the thesis."""
GANS = ("cpggan", "cpggan-normal")
"""CPGGAN trained with slices that have boxes, and with those of normal subjects too."""


@dataclass(frozen=True)
class Parameters:
    """What the notebook can be told; the defaults are the smoke scale.

    Args:
        scale: name of the preset, for records and captions.
        prepared: folder of prepared slices, relative to the project's root; empty: simulate
            `patients` and `normals` with `data_seed`.
        patients, normals: with metastases and without; 180 and 193 in the thesis.
        division: of the patients, a name of `DIVISIONS`.
        train_patients: so many of the training patients only; 0 for all.
        image_size: pixels, 256 in the thesis; one of the prepared sizes.
        roughness: of the boxes; 0: exact, 1: as hurried annotators draw them. See
            `cohorts.rough_boxes`.
        annotation_seed: of annotators and boxes.
        brain_fraction: a normal subject's slice is used if brain fills this share of it.
        every: of a normal subject's slices every n-th is used.
        gans: which CPGGANs, of `GANS`.
        gan_width, gan_latent, gan_batches, gan_rate, stable_images, fade_images,
            condition_channels, entrance, outside, label_flips, flipped, mismatch_weight: see
            `gans.cpggan.CPGGANConfig`.
        gan_images: real images that a CPGGAN is trained with.
        asked_images: generated images on which it is measured whether lesions lie in the boxes.
        shift, zoom: of the boxes that are asked for, largest, as a share of the image; 0.1 in the
            thesis, beside flips.
        least_left: a box is asked for if this share of it is still in the image.
        bf16: for every network.
        seed: of the GANs and of all that is drawn.
    """

    scale: str = "smoke"
    prepared: str = ""
    patients: int = 5
    normals: int = 1
    data_seed: int = 0
    division: str = "handful"
    train_patients: int = 0
    image_size: int = 64
    roughness: float = 1.0
    annotation_seed: int = 0
    brain_fraction: float = 0.1
    every: int = 1
    gans: tuple[str, ...] = GANS
    gan_width: int = 8
    gan_latent: int = 16
    gan_batches: tuple[int, ...] = (4,)
    gan_rate: float = 1.0e-3
    gan_images: int = 400
    stable_images: int = 40
    fade_images: int = 40
    condition_channels: int = 1
    entrance: str = "before"
    outside: float = -1.0
    label_flips: float = 0.0
    flipped: tuple[str, ...] = ("critic",)
    mismatch_weight: float = 0.0
    asked_images: int = 60
    shift: float = 0.1
    zoom: float = 0.1
    least_left: float = 0.5
    bf16: bool = False
    seed: int = 0

    @classmethod
    def from_notebook(cls, namespace: Mapping[str, Any]) -> Parameters:
        """From a notebook's globals; unknown names and impossible values are refused."""
        return checked(cls, namespace)

    def __post_init__(self) -> None:
        check_choices(
            self,
            {
                "scale": ("smoke", "demo", "study", "thesis"),
                "division": tuple(DIVISIONS),
                "gans": GANS,
            },
        )
        check_distinct(self, "gans", "flipped")
        check_positive(
            self, "patients", "every", "gan_images", "gan_rate", "stable_images", "asked_images"
        )
        check_not_negative(
            self, "normals", "data_seed", "train_patients", "roughness", "annotation_seed",
            "brain_fraction", "fade_images", "shift", "zoom", "least_left", "seed",
        )  # fmt: skip
        for name in ("shift", "zoom", "least_left", "brain_fraction"):
            if getattr(self, name) >= 1:
                raise PathoganError(
                    f"is {getattr(self, name)}", where=name, remedy="give a share below 1"
                )
        if "cpggan-normal" in self.gans and not (self.normals or self.prepared):
            raise PathoganError(
                "is 0, but cpggan-normal learns from normal subjects",
                where="normals",
                remedy="give 1 or more, or leave cpggan-normal out of gans",
            )
        configurations.check(self)
