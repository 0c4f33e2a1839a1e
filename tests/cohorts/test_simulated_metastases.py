"""Simulated cohorts of brain metastases: written, interrupted, read back, prepared either way."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import yaml

from pathogan_core.cohorts.brats import find_cases
from pathogan_core.cohorts.cases import TISSUES
from pathogan_core.cohorts.check import check
from pathogan_core.cohorts.manifest import read_manifest
from pathogan_core.cohorts.metastases_cohort import simulate_metastases_cohort
from pathogan_core.cohorts.metastases_patient import REVISION
from pathogan_core.cohorts.prepare_folder import prepare_folder
from pathogan_core.cohorts.prepared_lesions import exact_boxes
from pathogan_core.cohorts.simulated_metastases import (
    cohort_recipe,
    prepare_metastases,
    simulated_subjects,
)
from pathogan_core.errors import PathoganError

COHORT = "brain_metastases"
# Written down independently of `brats_layouts`.
LABELS = {"necrosis": 1, "oedema": 2, "enhancing": 3, "non_enhancing": 5}


def contents(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def simulate(out: Path, patients: int = 2, normals: int = 1, seed: int = 3, **more) -> None:
    simulate_metastases_cohort(out, patients, normals, seed, **{"workers": 1, **more})


def splits_of(prepared) -> dict[str, str]:
    return dict(zip(prepared.table["patient"], prepared.table["split"], strict=True))


def test_subjects_are_named_by_group_and_number():
    subjects = simulated_subjects(2, 3, 0)
    assert [subject.patient for subject in subjects] == [
        *("metastases_001", "metastases_002", "normal_001", "normal_002", "normal_003")
    ]
    assert [subject.grade for subject in subjects] == ["metastases"] * 2 + ["normal"] * 3
    assert all(subject.scan == subject.patient for subject in subjects)


def test_a_subjects_content_is_its_name_seed_and_revision_not_the_cohorts_length(monkeypatch):
    def hashes(patients: int, normals: int, seed: int) -> list[str]:
        return [subject.content_hash() for subject in simulated_subjects(patients, normals, seed)]

    few, many = hashes(2, 1, 0), hashes(3, 1, 0)
    assert few[:2] == many[:2]
    assert few[2] == many[3]
    assert len({*many, *hashes(3, 1, 1)}) == 8
    monkeypatch.setattr("pathogan_core.cohorts.simulated_metastases.REVISION", REVISION + 1)
    assert not set(hashes(3, 1, 0)) & set(many)


def test_files_hold_the_image_and_numbered_tissues(tmp_path, quick_metastases):
    simulate(tmp_path)
    assert set(contents(tmp_path)) == {
        "metastases/metastases_001/metastases_001-t1c.nii.gz",
        "metastases/metastases_001/metastases_001-seg.nii.gz",
        "metastases/metastases_002/metastases_002-t1c.nii.gz",
        "metastases/metastases_002/metastases_002-seg.nii.gz",
        "normal/normal_001/normal_001-t1c.nii.gz",
        "simulated.json",
    }
    assert json.loads((tmp_path / "simulated.json").read_text()) == cohort_recipe(2, 1, 3)
    for subject in simulated_subjects(2, 1, 3):
        loaded, stem = subject.load(), tmp_path / subject.group / subject.patient / subject.patient
        image = sitk.GetArrayFromImage(sitk.ReadImage(f"{stem}-t1c.nii.gz"))
        np.testing.assert_array_equal(image, loaded.volumes["t1c"])
        if subject.group == "metastases":
            labels = sitk.GetArrayFromImage(sitk.ReadImage(f"{stem}-seg.nii.gz"))
            assert set(np.unique(labels)) == {0, *LABELS.values()}
            for tissue, number in LABELS.items():
                np.testing.assert_array_equal(labels == number, loaded.tissues[tissue])


def test_what_is_written_is_read_as_it_was_simulated(
    tmp_path, metastases_manifest, quick_metastases
):
    simulate(root := tmp_path / "cohort")
    report = check(root, metastases_manifest)
    assert (report.problems, report.source) == ([], "simulated")
    assert report.cases == {"metastases": 2, "normal": 1}
    assert (report.patients, report.layouts) == (3, {"labelled": 3})
    read = find_cases(root, metastases_manifest.contents)
    for case, subject in zip(read, simulated_subjects(2, 1, 3), strict=True):
        assert (case.scan, case.patient, case.grade) == (
            *(subject.scan, subject.patient, subject.grade),
        )
        assert case.content_hash() == subject.content_hash()
        loaded, made = case.load(), subject.load()
        assert list(loaded.volumes) == ["t1c"]
        np.testing.assert_array_equal(loaded.volumes["t1c"], made.volumes["t1c"])
        for tissue in TISSUES:
            np.testing.assert_array_equal(loaded.tissues[tissue], made.tissues[tissue])
        assert loaded.spacing == made.spacing


def test_an_interrupted_cohort_is_completed_identically(
    tmp_path, metastases_manifest, quick_metastases
):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    simulate(whole)
    quick_metastases.clear()

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(broken, progress=stop)
    assert not (broken / "simulated.json").exists()
    (problem,) = check(broken, metastases_manifest).problems
    assert "half-simulated" in problem.problem
    with pytest.raises(PathoganError, match="half-simulated"):
        prepare_folder(COHORT, broken, tmp_path / "out")
    # Killed between a subject's two files: it is made again.
    (broken / "metastases/metastases_002/metastases_002-seg.nii.gz").unlink()
    seen: list[tuple[int, int]] = []
    simulate(broken, progress=lambda *at: seen.append(at))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert quick_metastases == [
        *("metastases_001", "metastases_002", "metastases_002", "normal_001")
    ]
    assert contents(broken) == contents(whole)
    simulate(broken)
    assert len(quick_metastases) == 4


@pytest.mark.parametrize(
    ("change", "word"),
    [({"patients": 3}, "patients 2, not 3"), ({"normals": 0}, "normals"), ({"seed": 4}, "seed")],
)
def test_another_recipe_is_refused(tmp_path, quick_metastases, change, word):
    simulate(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(PathoganError, match=f"another recipe .*{word}"):
        simulate(tmp_path, **change)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    "wrong", [{"patients": 0}, {"normals": -1}, {"normals": True}, {"seed": -1}, {"workers": 0}]
)
def test_impossible_requests_are_refused_before_anything_is_written(
    tmp_path, quick_metastases, wrong
):
    (name,) = wrong
    with pytest.raises(PathoganError, match=name):
        simulate(tmp_path / "new", **wrong)
    assert not (tmp_path / "new").exists()
    assert quick_metastases == []


def test_a_full_disk_is_one_line_and_leaves_no_half_file(tmp_path, quick_metastases, monkeypatch):
    sync, calls = os.fsync, 0

    def failing(handle: int) -> None:
        nonlocal calls
        calls += 1
        if calls > 3:  # the mark, and one of the second patient's files
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        with pytest.raises(PathoganError, match="cannot be written") as caught:
            simulate(tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.rglob("*.partial"))
    simulate(tmp_path / "out")
    assert (tmp_path / "out" / "simulated.json").exists()


def test_directly_or_through_files_gives_the_same(tmp_path, metastases_manifest, quick_metastases):
    parameters = metastases_manifest.parameters()
    direct = prepare_metastases(tmp_path / "direct", 4, 2, 3, parameters)
    simulate(tmp_path / "cohort", 4, 2)
    read = prepare_folder(COHORT, tmp_path / "cohort", tmp_path / "read")
    assert contents(tmp_path / "read") == contents(tmp_path / "direct")
    assert read.fingerprint == direct.fingerprint
    for one, other in zip(exact_boxes(read, 16), exact_boxes(direct, 16), strict=True):
        np.testing.assert_array_equal(one, other)
    assert sum(map(len, exact_boxes(direct, 16))) > 0
    direct.verify()
    assert direct.info["cohort_recipe"] == cohort_recipe(4, 2, 3)


def test_another_seed_or_length_is_another_fingerprint(
    tmp_path, metastases_manifest, quick_metastases
):
    parameters = metastases_manifest.parameters()
    wanted = [(3, 1, 0), (3, 2, 0), (4, 1, 0), (3, 1, 1)]
    prints = [
        prepare_metastases(tmp_path / f"{i}", *recipe, parameters).fingerprint
        for i, recipe in enumerate(wanted)
    ]
    assert len(set(prints)) == len(wanted)


def test_normal_subjects_are_never_held_out_and_take_no_share(
    tmp_path, metastases_manifest, quick_metastases
):
    parameters = metastases_manifest.parameters()
    with_normals = splits_of(prepare_metastases(tmp_path / "with", 10, 5, 0, parameters))
    without = splits_of(prepare_metastases(tmp_path / "without", 10, 0, 0, parameters))
    assert {name: with_normals.pop(f"normal_{name:03d}") for name in range(1, 6)} == dict.fromkeys(
        range(1, 6), "train"
    )
    assert with_normals == without
    held = list(without.values())
    assert [held.count(split) for split in ("train", "validation", "test")] == [7, 1, 2]


def test_who_is_for_training_only_is_read_from_the_manifest(
    tmp_path, metastases_home, quick_metastases
):
    simulate(tmp_path / "cohort", 3, 6)
    path = metastases_home / "data_manifests" / f"{COHORT}.yaml"
    content = yaml.safe_load(path.read_text())

    def normal_splits(name: str) -> set[str]:
        held = splits_of(prepare_folder(COHORT, tmp_path / "cohort", tmp_path / name))
        return {split for patient, split in held.items() if patient.startswith("normal")}

    assert normal_splits("kept") == {"train"}
    content["preparations"]["section5"]["split"]["train_only"] = []
    path.write_text(yaml.safe_dump(content))
    assert normal_splits("drawn") > {"train"}
    # Without such groups the draw is `prepare`'s own, as for every other cohort.
    everyone = prepare_folder(COHORT, tmp_path / "cohort", tmp_path / "drawn")
    assert everyone.info["parameters"]["split_by"] == "hash of seed and patient"


def test_a_list_of_splits_need_not_name_normal_subjects_but_may_not_hold_them_out(
    tmp_path, metastases_manifest, quick_metastases
):
    simulate(tmp_path / "cohort", 2, 1)
    sound = [("metastases_001", "train"), ("metastases_002", "test")]
    assert check(tmp_path / "cohort", metastases_manifest, splits=sound).problems == []
    path = tmp_path / "splits.csv"
    path.write_text("patient,split\n" + "".join(f"{a},{b}\n" for a, b in sound))
    prepared = prepare_folder(COHORT, tmp_path / "cohort", tmp_path / "out", splits=path)
    assert splits_of(prepared) == dict(sound) | {"normal_001": "train"}
    bad = [*sound, ("normal_001", "test")]
    (problem,) = check(tmp_path / "cohort", metastases_manifest, splits=bad).problems
    assert (problem.where, problem.problem) == (
        *("normal_001", "is for training only, but is listed for test"),
    )


def test_the_manifest_in_the_repository_fits_what_is_simulated(quick_metastases, tmp_path):
    """The real grid is not that of the quick subjects, and nothing but the grid is wrong."""
    simulate(tmp_path / "cohort")
    manifest = read_manifest(Path(__file__).parents[2] / "data_manifests" / f"{COHORT}.yaml")
    problems = check(tmp_path / "cohort", manifest).problems
    assert len(problems) == 3
    assert all("instead of 155x240x240 voxels of 1x1x1 mm" in each.problem for each in problems)
