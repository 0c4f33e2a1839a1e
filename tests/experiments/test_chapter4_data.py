"""Chapter 4's real images: classes, sizes, who is trained on, and what a record says of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny_chapter4 import (
    NON_TUMOUR,
    OEDEMA,
    PATIENTS,
    SIZE,
    TUMOUR,
    TWICE,
    changed,
    origins,
    told,
    write_folder,
)

from pathogan_core.cohorts.prepared import TABLE
from pathogan_core.cohorts.slice_classes import CLASSES
from pathogan_core.cohorts.slices import resize_area
from pathogan_core.errors import PathoganError
from pathogan_core.experiments.chapter4 import data
from pathogan_core.experiments.chapter4.data import Chapter
from pathogan_core.experiments.chapter4.parameters import DIVISIONS, Parameters

SPLITS = ("train", "validation", "test")
IN_TRAINING = sum(split == "train" for split in PATIENTS.values())


@pytest.mark.parametrize("name", CLASSES)
def test_pggan_sees_the_classifiers_images_with_zeros_around_them(
    chapter: Chapter, name: str
) -> None:
    padded, plain = chapter.gan_images(name), chapter.classifier_images("train", name)
    assert padded.shape[1:] == (64, 64)
    assert np.array_equal(padded[:, 2:62, 2:62], plain)
    assert padded.sum() == plain.sum() > 0
    assert np.array_equal(chapter.for_classifier(padded), plain)


@pytest.mark.parametrize(("gan_size", "classifier_size"), [(64, 60), (256, 224)])
def test_without_cropping_a_generated_brain_is_a_sixteenth_smaller(
    chapter: Chapter, gan_size: int, classifier_size: int
) -> None:
    sizes = {"gan_size": gan_size, "classifier_size": classifier_size}
    parameters = replace(chapter.parameters, pggan_width=8, **sizes)
    square = np.zeros((1, gan_size, gan_size), np.uint8)
    square[:, gan_size // 4 : -gan_size // 4, gan_size // 4 : -gan_size // 4] = 255
    widths = {}
    for crop_first in (True, False):
        how = replace(parameters, crop_first=crop_first)
        shown = replace(chapter, parameters=how).for_classifier(square)
        assert shown.shape == (1, classifier_size, classifier_size)
        assert np.array_equal(shown, shown[:, ::-1, ::-1])  # centred
        widths[crop_first] = shown[0, classifier_size // 2].sum() / 255
    scale = classifier_size / parameters.slice_size  # 1 mm of a real image
    assert widths[True] == pytest.approx(gan_size / 2 * scale, abs=0.02)
    assert widths[False] / widths[True] == pytest.approx(1 - 0.0625, abs=0.002)


def test_shrinking_part_by_part_is_shrinking_each_image() -> None:
    images = np.random.default_rng(0).integers(0, 256, (1203, 8, 8), np.uint8)
    slow = [resize_area(image[None], 6)[0].round() for image in images]
    assert np.array_equal(data.shrunk(images, 6), slow)
    assert data.shrunk(images, 8) is images
    assert data.shrunk(images[:0], 6).shape == (0, 6, 6)


def test_labels_and_patients_are_those_of_the_images(chapter: Chapter) -> None:
    rows, seen = origins(chapter.prepared.folder), 0
    for split in SPLITS:
        labelled = chapter.labelled(split)
        owners = np.concatenate([chapter.patients(split, name) for name in CLASSES])
        for image, label, owner in zip(labelled.images, labelled.labels, owners, strict=True):
            row = rows[image.tobytes()]
            assert (row["split"], row["patient"]) == (split, owner)
            assert row["oedema_voxels"] == 0  # with the rule "core" in neither class
            assert label == (row["enhancing_voxels"] > 0)
        seen += len(owners)
    assert seen == len(PATIENTS) * (TUMOUR + NON_TUMOUR)
    assert len(changed(chapter, tumour_rule="any").labelled("test").images) == 2 * (
        TUMOUR + OEDEMA + NON_TUMOUR
    )


def test_more_training_patients_are_those_of_fewer_and_others(
    chapter: Chapter, tmp_path: Path
) -> None:
    before: set[str] = set()
    fingerprints = {chapter.provenance("train")["fingerprint"]}
    for count in range(1, IN_TRAINING + 1):
        fewer = changed(chapter, train_patients=count)
        names = set(np.concatenate([fewer.patients("train", name) for name in CLASSES]))
        assert len(names) == count
        assert before < names
        before = names
        for split in ("validation", "test"):
            for what in ("images", "labels"):
                own, whole = (getattr(c.labelled(split), what) for c in (fewer, chapter))
                assert np.array_equal(own, whole)
        fingerprints.add(fewer.provenance("train")["fingerprint"])
    assert len(fingerprints) == IN_TRAINING + 1

    table = pd.read_parquet(chapter.prepared.folder / TABLE)
    images = np.load(chapter.prepared.folder / f"t1c_{TWICE}.npy")
    folder = write_folder(tmp_path / "reversed", table[::-1], images[::-1])
    other = changed(chapter, prepared=str(folder), train_patients=2)
    chosen = changed(chapter, train_patients=2)
    assert set(other.patients("train", "tumour")) == set(chosen.patients("train", "tumour"))


def test_more_training_patients_than_there_are_is_one_line(chapter: Chapter) -> None:
    with pytest.raises(PathoganError) as refused:
        changed(chapter, train_patients=IN_TRAINING + 1)
    assert f"train_patients: is 5, but only {IN_TRAINING} patients" in told(refused)


def test_a_record_tells_the_classes_apart_and_counts_their_images(chapter: Chapter) -> None:
    counts = {"tumour": TUMOUR, "non_tumour": NON_TUMOUR, None: TUMOUR + NON_TUMOUR}
    found = {name: chapter.provenance("test", name) for name in counts}
    assert len({one["fingerprint"] for one in found.values()}) == 3
    for name, count in counts.items():
        assert (found[name]["patients"], found[name]["images"]) == (2, 2 * count)
        assert found[name]["source"] == "simulated"
    stricter = changed(chapter, tumour_voxels=41)  # the same images, by another rule
    for name in counts:
        assert stricter.provenance("test", name)["fingerprint"] != found[name]["fingerprint"]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"tumour_voxels": 10_000}, "holds no slice with class tumour"),
        ({"gan_size": 256, "pggan_width": 8}, "holds no size 240; choose one of 120, 60"),
        ({"prepared": "nowhere"}, "holds no prepared slices"),
    ],
)
def test_slices_that_are_not_there_are_one_line(chapter: Chapter, changes: dict, line: str) -> None:
    with pytest.raises(PathoganError) as refused:
        changed(chapter, **changes).gan_images("tumour")
    assert line in told(refused)


def test_every_simulated_cohort_has_a_folder_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = {}

    def prepare_simulated(folder, patients, seed, preparation, workers):
        made[folder] = (patients, seed, preparation.split)
        assert (preparation.plane, preparation.sequences) == ("axial", (data.SEQUENCE,))
        assert SIZE in preparation.sizes

    monkeypatch.setenv("PATHOGAN_DATA", str(tmp_path))
    monkeypatch.setattr(data, "prepare_simulated", prepare_simulated)
    wanted = [(n, s, d) for n in (5, 6) for s in (0, 1) for d in DIVISIONS]
    for patients, seed, division in wanted:
        Chapter.open(Parameters(patients=patients, data_seed=seed, division=division))
    assert list(made.values()) == [(n, s, DIVISIONS[d]) for n, s, d in wanted]
    assert {folder.parent for folder in made} == {tmp_path}
