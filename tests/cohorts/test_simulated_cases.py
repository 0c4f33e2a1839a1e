"""A simulated cohort prepared directly equals the same cohort written, read and prepared."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fake_cases import random_brain

from pathogan_core.cohorts import brain_simulation, simulated
from pathogan_core.cohorts.brain_patient import SimulatedPatient, draw_grade
from pathogan_core.cohorts.cases import TISSUES
from pathogan_core.cohorts.check import check
from pathogan_core.cohorts.prepare_folder import prepare_folder
from pathogan_core.cohorts.simulated import prepare_simulated, simulated_cases
from pathogan_core.errors import PathoganError


@pytest.fixture
def quick_simulator(monkeypatch):
    """Patients of 20x28x24 random voxels: what is tested here is the way, not the anatomy."""

    def simulate(index: int, seed: int) -> SimulatedPatient:
        volumes, labels = random_brain(1000 * seed + index)
        tissues = {name: labels == i + 1 for i, name in enumerate(TISSUES)}
        return SimulatedPatient(f"{index}", draw_grade(index, seed), volumes, tissues, {})

    monkeypatch.setattr(simulated, "simulate_patient", simulate)
    monkeypatch.setattr(brain_simulation, "simulate_patient", simulate)


def test_directly_or_through_files_gives_the_same(tmp_path, small_manifest, quick_simulator):
    parameters = small_manifest.parameters()
    direct = prepare_simulated(tmp_path / "direct", 5, 3, parameters)
    length = direct.info["cohort_recipe"]["patients"]
    assert length >= 5
    brain_simulation.simulate_cohort(tmp_path / "cohort", length, 3, "2016", workers=1)
    report = check(tmp_path / "cohort", small_manifest)
    assert (report.problems, report.source) == ([], "simulated")
    read = prepare_folder("brats2016", tmp_path / "cohort", tmp_path / "read", parameters)
    assert read.info == direct.info
    assert read.table.equals(direct.table)
    assert direct.source == "simulated"
    assert set(direct.table["grade"]) == {"HGG"}
    assert direct.info["patients"] == 5


@pytest.mark.parametrize("layout", ["2020", "2023"])
def test_simulated_cohorts_of_every_layout_are_sound(
    tmp_path, small_manifest, quick_simulator, layout
):
    brain_simulation.simulate_cohort(tmp_path / "cohort", 3, 0, layout, workers=1)
    report = check(tmp_path / "cohort", small_manifest)
    assert (report.problems, report.layouts) == ([], {layout: 3})
    assert ("unknown" in report.cases) == (layout == "2023")  # as in the real release


def test_the_fingerprint_does_not_depend_on_how_many_were_simulated(
    tmp_path, small_manifest, quick_simulator
):
    parameters = replace(small_manifest.parameters(), grades=("HGG", "LGG"))
    prints = {
        prepare_simulated(tmp_path / f"{n}-{seed}", n, seed, parameters).fingerprint
        for n, seed in [(2, 0), (3, 0), (2, 1)]
    }
    assert len(prints) == 3
    again = prepare_simulated(tmp_path / "again", 2, 1, parameters).fingerprint
    assert again in prints


def test_patients_are_counted_after_the_selection_of_grades():
    for grades in (("HGG",), ("LGG",), ("HGG", "LGG")):
        cases = simulated_cases(6, 2, grades)
        assert len(cases) == 6
        assert {case.grade for case in cases} <= set(grades)
    everyone = [case.scan for case in simulated_cases(20, 2)]
    assert len(set(everyone)) == 20


@pytest.mark.parametrize(("patients", "grades"), [(0, None), (-1, ("HGG",)), (3, ("unknown",))])
def test_impossible_requests_are_one_line(patients, grades):
    with pytest.raises(PathoganError):
        simulated_cases(patients, 0, grades)


def test_a_negative_seed_is_refused_before_anything_is_simulated():
    with pytest.raises(PathoganError, match="seed: is -1; give 0 or more"):
        simulated_cases(1, -1)
