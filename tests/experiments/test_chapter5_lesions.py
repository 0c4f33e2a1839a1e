"""Chapter 5's lesions: whose they are, which are left out, one for each synthetic image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from tiny_chapter5 import SIZE, changed

from pathogan_core.errors import PathoganError
from pathogan_core.experiments.chapter5 import lesions, placing, reporting
from pathogan_core.experiments.chapter5.data import BoxedSlices, Chapter
from pathogan_core.experiments.store import Run


@pytest.fixture
def run(chapter5: Chapter) -> Run:
    return placing.train_gan(chapter5, "cpggan")


def numbered(
    monkeypatch: pytest.MonkeyPatch, boxes: list[np.ndarray], greys: Sequence[int]
) -> None:
    """Images that are grey, black where `greys` says 0, and the boxes that are asked for."""
    images = np.stack([np.full((SIZE, SIZE), grey, np.uint8) for grey in greys])

    def asked(chapter: Chapter, count: int) -> tuple[list[np.ndarray], np.ndarray]:
        return boxes[:count], np.arange(count)

    monkeypatch.setattr(placing, "asked", asked)
    monkeypatch.setattr(placing, "fill", lambda run, some, seed: images[: len(some)])


def test_a_real_lesion_is_its_slices_patients(chapter5: Chapter) -> None:
    slices = chapter5.training
    found = lesions.real_lesions(slices)
    expected = [
        (str(patient), reporting.lesion_panels(image[None], [box[None]])[0])
        for image, boxes, patient in zip(slices.images, slices.rough, slices.patients, strict=True)
        for box in boxes
    ]
    assert found.patients.tolist() == [patient for patient, _ in expected]
    assert np.array_equal(found.images, [panel for _, panel in expected])
    assert found.images.shape[1:] == (32, 32)
    assert len(expected) > len(slices)


def test_air_is_left_out_with_its_patient() -> None:
    images = np.stack([np.full((8, 8), grey, np.uint8) for grey in (0, 25, 26, 200)])
    box = np.array([[1.0, 1, 5, 5]])
    slices = BoxedSlices(images, [box] * 4, [box] * 4, np.array(["a", "b", "c", "d"]))
    found = lesions.real_lesions(slices)
    assert found.patients.tolist() == ["c", "d"]
    assert found.images[:, 0, 0].tolist() == [26, 200]


def test_slices_without_boxes_have_no_lesions() -> None:
    none = np.empty((0, 4))
    slices = BoxedSlices(
        np.full((2, 8, 8), 99, np.uint8), [none] * 2, [none] * 2, np.array(["a"] * 2)
    )
    found = lesions.real_lesions(slices)
    assert (len(found.images), len(found.patients)) == (0, 0)


def test_each_synthetic_image_gives_one_lesion(
    chapter5: Chapter, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    boxes = [np.array([[1.0, 1, 9, 9], [20, 20, 26, 26], [3, 18, 9, 24]])] * 10
    numbered(monkeypatch, boxes, range(100, 110))
    found = lesions.synthetic_lesions(chapter5, run, 8)
    assert found.images[:, 5, 5].tolist() == list(range(100, 108))
    assert found.patients.tolist() == [""] * 8


def test_every_box_of_an_image_may_be_the_one() -> None:
    boxes = np.array([[0.0, 0, 1, 1], [1, 1, 2, 2], [2, 2, 3, 3]])
    chosen = np.concatenate([lesions._one_of(boxes, 0, number)[:, 0] for number in range(300)])
    counts = np.bincount(chosen.astype(int))
    assert counts.sum() == 300
    assert counts.min() > 60  # of 100 expected; standard deviation 8


def test_images_of_air_are_replaced_by_spare_ones_as_far_as_these_go(
    chapter5: Chapter, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    boxes = [np.array([[1.0, 1, 9, 9]])] * 9 + [np.empty((0, 4))]
    numbered(monkeypatch, boxes, [0, 101, 102, 103, 104, 0, 106, 107, 0, 109])
    few = lesions.synthetic_lesions(chapter5, run, 4)  # five are drawn
    assert few.images[:, 0, 0].tolist() == [101, 102, 103, 104]
    many = lesions.synthetic_lesions(chapter5, run, 8)  # ten, one of them without a box
    assert many.images[:, 0, 0].tolist() == [101, 102, 103, 104, 106, 107]


def test_a_lesion_does_not_depend_on_how_many_there_are(chapter5: Chapter, run: Run) -> None:
    few = lesions.synthetic_lesions(chapter5, run, 4).images
    many = lesions.synthetic_lesions(chapter5, run, 9).images
    assert len(many) > len(few) > 0
    assert np.allclose(few, many[: len(few)], atol=1)


def test_images_of_another_size_are_refused(chapter5: Chapter, run: Run) -> None:
    with pytest.raises(PathoganError) as refused:
        lesions.synthetic_lesions(changed(chapter5, image_size=64), run, 4)
    assert "draws images of 32 px, and slices have 64; use a run of 64 px" in str(refused.value)
