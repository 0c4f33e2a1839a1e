"""Chapter 4's maps: whose images they show, what is measured, and what makes another map."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_chapter4 import changed, origins, told

from pathogan_core.cohorts.slice_classes import CLASSES
from pathogan_core.errors import PathoganError
from pathogan_core.evaluation import embedding
from pathogan_core.evaluation.embedding import CATEGORIES, Origins, TSNEConfig
from pathogan_core.experiments import pooling
from pathogan_core.experiments.chapter4 import mapping, measuring
from pathogan_core.experiments.chapter4.data import Chapter
from pathogan_core.experiments.store import Run, RunSpec, RunStore
from pathogan_core.training.augmentation import ClassicAugmentation

AS_THEY_ARE = ClassicAugmentation(
    horizontal_flip=False, vertical_flip=False, rotation=0, shift=0, shear=0, zoom=0
)
TUMOUR, NON_TUMOUR = 20, 24
"""Training images of each class; a pool has 24 of each."""


def by_category(run: Run) -> dict[str, np.ndarray]:
    """A map's images."""
    _, categories, images = mapping.read_map(run)
    return {name: images[categories == name] for name in CATEGORIES}


def is_tumour(row: Any) -> bool:
    return row["enhancing_voxels"] > 0


@pytest.mark.parametrize("source", mapping.SOURCES)
def test_a_map_sets_a_sources_images_beside_training_images_of_both_classes(
    chapter: Chapter, source: str
) -> None:
    run = mapping.image_map(chapter, source)
    shown, rows = by_category(run), origins(chapter.prepared.folder)
    for name, count in (("tumour", TUMOUR), ("non-tumour", NON_TUMOUR)):
        real = [rows[image.tobytes()] for image in shown[f"real, {name}"]]
        assert {row["split"] for row in real} == {"train"}
        assert {is_tumour(row) for row in real} == {name == "tumour"}
        assert len({image.tobytes() for image in shown[f"real, {name}"]}) == len(real) == count
        made = {image.tobytes() for image in shown[f"synthetic, {name}"]}
        if source == "classic":
            assert made.isdisjoint(rows)
            assert len(made) == count
        else:
            pool = measuring.stage(chapter, source, name.replace("-", "_"))
            assert made == {image.tobytes() for image in pooling.images_of(pool)}


def test_transformed_images_are_their_patients_and_their_classs(
    chapter: Chapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapping, "AUGMENTATION", AS_THEY_ARE)
    run, rows = mapping.image_map(chapter, "classic"), origins(chapter.prepared.folder)
    arrays = run.arrays(mapping.MAP)
    assert Counter(arrays["is_fake"].tolist()) == {False: 44, True: 44}
    for image, tumour, patient in zip(
        arrays["images"], arrays["is_tumour"], arrays["patients"], strict=True
    ):
        row = rows[image.tobytes()]
        assert (row["patient"], is_tumour(row), row["split"]) == (patient, tumour, "train")


def test_a_gans_images_are_nobodys(chapter: Chapter) -> None:
    arrays = mapping.image_map(chapter, "pggan").arrays(mapping.MAP)
    assert set(arrays["patients"][arrays["is_fake"]]) == {""}
    assert set(arrays["patients"][~arrays["is_fake"]]) == {"ada", "ben", "cyd", "dov"}


def test_points_and_numbers_are_those_of_the_images_features(chapter: Chapter) -> None:
    run = mapping.image_map(chapter, "munit")
    points, categories, images = mapping.read_map(run)
    framed = np.pad(images, ((0, 0), (2, 2), (2, 2)))  # the network needs 64 px
    vectors = embedding.input_vectors(framed, "features")
    assert points.shape == (len(images), 2)
    assert np.allclose(points, embedding.embed(vectors, TSNEConfig(perplexity=20)), rtol=1e-5)

    fake = np.char.startswith(categories, "synthetic")
    tumour = np.char.endswith(categories, ", tumour")
    rows = origins(chapter.prepared.folder)
    patients = np.full(len(images), "", "U3")
    patients[~fake] = [rows[image.tobytes()]["patient"] for image in images[~fake]]
    expected = embedding.measure_overlap(vectors, Origins(fake, tumour, patients))
    assert run.record.metrics.keys() == expected.keys()
    for name, metric in run.record.metrics.items():
        assert metric["value"] == pytest.approx(expected[name].value, rel=1e-4), name


def test_so_many_of_each_category_and_the_same_real_ones_beside_every_gan(
    chapter: Chapter,
) -> None:
    chapter = changed(chapter, mapped_images=8, perplexity=10.0)
    shown = [by_category(mapping.image_map(chapter, source)) for source in ("pggan", "munit")]
    assert {len(images) for one in shown for images in one.values()} == {8}
    for name in CATEGORIES:
        same = np.array_equal(shown[0][name], shown[1][name])
        assert same == name.startswith("real")


def test_a_map_is_found_again_and_only_its_numbers_are_made_anew(
    chapter: Chapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = mapping.image_map(chapter, "pggan")

    def never(*_: Any) -> None:
        raise AssertionError("embedded again")

    monkeypatch.setattr(embedding, "embed", never)
    assert mapping.image_map(chapter, "pggan") == run
    with monkeypatch.context() as patched:
        patched.setattr(embedding, "REVISION", -1)
        patched.setattr(embedding, "measure_overlap", lambda *_, **__: {})
        again = mapping.image_map(chapter, "pggan")
        assert (again.folder, again.record.metrics) == (run.folder, {})
    assert mapping.image_map(chapter, "pggan").record.metrics == run.record.metrics


@pytest.fixture
def identity(chapter: Chapter, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What a map would be called, without making it; what it rests on is made."""
    find = RunStore.train_or_load

    def asked(source: str, **changes: Any) -> str:
        specs: list[RunSpec] = []

        def recorded(store: RunStore, spec: RunSpec, make: Any) -> Run | None:
            specs.append(spec)
            return None if spec.method == "map" else find(store, spec, make)

        with monkeypatch.context() as patched:
            patched.setattr(RunStore, "train_or_load", recorded)
            patched.setattr(RunStore, "measured", lambda store, run, how: run)
            mapping.image_map(changed(chapter, **changes), source)
        assert specs[-1].method == "map"
        return specs[-1].folder_name

    return asked


def test_whatever_changes_a_map_makes_another_one(
    chapter: Chapter, identity: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = mapping.image_map(chapter, "classic").folder.name
    assert identity("classic", scale="study", pggan_width=2, seeds=(3,), crop_first=False) == own
    others = [
        identity("classic", seed=1),
        identity("classic", perplexity=21.0),
        identity("classic", mapped_images=29),
        identity("classic", classifier_size=56),
        identity("classic", gan_size=128),  # shrunk from 120 px: other rounding
        identity("classic", train_patients=3),
        identity("classic", tumour_voxels=41),
        identity("pggan"),
        identity("pggan", crop_first=False),
        identity("munit"),
    ]
    monkeypatch.setattr(mapping, "AUGMENTATION", AS_THEY_ARE)
    assert identity("pggan") == others[7]
    others.append(identity("classic"))
    assert len({own, *others}) == len(others) + 1


def test_a_perplexity_that_too_few_images_have_is_one_line(chapter: Chapter) -> None:
    asked = changed(chapter, perplexity=100.0)
    with pytest.raises(PathoganError) as refused:
        mapping.image_map(asked, "pggan")
    assert "perplexity: 100 needs more images than that, there are 92; draw more" in told(refused)


def test_a_damaged_map_is_one_line(chapter: Chapter, tmp_path: Path) -> None:
    run = mapping.image_map(chapter, "pggan")
    moved = replace(run, folder=tmp_path)
    content = (run.folder / mapping.MAP).read_bytes()
    (tmp_path / mapping.MAP).write_bytes(content)
    assert np.array_equal(mapping.read_map(moved)[0], mapping.read_map(run)[0])
    (tmp_path / mapping.MAP).write_bytes(content[:-40])
    with pytest.raises(PathoganError) as refused:
        mapping.read_map(moved)
    assert "map.npz: holds no readable arrays; delete the folder" in told(refused)


def test_both_classes_have_a_stage_of_their_own(chapter: Chapter) -> None:
    inputs = mapping.image_map(chapter, "pggan").record.inputs
    for name in CLASSES:
        stage = measuring.stage(chapter, "pggan", name)
        assert inputs[f"synthetic_{name}"]["fingerprint"] == stage.record.run
    assert inputs["images"] == chapter.provenance("train")
