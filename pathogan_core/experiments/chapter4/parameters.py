"""What chapter 4's notebook can be told (thesis section 4.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pathogan_core.cohorts.slice_classes import TUMOUR_RULES
from pathogan_core.cohorts.splits import SECTION4_SPLITS
from pathogan_core.errors import PathoganError
from pathogan_core.experiments.parameters import (
    check_choices,
    check_not_negative,
    check_positive,
    checked,
)
from pathogan_core.experiments.published_table2 import ARM_LABELS, TRAINING_LABELS

FIELD, SLICE = 256, 240
"""Pixels of 1 mm: what the thesis' PGGAN draws, and the slice within it."""
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
        classifier_size: pixels of the classifier's and the refiners' images, 224 in the thesis.
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
                "trainings": tuple(TRAINING_LABELS),
            },
        )
        for name in ("pggan_batches", "munit_steps", "simgan_steps", "trainings", "seeds"):
            if not getattr(self, name):
                raise PathoganError("is empty", where=name, remedy="name at least one")
        check_positive(
            self, "patients", "tumour_voxels", "every", "pool_images", "refiner_images",
            "munit_steps", "simgan_steps", "added_images", "epochs", "measured_images",
            "mapped_images",
        )  # fmt: skip
        check_not_negative(
            self, "data_seed", "train_patients", "pggan_images", "pggan_epochs", "stable_images",
            "fade_images", "epoch_steps", "patience", "seed",
        )  # fmt: skip
        if not (self.pggan_images or self.pggan_epochs):
            raise PathoganError(
                "is 0, and so is pggan_epochs", where="pggan_images", remedy="give one of them"
            )
        if self.gan_size * SLICE % FIELD:
            raise PathoganError(
                f"{self.gan_size} px leave no whole pixels for the slice",
                where="gan_size",
                remedy="use 256, 128 or 64",
            )
        if not 0 < self.classifier_size <= self.slice_size:
            raise PathoganError(
                f"is {self.classifier_size}",
                where="classifier_size",
                remedy=f"give 1 to {self.slice_size}, as large as the slice is in PGGAN's images",
            )

    @property
    def slice_size(self) -> int:
        """Pixels of a slice within PGGAN's images: 240 of 256."""
        return self.gan_size * SLICE // FIELD
