"""What chapter 5's notebook can be told about its arms, and what it refuses at once."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from tiny_chapter4 import told

from pathogan_core.errors import PathoganError
from pathogan_core.experiments.chapter5 import configurations
from pathogan_core.experiments.chapter5.parameters import Parameters, units
from pathogan_core.experiments.published_table4 import ARMS
from pathogan_core.places import project_root

NOTEBOOKS = project_root() / "notebooks"
SCALES = ("smoke", "demo", "study", "thesis")


def preset(scale: str) -> Parameters:
    path = NOTEBOOKS / "params" / f"ch5_cpggan.{scale}.yaml"
    return Parameters.from_notebook(yaml.safe_load(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("scale", SCALES)
def test_every_scale_can_be_run(scale: str) -> None:
    p = preset(scale)
    assert p.scale == scale
    assert p.arms[0] == "real"


def test_the_thesis_trains_ten_arms_as_it_says() -> None:
    p = preset("thesis")
    assert p.arms == tuple(ARMS)
    assert p.added_images == 4000
    assert p.pool_images == max(units(arm) for arm in p.arms) * p.added_images == 12_000
    detector = configurations.detector(p)
    assert (detector.batch_size, detector.learning_rate, detector.loss) == (64, 1e-3, "squared")
    assert (detector.test_size, detector.width, detector.depth) == (608, 1, 1)
    assert (detector.score_threshold, detector.select_from, p.detector_steps) == (
        0.001, 96_000, 240_000,
    )  # fmt: skip


def test_the_notebooks_own_values_are_the_defaults() -> None:
    cells = json.loads((NOTEBOOKS / "ch5_cpggan.ipynb").read_text(encoding="utf-8"))["cells"]
    (cell,) = [c for c in cells if "parameters" in c["metadata"].get("tags", ())]
    names: dict[str, Any] = {}
    exec("".join(cell["source"]), {}, names)
    assert Parameters.from_notebook(names) == Parameters()
    assert set(names) == set(Parameters.__dataclass_fields__)


def test_units_are_those_of_the_table() -> None:
    assert [units(arm) for arm in ("real", "cpggan-4k", "cpggan-normal-8k")] == [0, 1, 2]
    assert units("image-to-image-12k") == 3


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"arms": ["real", "cpggan"]}, "arms: 'cpggan' is unknown; choose from real, cpggan-4k"),
        ({"arms": ["real", "real"]}, "arms: names 'real' twice"),
        (
            {"gans": ["cpggan"], "arms": ["real", "cpggan-normal-4k"]},
            "arms: cpggan-normal-4k adds images of cpggan-normal, which is not among gans",
        ),
        (
            {"arms": ["cpggan-8k"], "pool_images": 47},
            "pool_images: is 47, but cpggan-8k takes 48 images; give 48 or more",
        ),
        ({"added_images": 0}, "added_images: is 0"),
        ({"pool_images": 0}, "pool_images: is 0"),
        ({"seeds": []}, "seeds: is empty"),
        ({"seeds": [0, 0]}, "seeds: names 0 twice"),
        ({"seeds": [-1]}, "seeds: is (-1,)"),
        ({"detector_sizes": [64, 100]}, "detector_sizes: is 64, 100"),
        ({"detector_sizes": []}, "detector_sizes: is empty"),
        ({"detector_test_size": 100}, "detector_test_size: is 100"),
        ({"detector_batch": 0}, "detector_batch: is 0"),
        ({"detector_rate": 0.0}, "detector_rate: is 0"),
        ({"detector_steps": 0, "select_from": 0}, "detector_steps: is 0"),
        ({"detector_loss": "focal"}, "detector_loss: is 'focal'"),
        ({"detector_width": 0.0}, "detector_width: is 0"),
        ({"detector_depth": -1.0}, "detector_depth: is -1"),
        ({"detector_candidates": 0}, "detector_candidates: is 0"),
        ({"validate_every": 0}, "validate_every: is 0"),
        ({"select_from": 7}, "select_from: is 7, but training ends at step 6"),
        ({"select_from": -1}, "select_from: is -1"),
    ],
)
def test_impossible_values_are_one_line(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(PathoganError) as refused:
        Parameters.from_notebook(given)
    assert told(refused).startswith(problem)
