"""Chapter 5's pools: images and the boxes they were asked for, whatever their number."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_chapter4 import told
from tiny_chapter5 import SIZE, changed

from pathogan_core.errors import PathoganError
from pathogan_core.experiments import pooling
from pathogan_core.experiments.chapter5 import filling, placing
from pathogan_core.experiments.chapter5.data import Chapter


@pytest.mark.parametrize("gan", ["cpggan", "image-to-image"])
def test_a_pool_is_what_its_gan_draws_in_the_boxes_asked_for(chapter5: Chapter, gan: str) -> None:
    pool = filling.filled(chapter5, gan)
    boxes, _ = placing.asked(chapter5, 24)
    drawn = placing.fill(placing.train_gan(chapter5, gan), boxes, 0)
    images = pooling.images_of(pool)
    assert images.shape == (24, SIZE, SIZE)
    assert np.array_equal(images, drawn)
    assert len(np.unique(images, axis=0)) == 24
    held = filling.boxed(pool, 24, gan)
    for number, own in enumerate(boxes):
        assert np.array_equal(held.boxes[held.rows == number], own)


def test_an_image_and_its_boxes_do_not_depend_on_how_many_there_are(
    chapter5: Chapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = filling.boxed(filling.filled(chapter5, "cpggan"), 24, "cpggan")
    monkeypatch.setattr(placing, "AT_ONCE", 7)
    longer = filling.filled(changed(chapter5, pool_images=30), "cpggan")
    assert len(pooling.images_of(longer)) == 30
    again = filling.boxed(longer, 24, "cpggan")
    # A convolution of 7 images may round otherwise than one of 24: one grey level at most.
    difference = np.abs(again.images.astype(int) - few.images)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.01
    assert np.array_equal(again.boxes, few.boxes)
    assert np.array_equal(again.rows, few.rows)


@pytest.mark.parametrize("count", [1, 8, 24])
def test_the_first_images_of_a_pool_keep_their_boxes(chapter5: Chapter, count: int) -> None:
    pool = filling.filled(chapter5, "cpggan")
    boxes, _ = placing.asked(chapter5, count)
    part = filling.boxed(pool, count, "any")
    assert (part.name, len(part)) == ("any", count)
    assert np.array_equal(part.images, pooling.images_of(pool)[:count])
    assert part.rows.tolist() == [row for row, own in enumerate(boxes) for _ in own]
    assert np.array_equal(part.boxes, np.concatenate(boxes))


def test_more_images_than_a_pool_has_are_one_line(chapter5: Chapter) -> None:
    with pytest.raises(PathoganError) as refused:
        filling.boxed(filling.filled(chapter5, "cpggan"), 25, "cpggan")
    assert "has 24 images and not 25; raise pool_images" in told(refused)


def test_a_damaged_file_of_boxes_is_one_line(chapter5: Chapter, tmp_path: Path) -> None:
    pool = filling.filled(chapter5, "cpggan")
    for name in (filling.BOXES, pooling.IMAGES):
        (tmp_path / name).write_bytes((pool.folder / name).read_bytes())
    copied = replace(pool, folder=tmp_path)
    assert len(filling.boxed(copied, 24, "cpggan").boxes)
    (tmp_path / filling.BOXES).write_bytes((pool.folder / filling.BOXES).read_bytes()[:-8])
    with pytest.raises(PathoganError) as refused:
        filling.boxed(copied, 24, "cpggan")
    assert "boxes.safetensors: is not a readable safetensors file" in told(refused)


def test_each_gan_and_each_way_of_asking_has_a_pool_of_its_own(chapter5: Chapter) -> None:
    pools = [
        filling.filled(chapter5, "cpggan"),
        filling.filled(chapter5, "cpggan-normal"),
        filling.filled(changed(chapter5, zoom=0.0), "cpggan"),
        filling.filled(changed(chapter5, seed=1), "cpggan"),
        filling.filled(changed(chapter5, roughness=0.5), "cpggan"),
    ]
    assert len({pool.folder for pool in pools}) == len(pools)
    gan = placing.train_gan(chapter5, "cpggan-normal")
    assert pools[1].record.inputs["generator"]["fingerprint"] == gan.record.run
    assert pools[1].record.inputs["boxes"] == chapter5.provenance("train")


def test_asking_again_finds_the_pool(chapter5: Chapter, monkeypatch: pytest.MonkeyPatch) -> None:
    first = filling.filled(chapter5, "cpggan")
    monkeypatch.setattr(filling, "storing", None)
    assert filling.filled(chapter5, "cpggan") == first


def test_flattened_boxes_name_their_images() -> None:
    one, none, two = np.ones((1, 4)), np.empty((0, 4)), np.full((2, 4), 2.0)
    boxes, rows = filling.flattened([one, none, two])
    assert np.array_equal(boxes, [[1] * 4, [2] * 4, [2] * 4])
    assert rows.tolist() == [0, 2, 2]
    boxes, rows = filling.flattened([none])
    assert (boxes.shape, rows.shape) == ((0, 4), (0,))
