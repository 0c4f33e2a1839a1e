"""What chapter 4's notebook can be told (thesis section 4.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pathogan_core.cad.resnet50 import SMALLEST_SIDE
from pathogan_core.cohorts.slice_classes import TUMOUR_RULES
from pathogan_core.cohorts.splits import SECTION4_SPLITS
from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.embedding import CATEGORIES, NEIGHBOURS
from pathogan_core.experiments.chapter4 import configurations
from pathogan_core.experiments.parameters import (
    check_choices,
    check_distinct,
    check_not_negative,
    check_positive,
    checked,
)
from pathogan_core.experiments.published_table2 import ARM_LABELS, TRAINING_LABELS

FIELD, SLICE = 256, 240
"""Pixels of 1 mm: what the thesis' PGGAN draws, and the slice within it."""
GAN_SIZES = (64, 128, 256)
"""What PGGAN, which doubles from 4 px, and the slices prepared for section 4 have in common."""
DIVISIONS = {**SECTION4_SPLITS, "handful": (0.4, 0.2, 0.4)}
"""Shares of the patients for training, validation and test; the last one for tiny cohorts."""


@dataclass(frozen=True)
class Parameters:
    """What the notebook can be told; the defaults are the smoke scale.

    Args:
        scale: name of the preset, for records and captions.
        prepared: folder of prepared axial slices, relative to the project's root; empty: simulate
            `patients` with `data_seed`.
        division: of the patients, a name of `DIVISIONS`: ``possible``, ``printed`` as the thesis
            has it (which cannot be), or ``handful``.
        tumour_rule, tumour_voxels, every, brain_fraction: see `slice_classes.SliceClasses`.
        train_patients: so many of the training patients only; 0 for all.
        gan_size: pixels of PGGAN's images, 256 in the thesis; slices lie in them with zeros around.
        classifier_size: pixels of the classifier's and the refiners' images, 224 in the thesis; a
            multiple of 4 from 32 on, at most the slice's.
        crop_first: cut these zeros off before an image is resized for the classifier. The thesis
            does not, so that its generated brains are 6.25 % smaller there than real ones.
        pggan_width, pggan_latent, pggan_batches, stable_images, fade_images, crop_pixels: see
            `gans.pggan.PGGANConfig`. With `stable_images` of 0 all phases are equally long.
        pggan_images: real images that each class's PGGAN is trained with; 0: `pggan_epochs`.
        pggan_epochs: of the class's training images; 100 in the thesis.
        pool_images: images that each class's PGGAN then draws; 100,000 in the thesis.
        clusters, components, odd_quantile: see `evaluation.discarding.DiscardingConfig`.
        odd_tumour, odd_non_tumour: ids of clusters to discard instead of those found odd;
            ``[-1]``: none.
        refiner_images: of each kind, per class, that a refiner learns from; 3,000 in the thesis.
        munit_steps, simgan_steps: candidates, of which validation chooses.
        munit_width, munit_discriminator_width, munit_layers, munit_scales, munit_batch, munit_rate,
            munit_halve_every: see `gans.munit.MUNITConfig`.
        simgan_width, simgan_batch, simgan_rate, simgan_halve_at, simgan_refiner_warmup,
            simgan_discriminator_warmup, simgan_history: see `gans.simgan.SimGANConfig`.
        arms, trainings: which of Table 2's, by the ids of `published_table2`.
        added_images: how many images "200k" stands for.
        vary_patients, vary_added: values of `train_patients` and of `added_images` at which some
            arms are compared; see `varying`.
        vary_arms: these arms; the baseline is one of them.
        depth, classifier_batch, classifier_rate: see `cad.resnet50.ResNetConfig`.
        epochs, epoch_steps, patience: of the classifier. With `epoch_steps` of 0 an epoch is one
            pass over the arm's own images, as in the thesis; otherwise all arms get equally many
            steps.
        imagenet_weights: torchvision's file for pre-trained arms, relative to the project's root.
        measured_images: generated images that the distribution measures see.
        mapped_images, perplexity: of each category in a t-SNE map, and its perplexity; 300 and 100
            in the thesis.
        bf16: for every network.
        seed: of the GANs and of all that is drawn.
        seeds: of the classifiers.
        reader: who takes the Visual Turing Test in JupyterLab; empty: nobody.
    """

    scale: str = "smoke"
    prepared: str = ""
    patients: int = 5
    data_seed: int = 0
    division: str = "handful"
    tumour_rule: str = "core"
    tumour_voxels: int = 40
    every: int = 1
    brain_fraction: float = 0.0
    train_patients: int = 0
    gan_size: int = 64
    classifier_size: int = 60
    crop_first: bool = True
    pggan_width: int = 8
    pggan_latent: int = 16
    pggan_batches: tuple[int, ...] = (8,)
    pggan_images: int = 400
    pggan_epochs: int = 0
    stable_images: int = 40
    fade_images: int = 40
    crop_pixels: int = 3
    pool_images: int = 80
    clusters: int = 4
    components: int = 8
    odd_quantile: float = 0.95
    odd_tumour: tuple[int, ...] = (-1,)
    odd_non_tumour: tuple[int, ...] = (-1,)
    refiner_images: int = 40
    munit_steps: tuple[int, ...] = (4, 8)
    munit_width: int = 4
    munit_discriminator_width: int = 4
    munit_layers: int = 3
    munit_scales: int = 2
    munit_batch: int = 1
    munit_rate: float = 1.0e-4
    munit_halve_every: int = 20_000
    simgan_steps: tuple[int, ...] = (10,)
    simgan_width: int = 8
    simgan_batch: int = 10
    simgan_rate: float = 1.0e-2
    simgan_halve_at: int = 15_000
    simgan_refiner_warmup: int = 5
    simgan_discriminator_warmup: int = 5
    simgan_history: int = 50
    arms: tuple[str, ...] = ("real", "classic-200k", "pggan", "classic-munit")
    trainings: tuple[str, ...] = ("scratch",)
    added_images: int = 400
    vary_patients: tuple[int, ...] = (0,)
    vary_added: tuple[int, ...] = (200, 400)
    vary_arms: tuple[str, ...] = ("real", "classic-200k", "pggan")
    depth: int = 18
    classifier_batch: int = 16
    classifier_rate: float = 1.0e-2
    epochs: int = 2
    epoch_steps: int = 4
    patience: int = 0
    imagenet_weights: str = ""
    measured_images: int = 60
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
                "tumour_rule": tuple(TUMOUR_RULES),
                "arms": tuple(ARM_LABELS),
                "vary_arms": tuple(ARM_LABELS),
                "trainings": tuple(TRAINING_LABELS),
            },
        )
        for name in ("pggan_batches", "munit_steps", "simgan_steps", "trainings", "seeds"):
            if not getattr(self, name):
                raise PathoganError("is empty", where=name, remedy="name at least one")
        check_distinct(
            self, "odd_tumour", "odd_non_tumour", "munit_steps", "simgan_steps", "arms",
            "trainings", "vary_patients", "vary_added", "vary_arms", "seeds",
        )  # fmt: skip
        check_positive(
            self, "patients", "tumour_voxels", "every", "pool_images", "refiner_images",
            "munit_steps", "munit_rate", "simgan_steps", "simgan_rate", "added_images",
            "vary_added", "classifier_rate", "epochs", "measured_images", "mapped_images",
        )  # fmt: skip
        check_not_negative(
            self, "data_seed", "train_patients", "vary_patients", "pggan_images", "pggan_epochs",
            "stable_images", "fade_images", "epoch_steps", "patience", "seed",
        )  # fmt: skip
        if not (self.pggan_images or self.pggan_epochs):
            raise PathoganError(
                "is 0, and so is pggan_epochs", where="pggan_images", remedy="give one of them"
            )
        _check_sizes(self)
        _check_counts(self)
        _check_map(self)
        configurations.check(self)

    @property
    def slice_size(self) -> int:
        """Pixels of a slice within PGGAN's images: 240 of 256."""
        return self.gan_size * SLICE // FIELD


def _check_sizes(p: Parameters) -> None:
    """Sizes that all networks can take."""
    if p.gan_size not in GAN_SIZES:
        *others, last = GAN_SIZES
        raise PathoganError(
            f"is {p.gan_size}, but PGGAN doubles from 4 px, and 15/16 of the side is the slice, "
            "which is prepared at 60, 120 and 240 px",
            where="gan_size",
            remedy=f"use {', '.join(map(str, others))} or {last}",
        )
    size, largest = p.classifier_size, p.slice_size
    for is_fit, reason in (
        (size <= largest, f"a slice has {largest} px where gan_size is {p.gan_size}"),
        (size >= SMALLEST_SIDE, "ResNet halves an image five times"),
        (size % 4 == 0, "MUNIT and SimGAN halve an image twice"),
    ):
        if not is_fit:
            raise PathoganError(
                f"is {size}, but {reason}",
                where="classifier_size",
                remedy=f"give a multiple of 4 from {SMALLEST_SIDE} to {largest}",
            )


def _check_counts(p: Parameters) -> None:
    """As many images as something takes at once; after discarding it may still lack some."""
    for name, takers in {
        "pool_images": ("clusters", "munit_batch", "simgan_batch"),
        "refiner_images": ("munit_batch", "simgan_batch"),
    }.items():
        for taker in takers:
            count, least = getattr(p, name), getattr(p, taker)
            if count < least:
                problem, remedy = f"is {count}, but {taker} is {least}", f"give {least} or more"
                raise PathoganError(problem, where=name, remedy=f"{remedy}, or lower {taker}")


def _check_map(p: Parameters) -> None:
    """A map of four categories can be made, and its images have neighbours enough."""
    images = len(CATEGORIES) * p.mapped_images
    if p.perplexity >= images:
        problem = f"is {p.perplexity:g}, but a map has {images} images at most"
        raise PathoganError(problem, where="perplexity", remedy="lower it or raise mapped_images")
    if (others := images // 2 - 1) < NEIGHBOURS:  # real or synthetic, of both classes
        raise PathoganError(
            f"is {p.mapped_images}, but of an image's {others} neighbours {NEIGHBOURS} are counted",
            where="mapped_images",
            remedy=f"give {NEIGHBOURS // 2 + 1} or more",
        )
