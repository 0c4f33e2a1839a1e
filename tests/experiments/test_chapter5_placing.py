"""Chapter 5's slices, CPGGANs and what is measured and shown of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_chapter5 import NORMAL_SUBJECT, SIZE, SPLITS, changed

from pathogan_core import boxes as box_rules
from pathogan_core.experiments import growing
from pathogan_core.experiments.chapter5 import placing, reporting, sweeping
from pathogan_core.experiments.chapter5.data import Chapter, drawn

# ---- Slices --------------------------------------------------------------------------------------


def test_annotated_slices_are_those_of_ill_patients_with_a_box_in_their_own_split(
    chapter5: Chapter,
) -> None:
    for split in ("train", "validation", "test"):
        slices = chapter5.slices(split)
        assert set(slices.patients) <= {
            name for name, own in SPLITS.items() if own == split and name != NORMAL_SUBJECT
        }
        assert all(len(boxes) for boxes in slices.rough)
        for boxes in slices.rough:
            box_rules.check(boxes, "rough boxes", SIZE, SIZE)


def test_without_roughness_boxes_are_exact_and_hold_the_lesion(chapter5: Chapter) -> None:
    slices = changed(chapter5, roughness=0.0).slices("train")
    for image, rough, exact in zip(slices.images, slices.rough, slices.exact, strict=True):
        assert np.array_equal(rough, exact)
        inside = drawn([exact], SIZE)[0] == 255
        assert image[inside].min() > image[~inside].max()


def test_roughness_and_fewer_patients_are_other_images_to_a_record(chapter5: Chapter) -> None:
    others = [{"roughness": 0.5}, {"annotation_seed": 1}, {"train_patients": 2}]
    chapters = [chapter5, *(changed(chapter5, **other) for other in others)]
    prints = {one.provenance("train")["fingerprint"] for one in chapters}
    assert len(prints) == 4
    fewer = changed(chapter5, train_patients=2)
    assert len(set(fewer.training.patients)) == 2
    assert len(fewer.normal_images()) == len(chapter5.normal_images())  # no patient is one of them


def test_only_normal_subjects_slices_are_normal(chapter5: Chapter) -> None:
    assert set(chapter5.normal.table["patient"]) == {NORMAL_SUBJECT}
    assert len(changed(chapter5, every=2).normal_images()) == len(chapter5.normal_images()) / 2


# ---- CPGGAN --------------------------------------------------------------------------------------


def test_a_cpggan_is_trained_once_and_its_record_names_what_it_saw(chapter5: Chapter) -> None:
    plain, normal = (placing.train_gan(chapter5, gan) for gan in ("cpggan", "cpggan-normal"))
    assert placing.train_gan(chapter5, "cpggan").folder == plain.folder != normal.folder
    assert set(plain.record.inputs) == {"images"}
    assert set(normal.record.inputs) == {"images", "normal"}
    assert plain.record.images_seen >= chapter5.parameters.gan_images
    for name, before in placing.load_generator(plain).state_dict().items():
        assert torch.isfinite(before).all(), name


def test_the_image_to_image_gan_sees_what_the_first_cpggan_sees(chapter5: Chapter) -> None:
    plain, translated = (placing.train_gan(chapter5, gan) for gan in ("cpggan", "image-to-image"))
    assert translated.record.inputs == plain.record.inputs
    assert (translated.record.method, translated.record.setup) == ("pix2pix", "image-to-image-32")
    assert translated.record.images_seen >= chapter5.parameters.gan_images
    critics = [placing.config_of(run).networks()[1] for run in (plain, translated)]
    assert str(critics[0]) == str(critics[1])
    assert placing.config_of(translated).batch_size == chapter5.parameters.gan_batches[-1]


def test_normal_slices_are_learnt_with_no_box(
    chapter5: Chapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = {}
    monkeypatch.setattr(
        placing, "DeviceImages", lambda images, device: seen.setdefault(len(seen), images)
    )
    placing._training_set(chapter5, "cpggan-normal")
    images, boxes = seen[0], seen[1]
    count = len(chapter5.training)
    assert len(images) == len(boxes) == count + len(chapter5.normal_images())
    assert boxes[:count].reshape(count, -1).max(axis=1).min() > 0
    assert boxes[count:].max() == 0


def test_previews_are_of_the_boxes_that_are_asked_for_first(chapter5: Chapter) -> None:
    run = placing.train_gan(chapter5, "cpggan")
    growth = placing.cpggan_config_of(run).growth
    last = growing.previews(run, growth)[-1]
    boxes, _ = placing.asked(chapter5, growing.PREVIEWED)
    drawn_now = placing.fill(run, boxes, chapter5.parameters.seed).astype(int)
    assert np.abs(last.images - drawn_now).max() <= 1


@pytest.mark.parametrize("gan", ["cpggan", "image-to-image"])
def test_an_image_depends_on_its_own_boxes_and_number_only(chapter5: Chapter, gan: str) -> None:
    run = placing.train_gan(chapter5, gan)
    boxes, _ = placing.asked(chapter5, 6)
    many = placing.fill(run, boxes, 1).astype(int)
    assert np.abs(placing.fill(run, boxes[:2], 1) - many[:2]).max() <= 1
    assert not np.array_equal(placing.fill(run, boxes[:2], 2), many[:2])


# ---- What is shown -------------------------------------------------------------------------------


@pytest.mark.parametrize("gan", ["cpggan", "image-to-image"])
def test_a_sweep_moves_one_box_over_one_latent_and_survives_its_sheet(
    chapter5: Chapter, gan: str
) -> None:
    run = placing.train_gan(chapter5, gan)
    moved = sweeping.sweep(run, seed=3)
    sides = moved.boxes[..., 2] - moved.boxes[..., 0]
    assert np.allclose(sides, np.array(sweeping.SIDES)[:, None, None] * SIZE)
    assert (np.diff(moved.boxes[..., 0], axis=2) > 0).all()  # columns go right
    assert (np.diff(moved.boxes[..., 1], axis=1) > 0).all()  # rows go down
    alone = placing.fill(run, [moved.boxes[1, 2, 3][None]], seed=3)[0].astype(int)
    assert np.abs(moved.images[1, 2, 3] - alone).max() <= 1
    again = sweeping.read_sweep(moved.sheet)
    assert np.array_equal(again.images, moved.images)
    assert np.array_equal(again.nothing, moved.nothing)


def test_committed_boxes_are_the_packed_ones(chapter5: Chapter) -> None:
    run = placing.train_gan(chapter5, "cpggan")
    boxes, _ = placing.asked(chapter5, 5)
    (run.folder / reporting.BOXES).write_bytes(reporting.packed_boxes(boxes))
    for one, other in zip(reporting.committed_boxes(run), boxes, strict=True):
        assert one == pytest.approx(other, abs=1e-3)


def test_lesion_panels_show_what_is_in_each_box_at_one_size() -> None:
    image = np.zeros((SIZE, SIZE), np.uint8)
    image[4:8, 10:14], image[16:30, 2:16] = 200, 90
    boxes = np.array([[10.0, 4, 14, 8], [2, 16, 16, 30], [28, 28, 32, 31]])
    panels = reporting.lesion_panels(image[None], [boxes], side=8)
    assert panels.shape == (3, 8, 8)
    assert (panels[0] == 200).all()
    assert (panels[1] == 90).all()
    assert (panels[2] == 0).all()
