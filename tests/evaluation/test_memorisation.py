from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.memorisation import (
    measure_memorisation,
    nearest,
    pixel_vectors,
)

PATIENTS = 20


@pytest.fixture(scope="module")
def train(make_images):
    """Training images of 20 patients, each patient's alike."""
    images = make_images(300, seed=0, blur=4.0, patients=PATIENTS)
    return images, np.array([f"p{i % PATIENTS}" for i in range(300)])


def memorisation_of(fake: np.ndarray, train, held_out: np.ndarray):
    images, patients = train
    return measure_memorisation(
        fake=pixel_vectors(fake),
        train=pixel_vectors(images),
        held_out=pixel_vectors(held_out),
        patients_train=patients,
    )


def test_copies_are_caught_and_paired_with_their_source(train, make_images) -> None:
    images, _ = train
    generator = np.random.default_rng(5)
    sources = generator.choice(len(images), 40, replace=False)
    noise = generator.normal(0, 8, (40, 64, 64))
    copies = np.clip(images[sources] + noise, 0, 255).astype(np.uint8)
    held_out = make_images(200, seed=1, blur=4.0, patients=PATIENTS)
    result = memorisation_of(np.concatenate([copies, held_out[:60]]), train, held_out)
    assert result.is_copy[:40].all()
    assert result.is_copy[40:].sum() <= 2
    np.testing.assert_array_equal(result.fake.indices[:40], sources)
    assert set(result.closest_first()[:40]) == set(range(40))
    assert result.copied_share.interval[0] > 0.2
    assert result.copied_share.n == 100


def test_other_held_out_images_are_not_called_copies(train, make_images) -> None:
    held_out = make_images(400, seed=1, blur=4.0, patients=PATIENTS)
    unseen = make_images(400, seed=2, blur=4.0, patients=PATIENTS)
    result = memorisation_of(unseen, train, held_out)
    assert result.copied_share.value < 0.03
    assert result.close_share.interval[0] < 0.05


def test_blurred_images_are_close_but_no_copies(train, make_images) -> None:
    held_out = make_images(200, seed=1, blur=4.0, patients=PATIENTS)
    unseen = make_images(100, seed=3, blur=4.0, patients=PATIENTS)
    grey = gaussian_filter(unseen, (0, 12, 12), mode="wrap")
    result = memorisation_of(grey, train, held_out)
    assert result.close_share.value > 0.9
    assert result.copied_share.value < 0.03


def test_nearest_agrees_with_a_plain_search() -> None:
    generator = np.random.default_rng(0)
    queries, train = generator.random((7, 5)), generator.random((30, 5))
    patients = np.array([f"p{i % 3}" for i in range(30)])
    found = nearest(queries, train, patients)
    for row, query in enumerate(queries):
        distances = [float(np.sqrt(((query - image) ** 2).mean())) for image in train]
        best = int(np.argmin(distances))
        elsewhere = min(d for d, p in zip(distances, patients, strict=True) if p != patients[best])
        assert found.indices[row] == best
        assert found.distances[row] == pytest.approx(distances[best])
        assert found.specificity[row] == pytest.approx(distances[best] / elsewhere)


def test_an_exact_copy_has_distance_and_specificity_zero(train) -> None:
    images, patients = train
    vectors = pixel_vectors(images)
    found = nearest(vectors[:5], vectors, patients)
    assert found.indices.tolist() == [0, 1, 2, 3, 4]
    assert found.distances.tolist() == found.specificity.tolist() == [0.0] * 5
    shared = nearest(vectors[:1], vectors[[0, 0]], np.array(["a", "b"]))
    assert shared.specificity.tolist() == [1.0]


def test_pixel_distance_is_in_grey_levels_from_0_to_1() -> None:
    black, white = np.zeros((1, 64, 64), np.uint8), np.full((1, 64, 64), 255, np.uint8)
    assert nearest(
        pixel_vectors(black), pixel_vectors(white), np.array(["a"])
    ).distances == pytest.approx([1.0])


def test_one_patient_or_missing_names_are_refused(train) -> None:
    images, patients = train
    for names in (np.array(["only"] * len(images)), patients[:-1]):
        with pytest.raises(PathoganError, match="training patients"):
            memorisation_of(images[:5], (images, names), images[:5])
