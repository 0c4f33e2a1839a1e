"""Chapter 4's parameters: what the notebook can be told, and what it refuses in one line."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest
from tiny_chapter4 import told

from pathogan_core.cohorts.splits import SECTION4_SPLITS
from pathogan_core.errors import PathoganError
from pathogan_core.experiments.chapter4.parameters import DIVISIONS, Parameters
from pathogan_core.experiments.published_table2 import ARM_LABELS


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
        ({"gan_size": 100}, "gan_size: 100 px leave no whole pixels for the slice"),
        ({"classifier_size": 61}, "classifier_size: is 61; give 1 to 60"),
        ({"classifier_size": 0}, "classifier_size: is 0"),
        ({"gan_size": 256, "classifier_size": 256}, "classifier_size: is 256; give 1 to 240"),
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


def test_divisions_are_whole_and_those_of_section_4_among_them() -> None:
    assert {name: DIVISIONS[name] for name in SECTION4_SPLITS} == SECTION4_SPLITS
    for shares in DIVISIONS.values():
        assert sum(shares) == pytest.approx(1)
        assert min(shares) > 0


def test_every_parameter_is_explained() -> None:
    explained = set(re.findall(r"\w+", str(Parameters.__doc__)))
    assert {field.name for field in fields(Parameters)} <= explained
