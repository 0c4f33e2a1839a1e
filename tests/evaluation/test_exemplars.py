"""The images put before the reader are the ones they should see."""

from __future__ import annotations

import numpy as np

from pathogan_core.evaluation.exemplars import closest_pairs, least_like_training

PATIENTS = 10


def test_images_of_another_kind_come_first(make_images, untrained_network) -> None:
    train = make_images(200, seed=0, blur=4.0, patients=PATIENTS)
    usual = make_images(30, seed=1, blur=4.0, patients=PATIENTS)
    odd = make_images(4, seed=2, blur=0.6)
    fake = np.concatenate([usual[:17], odd, usual[17:]])
    found = least_like_training(fake, train, 4, untrained_network)
    assert {image.tobytes() for image in found} == {image.tobytes() for image in odd}


def test_a_copy_is_found_with_its_source_and_a_blur_is_not(make_images) -> None:
    train = make_images(200, seed=0, blur=4.0, patients=PATIENTS)
    patients = np.array([f"p{i % PATIENTS}" for i in range(200)])
    usual = make_images(20, seed=1, blur=4.0, patients=PATIENTS)
    noise = np.random.default_rng(3).normal(0, 8, (2, 64, 64))
    copies = np.clip(train[[7, 131]] + noise, 0, 255).astype(np.uint8)
    blurred = np.repeat(train.mean(axis=0, keepdims=True), 3, axis=0).astype(np.uint8)
    fakes, sources = closest_pairs(np.concatenate([usual, copies, blurred]), train, patients, 2)
    assert {image.tobytes() for image in fakes} == {image.tobytes() for image in copies}
    for image, source in zip(fakes, sources, strict=True):
        assert np.abs(image.astype(int) - source).mean() < 8  # each beside its own source
