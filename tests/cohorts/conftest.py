"""Fixtures for preparing and checking small cohorts."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from brats_writer import write_case
from fake_cases import SHAPE, FakeCase, random_brain, random_lesions

from pathogan_core import cli
from pathogan_core.cohorts import simulated_metastases
from pathogan_core.cohorts.brats_layouts import LAYOUTS
from pathogan_core.cohorts.cases import TISSUES
from pathogan_core.cohorts.manifest import Manifest, load_manifest, read_manifest
from pathogan_core.cohorts.metastases_patient import SimulatedMetastases, name_subject
from pathogan_core.cohorts.prepare import CohortSource
from pathogan_core.cohorts.prepare_parameters import PreparationParameters


@pytest.fixture
def cases() -> list[FakeCase]:
    """Seven scans of six people, one of them of low grade."""
    names = ["a_1", "a_2", "b_1", "c_1", "d_1", "e_1", "f_1"]
    grades = ["HGG"] * 6 + ["LGG"]
    return [
        FakeCase(name, name[0], grade, seed)
        for seed, (name, grade) in enumerate(zip(names, grades, strict=True))
    ]


SMALL = PreparationParameters(
    first_slice=8, last_slice=13, sizes=(16, 8), split=(0.5, 0.25, 0.25), volume_shape=SHAPE
)
SETS = {
    "sagittal": SMALL,
    "axial": replace(SMALL, plane="axial", frame=32, sequences=("t1c",)),
}


@pytest.fixture
def parameters() -> PreparationParameters:
    return SMALL


@pytest.fixture(params=sorted(SETS))
def any_set(request: pytest.FixtureRequest) -> PreparationParameters:
    """Small parameters of section 3's kind of set and of section 4's."""
    return SETS[request.param]


@pytest.fixture
def source() -> CohortSource:
    return CohortSource("fake", "0" * 64, {"cohort": "fake", "source": "simulated"})


@pytest.fixture
def pathogan(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run the command in this process; returns status, stdout, stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["pathogan", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        output = capsys.readouterr()
        return int(caught.value.code or 0), output.out, output.err

    return run


@pytest.fixture
def small_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder whose brats2016 manifest describes volumes of 20x28x24 voxels."""
    return write_small_manifest(tmp_path / "home", "brats2016", monkeypatch)


@pytest.fixture
def metastases_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same of brain_metastases, in a frame of 32 pixels."""
    return write_small_manifest(tmp_path / "home", "brain_metastases", monkeypatch)


def write_small_manifest(home: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    content = load_manifest(name).model_dump()
    content["volume"]["shape_zyx"] = list(SHAPE)
    content["volume"]["spacing_mm"] = [1.0, 1.0, 1.0]
    cases = content["expected"]["cases"]
    for chosen in content["preparations"].values():
        chosen["selection"] |= {"first_slice": 8, "last_slice": 13}
        chosen["images"] |= {"sizes": [16, 8], "white_percentile": 99.5}
        if chosen["images"]["frame"]:
            chosen["images"]["frame"] = 32
        used = sum(cases[grade] for grade in chosen["selection"]["grades"])
        chosen["expected"] = {"slices_per_sequence": 6 * used}
    (home / "data_manifests").mkdir(parents=True)
    (home / "data_manifests" / f"{name}.yaml").write_text(yaml.safe_dump(content))
    monkeypatch.setenv("PATHOGAN_HOME", str(home))
    return home


@pytest.fixture
def small_manifest(small_home: Path) -> Manifest:
    return read_manifest(small_home / "data_manifests" / "brats2016.yaml")


@pytest.fixture
def metastases_manifest(metastases_home: Path) -> Manifest:
    return read_manifest(metastases_home / "data_manifests" / "brain_metastases.yaml")


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    """Four different patients in the 2020 layout, under HGG and LGG."""
    root = tmp_path / "cohort"
    for i, grade in enumerate(("HGG", "HGG", "HGG", "LGG")):
        volumes, labels = random_brain(i)
        labels[labels == 3] = 0
        write_case(root, LAYOUTS["2020"].name, f"Brats18_TCIA_{i}_1", grade, volumes, labels)
    return root


@pytest.fixture
def quick_metastases(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Subjects of 20x28x24 random voxels instead of simulated ones; lists who was made.

    Tests use it where the way of a subject matters, not the anatomy.
    """
    made: list[str] = []

    def simulate(index: int, seed: int, group: str) -> SimulatedMetastases:
        name = name_subject(index, group)
        made.append(name)
        number = 1000 * seed + 2 * index + (group == "normal")
        tissues = random_lesions(number)
        if group == "normal":
            tissues = {tissue: np.zeros(SHAPE, bool) for tissue in TISSUES}
        return SimulatedMetastases(name, group, random_brain(number)[0]["t1c"], tissues, {})

    monkeypatch.setattr(simulated_metastases, "simulate_metastases", simulate)
    return made
