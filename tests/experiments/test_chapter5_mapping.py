"""Chapter 5's map: whose lesions it shows, what is measured, and what makes another map."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_chapter5 import NORMAL_SUBJECT, SPLITS, changed

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation import embedding
from pathogan_core.evaluation.embedding import Origins, TSNEConfig
from pathogan_core.experiments.chapter5 import lesions, mapping, placing
from pathogan_core.experiments.chapter5.data import Chapter
from pathogan_core.experiments.chapter5.parameters import Parameters
from pathogan_core.experiments.store import Run, RunSpec, RunStore

TRAINING = {name for name, split in SPLITS.items() if split == "train"} - {NORMAL_SUBJECT}


def by_source(run: Run) -> dict[str, np.ndarray]:
    """A map's images."""
    _, sources, images = mapping.read_map(run)
    return {name: images[sources == name] for name in dict.fromkeys(sources.tolist())}


def test_a_map_sets_each_gans_lesions_beside_those_of_training_patients(chapter5: Chapter) -> None:
    run = mapping.lesion_map(chapter5)
    shown = by_source(run)
    assert [*shown] == ["real", *chapter5.parameters.gans]
    real = lesions.real_lesions(chapter5.training)
    owners = {image.tobytes(): name for image, name in zip(real.images, real.patients, strict=True)}
    arrays = run.arrays(mapping.MAP)
    patients = arrays["patients"][arrays["sources"] == "real"]
    assert [owners[image.tobytes()] for image in shown["real"]] == patients.tolist()
    assert set(patients) == TRAINING
    for gan in chapter5.parameters.gans:
        made = lesions.synthetic_lesions(chapter5, placing.train_gan(chapter5, gan), 30)
        assert np.array_equal(shown[gan], made.images)
        assert set(arrays["patients"][arrays["sources"] == gan]) == {""}


def test_real_lesions_are_drawn_from_all_patients_alike(chapter5: Chapter) -> None:
    run = mapping.lesion_map(changed(chapter5, mapped_images=9, perplexity=8.0))
    arrays = run.arrays(mapping.MAP)
    counts = Counter(arrays["patients"][arrays["sources"] == "real"].tolist())
    assert counts == dict.fromkeys(TRAINING, 3)


def test_points_and_numbers_are_those_of_grey_levels(chapter5: Chapter) -> None:
    run = mapping.lesion_map(chapter5)
    points, sources, images = mapping.read_map(run)
    vectors = embedding.input_vectors(images, "pixels")
    assert vectors == pytest.approx(images.reshape(len(images), -1) / 255, abs=1e-6)
    assert np.allclose(points, embedding.embed(vectors, TSNEConfig(perplexity=20)), rtol=1e-5)

    patients = run.arrays(mapping.MAP, "patients")["patients"]
    names = set()
    for gan in chapter5.parameters.gans:
        rows = np.flatnonzero(np.isin(sources, ["real", gan]))
        origins = Origins(sources[rows] == gan, np.ones(len(rows), bool), patients[rows])
        found = embedding.measure_overlap(vectors[rows], origins, per_category=1000)
        for name, metric in found.items():
            told = run.record.metrics[f"{gan}/{name}"]
            assert told["value"] == pytest.approx(metric.value, rel=1e-4), name
            assert told["n"] == metric.n
            names.add(f"{gan}/{name}")
    assert names == run.record.metrics.keys()


def test_a_patients_lesions_are_not_compared_with_each_other(
    chapter5: Chapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where each patient's lesions coincide, and lie apart from all others, none is near."""
    levels = {name: 60 * number for number, name in enumerate(sorted(TRAINING), start=1)}

    def mapped(chapter: Chapter, runs: dict[str, Run]) -> dict[str, lesions.Lesions]:
        patients = np.repeat(sorted(TRAINING), 4)
        noise = np.random.default_rng(0).integers(0, 2, (12, 32, 32))
        greys = np.array([levels[name] for name in patients])[:, None, None]
        real = lesions.Lesions((greys + noise).astype(np.uint8), patients)
        between = lesions.Lesions((greys[::-1] + 20 + noise).astype(np.uint8), np.full(12, ""))
        return {"real": real, "cpggan": between}

    monkeypatch.setattr(mapping, "REVISION", -2)
    monkeypatch.setattr(mapping, "mapped_lesions", mapped)
    metrics = mapping.lesion_map(changed(chapter5, perplexity=5.0)).record.metrics
    assert metrics["cpggan/remoteness_tumour"]["value"] == pytest.approx(20 / 60, abs=0.02)


def test_a_map_is_found_again_and_only_its_numbers_are_made_anew(
    chapter5: Chapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = mapping.lesion_map(chapter5)

    def never(*_: Any) -> None:
        raise AssertionError("embedded again")

    monkeypatch.setattr(embedding, "embed", never)
    assert mapping.lesion_map(chapter5) == run
    with monkeypatch.context() as patched:
        patched.setattr(embedding, "REVISION", -1)
        patched.setattr(mapping, "_numbers", lambda _: {})
        again = mapping.lesion_map(chapter5)
        assert (again.folder, again.record.metrics) == (run.folder, {})
    assert mapping.lesion_map(chapter5).record.metrics == run.record.metrics


@pytest.fixture
def identity(chapter5: Chapter, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What a map would be called, without making it."""
    find = RunStore.train_or_load

    def asked(**changes: Any) -> str:
        specs: list[RunSpec] = []

        def recorded(store: RunStore, spec: RunSpec, make: Any) -> Run | None:
            specs.append(spec)
            return None if spec.method == "map" else find(store, spec, make)

        with monkeypatch.context() as patched:
            patched.setattr(RunStore, "train_or_load", recorded)
            patched.setattr(RunStore, "measured", lambda store, run, how: run)
            mapping.lesion_map(changed(chapter5, **changes))
        return specs[-1].folder_name

    return asked


def test_whatever_changes_a_map_makes_another_one(
    chapter5: Chapter, identity: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = mapping.lesion_map(chapter5).folder.name
    assert identity(scale="study", pool_images=30, seeds=(3,), reader="ada") == own
    others = [
        identity(seed=1),
        identity(perplexity=21.0),
        identity(mapped_images=29),
        identity(shift=0.05),
        identity(zoom=0.05),
        identity(least_left=0.6),
        identity(roughness=0.0),
        identity(gan_images=104),
        identity(gans=("cpggan",)),
    ]
    monkeypatch.setattr(lesions, "DARKEST", 24)
    others.append(identity())
    assert len({own, *others}) == len(others) + 1


def test_a_perplexity_that_too_few_lesions_have_is_one_line() -> None:
    with pytest.raises(PathoganError) as refused:
        Parameters(mapped_images=5, perplexity=20.0)
    assert "perplexity: is 20, but a map has 20 lesions at most; lower it" in str(refused.value)
    with pytest.raises(PathoganError, match="perplexity: is 0"):
        Parameters(perplexity=0.0)
    with pytest.raises(PathoganError, match="mapped_images: is 0"):
        Parameters(mapped_images=0)


def test_a_damaged_map_is_one_line(chapter5: Chapter, tmp_path: Path) -> None:
    run = mapping.lesion_map(chapter5)
    moved = replace(run, folder=tmp_path)
    content = (run.folder / mapping.MAP).read_bytes()
    (tmp_path / mapping.MAP).write_bytes(content)
    assert np.array_equal(mapping.read_map(moved)[0], mapping.read_map(run)[0])
    (tmp_path / mapping.MAP).write_bytes(content[:-40])
    with pytest.raises(PathoganError, match=r"map\.npz: holds no readable arrays"):
        mapping.read_map(moved)
