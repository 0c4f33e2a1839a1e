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
from pathogan_core.experiments.published_table4 import ARMS

DIVISIONS = {"thesis": (0.7, 0.1, 0.2), "handful": (0.4, 0.2, 0.4)}
"""Shares of the patients for training, validation and test: 126, 18 and 36 of 180 in the thesis."""
WITH_NORMAL, TRANSLATION = "cpggan-normal", "image-to-image"
GANS = ("cpggan", WITH_NORMAL, TRANSLATION)
"""CPGGAN trained with slices that have boxes, and with those of normal subjects too; and what it is
compared with, the image-to-image GAN, trained as the first."""
UNIT = 4000
"""Images that the smallest arms of Table 4 add; others add whole multiples of it."""


def units(arm: str) -> int:
    """How often an arm adds `Parameters.added_images`: 0 of ``real``, 3 of ``cpggan-12k``."""
    return ARMS[arm][1] // UNIT


@dataclass(frozen=True)
class Parameters:
    """What the notebook can be told; the defaults are the smoke scale.

    Args:
        scale: name of the preset, for records and captions.
        prepared: folder of prepared slices, relative to the project's root; empty: simulate
            `patients` and `normals` with `data_seed`.
        patients, normals: with metastases and without; 180 and 193 in the thesis.
        division: of the patients, a name of `DIVISIONS`.
        train_patients: so many of the training patients with metastases only; 0 for all.
        image_size: pixels, 256 in the thesis; one of the prepared sizes.
        roughness: of the boxes; 0: exact, 1: as hurried annotators draw them. See
            `cohorts.rough_boxes`.
        annotation_seed: of annotators and boxes.
        brain_fraction: a normal subject's slice is used if brain fills this share of it.
        every: of a normal subject's slices every n-th is used.
        gans: which of `GANS`.
        gan_width, gan_latent, gan_batches, gan_rate, stable_images, fade_images,
            condition_channels, entrance, outside, label_flips, flipped, mismatch_weight: see
            `gans.cpggan.CPGGANConfig`. Of the image-to-image GAN they are those of its critic, and
            its batch is the last of `gan_batches`.
        gan_images: real images that a GAN is trained with.
        i2i_width, i2i_levels, i2i_noise, i2i_normalisation, i2i_l1_weight: of the image-to-image
            GAN's generator and loss; see `gans.pix2pix.Pix2PixConfig`.
        asked_images: generated images on which it is measured whether lesions lie in the boxes.
        shift, zoom: of the boxes that are asked for, largest, as a share of the image; 0.1 in the
            thesis, beside flips.
        least_left: a box is asked for if this share of it is still in the image.
        pool_images: images of a GAN's pool, of which an arm takes the first ones.
        arms: which of Table 4's, by the ids of `published_table4`.
        added_images: how many images "4k" stands for; 8k and 12k are twice and three times as many.
        vary_roughness, vary_patients: values of `roughness` and of `train_patients` at which some
            arms are compared; see `varying`.
        vary_arms: these arms; the baseline is one of them.
        detector_width, detector_depth, detector_batch, detector_rate, detector_loss,
            detector_candidates: see `cad.yolov3.YOLOv3Config`.
        detector_steps: for every arm equally many.
        detector_sizes, detector_test_size: pixels that slices are resized to, multiples of 32; in
            training one of `detector_sizes` a step.
        select_from, validate_every: the step from which validation picks the weights that are
            tested, and the steps between two validations.
        mapped_images, perplexity: lesions of each origin in a t-SNE map, and its perplexity.
        bf16: for every network.
        seed: of the GANs and of all that is drawn.
        seeds: of the detectors.
        reader: who takes the Visual Turing Tests in JupyterLab; empty: nobody.
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
    i2i_width: int = 8
    i2i_levels: int = 4
    i2i_noise: int = 1
    i2i_normalisation: str = "instance"
    i2i_l1_weight: float = 0.0
    asked_images: int = 60
    shift: float = 0.1
    zoom: float = 0.1
    least_left: float = 0.5
    pool_images: int = 24
    arms: tuple[str, ...] = ("real", "cpggan-4k", "image-to-image-4k")
    added_images: int = 24
    vary_roughness: tuple[float, ...] = (1.0,)
    vary_patients: tuple[int, ...] = (0,)
    vary_arms: tuple[str, ...] = ("real", "cpggan-4k")
    detector_width: float = 0.125
    detector_depth: float = 0.125
    detector_steps: int = 6
    detector_batch: int = 4
    detector_rate: float = 1.0e-3
    detector_sizes: tuple[int, ...] = (64,)
    detector_test_size: int = 64
    detector_loss: str = "squared"
    detector_candidates: int = 20
    select_from: int = 3
    validate_every: int = 3
    mapped_images: int = 30
    perplexity: float = 20.0
    bf16: bool = False
    seed: int = 0
    seeds: tuple[int, ...] = (0,)
    reader: str = ""

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
                "arms": tuple(ARMS),
                "vary_arms": tuple(ARMS),
            },
        )
        if not self.seeds:
            raise PathoganError("is empty", where="seeds", remedy="name at least one")
        check_distinct(
            self, "gans", "flipped", "arms", "vary_roughness", "vary_patients", "vary_arms",
            "seeds",
        )  # fmt: skip
        check_positive(
            self, "patients", "every", "gan_images", "gan_rate", "stable_images", "asked_images",
            "pool_images", "added_images", "detector_steps", "detector_rate", "mapped_images",
        )  # fmt: skip
        check_not_negative(
            self, "normals", "data_seed", "train_patients", "roughness", "annotation_seed",
            "brain_fraction", "fade_images", "shift", "zoom", "least_left", "vary_roughness",
            "vary_patients", "seed", "seeds",
        )  # fmt: skip
        for name in ("shift", "zoom", "least_left", "brain_fraction"):
            if getattr(self, name) >= 1:
                raise PathoganError(
                    f"is {getattr(self, name)}", where=name, remedy="give a share below 1"
                )
        if WITH_NORMAL in self.gans and not (self.normals or self.prepared):
            raise PathoganError(
                f"is 0, but {WITH_NORMAL} learns from normal subjects",
                where="normals",
                remedy=f"give 1 or more, or leave {WITH_NORMAL} out of gans",
            )
        _check_arms(self, "arms")
        if self.vary_roughness or self.vary_patients:
            _check_arms(self, "vary_arms")
        _check_map(self)
        configurations.check(self)


def _check_arms(p: Parameters, name: str) -> None:
    """The GANs that these arms take images of are trained, and draw as many as they take."""
    for arm in getattr(p, name):
        family, _ = ARMS[arm]
        if not units(arm):
            continue
        if family not in p.gans:
            raise PathoganError(
                f"{arm} adds images of {family}, which is not among gans",
                where=name,
                remedy=f"add {family} to gans, or leave {arm} out",
            )
        if p.pool_images < (needed := units(arm) * p.added_images):
            raise PathoganError(
                f"is {p.pool_images}, but {arm} takes {needed} images",
                where="pool_images",
                remedy=f"give {needed} or more, or lower added_images",
            )


def _check_map(p: Parameters) -> None:
    """A map of real lesions and each GAN's can be made."""
    images = (1 + len(p.gans)) * p.mapped_images
    if p.perplexity >= images:
        problem = f"is {p.perplexity:g}, but a map has {images} lesions at most"
        raise PathoganError(problem, where="perplexity", remedy="lower it or raise mapped_images")
