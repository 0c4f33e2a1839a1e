"""Chapter 4's parameters: what the notebook can be told, and what it refuses in one line."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from tiny_chapter4 import told

from pathogan_core.cad.resnet50 import TumourClassifier
from pathogan_core.cohorts.splits import SECTION4_SPLITS
from pathogan_core.errors import PathoganError
from pathogan_core.evaluation import embedding
from pathogan_core.evaluation.embedding import Origins
from pathogan_core.evaluation.metric import Metric
from pathogan_core.experiments.chapter4 import configurations
from pathogan_core.experiments.chapter4.parameters import DIVISIONS, Parameters
from pathogan_core.experiments.published_table2 import ARM_LABELS
from pathogan_core.gans import munit
from pathogan_core.gans.simgan_networks import Discriminator


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"scale": "huge"}, "scale: 'huge' is unknown; choose from smoke, demo, study, thesis"),
        ({"arms": ["real", "cyclegan"]}, "arms: 'cyclegan' is unknown; choose from real, "),
        ({"trainings": ["none"]}, "trainings: 'none' is unknown; choose from pretrained, scratch"),
        ({"division": "half"}, "division: 'half' is unknown; choose from possible, printed, "),
        ({"tumour_rule": "all"}, "tumour_rule: 'all' is unknown; choose from any, core, "),
        ({"pggan_batches": []}, "pggan_batches: is empty"),
        ({"munit_steps": []}, "munit_steps: is empty"),
        ({"simgan_steps": []}, "simgan_steps: is empty"),
        ({"trainings": []}, "trainings: is empty"),
        ({"seeds": []}, "seeds: is empty"),
        ({"patients": 0}, "patients: is 0; give more than 0"),
        ({"tumour_voxels": 0}, "tumour_voxels: is 0"),
        ({"every": 0}, "every: is 0"),
        ({"pool_images": -1}, "pool_images: is -1"),
        ({"refiner_images": 0}, "refiner_images: is 0"),
        ({"munit_steps": [4, 0]}, "munit_steps: is (4, 0)"),
        ({"simgan_steps": [-5]}, "simgan_steps: is (-5,)"),
        ({"added_images": 0}, "added_images: is 0"),
        ({"epochs": 0}, "epochs: is 0"),
        ({"measured_images": 0}, "measured_images: is 0"),
        ({"train_patients": -1}, "train_patients: is -1; give 0 or more"),
        ({"stable_images": -1}, "stable_images: is -1"),
        ({"fade_images": -1}, "fade_images: is -1"),
        ({"epoch_steps": -1}, "epoch_steps: is -1"),
        ({"patience": -1}, "patience: is -1"),
        ({"seed": -1}, "seed: is -1"),
        ({"pggan_images": 0}, "pggan_images: is 0, and so is pggan_epochs"),
        ({"gan_size": 48}, "gan_size: is 48, but PGGAN doubles from 4 px, and 15/16 of the side"),
        ({"gan_size": 32}, "gan_size: is 32"),
        ({"gan_size": 512}, "60, 120 and 240 px; use 64, 128 or 256"),
        (
            {"classifier_size": 64},
            "classifier_size: is 64, but a slice has 60 px where gan_size is 64; "
            "give a multiple of 4 from 32 to 60",
        ),
        ({"gan_size": 256, "classifier_size": 256}, "a slice has 240 px where gan_size is 256"),
        ({"classifier_size": 28}, "classifier_size: is 28, but ResNet halves an image five times"),
        ({"classifier_size": 0}, "classifier_size: is 0, but ResNet halves an image five times"),
        ({"classifier_size": 58}, "classifier_size: is 58, but MUNIT and SimGAN halve an image "),
        (
            {"munit_layers": 4, "munit_scales": 4},
            "classifier_size: 60 px cannot be halved so often by a discriminator; use 128 or more, "
            "fewer munit_scales or fewer munit_layers",
        ),
        ({"munit_width": 0}, "munit_width: 0 is too small; give 1 or more"),
        ({"munit_rate": 0.0}, "munit_rate: is 0.0; give more than 0"),
        ({"munit_batch": 0}, "munit_batch: 0 is too small"),
        ({"munit_halve_every": 0}, "munit_halve_every: 0 is too small"),
        ({"simgan_width": 3}, "simgan_width: 3 cannot be halved; give an even number"),
        ({"simgan_batch": 3}, "simgan_batch: 3 cannot be halved"),
        ({"simgan_history": 7}, "simgan_history: 7 is not a multiple of half a batch, 5"),
        ({"simgan_refiner_warmup": -1}, "simgan_refiner_warmup: -1 is too small"),
        ({"simgan_rate": 0.0}, "simgan_rate: is 0.0; give more than 0"),
        ({"pggan_width": 0}, "pggan_width: 0 leaves no channel at 64 px; raise pggan_width"),
        ({"pggan_latent": 0}, "pggan_latent: 0 is too small"),
        ({"pggan_batches": [8, 6]}, "pggan_batches: 6 on 1 device(s) is no multiple of the group"),
        ({"crop_pixels": -1}, "crop_pixels: -1 is too small"),
        ({"depth": 34}, "depth: is 34; choose 18 or 50"),
        ({"classifier_batch": 1}, "classifier_batch: is 1; give 2 or more"),
        ({"classifier_rate": -1.0}, "classifier_rate: is -1.0; give more than 0"),
        ({"clusters": 0}, "clusters: is 0; give 1 or more"),
        ({"components": 0}, "components: is 0; give 1 or more"),
        ({"odd_quantile": 0.0}, "odd_quantile: is 0.0; give a share above 0, up to 1"),
        ({"odd_quantile": 1.5}, "odd_quantile: is 1.5"),
        (
            {"odd_tumour": [0, 7]},
            "odd_tumour clusters: no cluster has the id 7; name ids from 0 to 3, or -1 alone for "
            "none",
        ),
        ({"odd_non_tumour": [4]}, "odd_non_tumour clusters: no cluster has the id 4"),
        ({"odd_tumour": [-2]}, "odd_tumour clusters: no cluster has the id -2"),
        ({"odd_non_tumour": [-1, 2]}, "odd_non_tumour clusters: no cluster has the id -1"),
        ({"odd_tumour": [2, 2]}, "odd_tumour: names 2 twice; name it once"),
        ({"seeds": [0, 1, 0]}, "seeds: names 0 twice"),
        ({"munit_steps": [4, 4]}, "munit_steps: names 4 twice"),
        ({"simgan_steps": [9, 9]}, "simgan_steps: names 9 twice"),
        ({"arms": ["real", "munit", "real"]}, "arms: names 'real' twice"),
        ({"trainings": ["scratch", "scratch"]}, "trainings: names 'scratch' twice"),
        ({"vary_added": [200, 200]}, "vary_added: names 200 twice"),
        ({"pool_images": 3}, "pool_images: is 3, but clusters is 4; give 4 or more, or lower cl"),
        ({"pool_images": 9}, "pool_images: is 9, but simgan_batch is 10"),
        ({"refiner_images": 9}, "refiner_images: is 9, but simgan_batch is 10; give 10 or more"),
        ({"munit_batch": 41}, "refiner_images: is 40, but munit_batch is 41"),
        ({"perplexity": 0.0}, "perplexity: is 0.0; give more than 0"),
        ({"perplexity": 120.0}, "perplexity: is 120, but a map has 120 images at most; lower it"),
        (
            {"mapped_images": 5, "perplexity": 5.0},
            "mapped_images: is 5, but of an image's 9 neighbours 10 are counted; give 6 or more",
        ),
        ({"classifer_size": 60}, "did you mean classifier_size?"),
        ({"pool": 80}, "pool: is not a parameter of this notebook"),
        ({"munit_steps": 4}, "munit_steps: is 4 (int); give a list"),
        ({"seeds": [0.5]}, "seeds: is 0.5 (float); give an int"),
        ({"classifier_rate": float("nan")}, "classifier_rate: is nan"),
        ({"pool_images": "80"}, "papermill's -p passes text"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(given: dict, line: str) -> None:
    with pytest.raises(PathoganError) as refused:
        Parameters.from_notebook(given)
    assert line in told(refused)


def test_a_notebooks_globals_are_taken_as_they_are() -> None:
    given = {"arms": ["real", "munit"], "classifier_rate": 1, "pytest": pytest, "_": 3, "re": re}
    found = Parameters.from_notebook(given)
    assert found == Parameters(arms=("real", "munit"), classifier_rate=1.0)


def test_the_thesis_sizes_and_all_its_arms_are_possible() -> None:
    thesis = Parameters(
        division="printed",
        gan_size=256,
        classifier_size=224,
        arms=tuple(ARM_LABELS),
        trainings=("pretrained", "scratch"),
        pggan_images=0,
        pggan_epochs=100,
    )
    assert thesis.slice_size == 240
    assert [Parameters(gan_size=size).slice_size for size in (64, 128)] == [60, 120]


@pytest.mark.parametrize(
    "edge",
    [
        {"odd_quantile": 1.0, "odd_tumour": (), "odd_non_tumour": (0, 3)},
        {"clusters": 1, "odd_tumour": (0,)},
        {"pool_images": 10, "refiner_images": 10, "components": 99},
        {"pggan_batches": (16, 16, 8, 8)},  # by level: not named twice
        {"mapped_images": 6, "perplexity": 23.9},
    ],
)
def test_what_is_just_possible_is_taken(edge: dict[str, Any]) -> None:
    assert Parameters.from_notebook(edge) == Parameters(**edge)


@pytest.mark.parametrize("size", [32, 36])
def test_all_networks_take_the_smallest_images_that_are_allowed(size: int) -> None:
    p = Parameters(classifier_size=size)
    images = torch.rand(2, 1, size, size) * 2 - 1
    translators, discriminators = munit.networks(configurations.munit(p))
    assert munit.refine(translators, images, seed=0).shape == images.shape
    assert all(answer.isfinite().all() for answer in discriminators[munit.REAL](images))
    assert Discriminator(p.simgan_width)(images).shape == (2, 1, size // 4, size // 4)
    assert TumourClassifier(18)(images).isfinite().all()


def test_the_fewest_mapped_images_have_just_enough_neighbours() -> None:
    def numbers(each: int) -> dict[str, Metric]:
        names = np.array([f"patient {n}" for n in range(2 * each)] + [""] * 2 * each)
        flags = np.arange(4 * each) >= 2 * each, np.arange(4 * each) % 2 == 0
        vectors = np.random.default_rng(0).standard_normal((4 * each, 3))
        return embedding.measure_overlap(vectors, Origins(*flags, names), resamples=2)

    assert numbers(6)["same_class_real"].n == 12
    with pytest.raises(PathoganError, match="10 asked for, an image has 9"):
        numbers(5)


FILES = Path(__file__).parents[2] / "notebooks" / "params"


@pytest.mark.parametrize(
    "names", [("smoke",), ("demo",), ("study",), ("thesis",), ("thesis", "reference")]
)
def test_every_parameter_file_is_possible(names: tuple[str, ...]) -> None:
    given: dict[str, Any] = {}
    for name in names:
        given |= yaml.safe_load((FILES / f"ch4_pggan_munit.{name}.yaml").read_text("utf-8"))
    assert Parameters.from_notebook(given).scale == names[0]


def test_divisions_are_whole_and_those_of_section_4_among_them() -> None:
    assert {name: DIVISIONS[name] for name in SECTION4_SPLITS} == SECTION4_SPLITS
    for shares in DIVISIONS.values():
        assert sum(shares) == pytest.approx(1)
        assert min(shares) > 0


def test_every_parameter_is_explained() -> None:
    explained = set(re.findall(r"\w+", str(Parameters.__doc__)))
    assert {field.name for field in fields(Parameters)} <= explained
