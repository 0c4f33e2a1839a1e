"""Chapter 4's refiners: one training for all candidates, what they see, and what they refine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tiny_chapter4 import changed, counted, origins, stopped_by_signal, told

from pathogan_core.cohorts.slice_classes import CLASSES
from pathogan_core.errors import PathoganError
from pathogan_core.experiments import pooling
from pathogan_core.experiments.chapter4 import pools, refining
from pathogan_core.experiments.chapter4.data import Chapter
from pathogan_core.experiments.store import Run
from pathogan_core.experiments.weights import load_network
from pathogan_core.gans import munit, simgan
from pathogan_core.training.batches import to_uint8, to_unit_range
from pathogan_core.training.loop import Interrupted

SEVERAL = {"munit": {"munit_steps": (4, 2)}, "simgan": {"simgan_steps": (4, 2)}}
"""Two candidates, in no order."""
METHODS = sorted(SEVERAL)

Tensors = dict[str, torch.Tensor]


def weights(run: Run, steps: int) -> Tensors:
    return run.load_tensors(refining.weights_file(steps))[0]


def equal(one: Tensors, other: Tensors) -> bool:
    assert one.keys() == other.keys()
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("method", METHODS)
def test_a_candidate_is_what_a_training_of_so_many_steps_gives(
    chapter: Chapter, method: str
) -> None:
    both = refining.train_refiner(changed(chapter, **SEVERAL[method]), method, "tumour")
    for steps in (2, 4):
        alone = refining.train_refiner(
            changed(chapter, **{f"{method}_steps": (steps,)}), method, "tumour"
        )
        assert alone.folder != both.folder
        assert equal(weights(both, steps), weights(alone, steps))
    assert not equal(weights(both, 2), weights(both, 4))
    # SimGAN's two rounds of warming up are not among its steps.
    assert both.record.steps == {"munit": 4, "simgan": 2 + 4}[method]


def within_the_second(patched: pytest.MonkeyPatch, method: str) -> type[BaseException]:
    step = {"munit": 3, "simgan": 5}[method]
    patched.setattr(refining, "train", stopped_by_signal(refining.train, step))
    return Interrupted


def before_the_first_is_saved(patched: pytest.MonkeyPatch, method: str) -> type[BaseException]:
    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    patched.setattr(refining, "save_tensors", killed)
    return KeyboardInterrupt


def after_the_first_is_saved(patched: pytest.MonkeyPatch, method: str) -> type[BaseException]:
    save = refining.save_tensors

    def killed(*given: Any) -> None:
        save(*given)
        raise KeyboardInterrupt

    patched.setattr(refining, "save_tensors", killed)
    return KeyboardInterrupt


STOPS = [within_the_second, before_the_first_is_saved, after_the_first_is_saved]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("stop", STOPS)
def test_a_refiner_that_is_stopped_goes_on_to_the_same_weights(
    chapter: Chapter, monkeypatch: pytest.MonkeyPatch, method: str, stop: Callable
) -> None:
    chapter = changed(chapter, **SEVERAL[method])
    whole = refining.train_refiner(chapter, method, "tumour")
    other = replace(refining.METHODS[method], revision=-1 - STOPS.index(stop))  # or it is found
    monkeypatch.setitem(refining.METHODS, method, other)
    with monkeypatch.context() as patched, pytest.raises(stop(patched, method)):
        refining.train_refiner(chapter, method, "tumour")
    resumed = refining.train_refiner(chapter, method, "tumour")
    assert resumed.folder != whole.folder
    for steps in (2, 4):
        assert equal(weights(resumed, steps), weights(whole, steps))
    assert resumed.record.steps == whole.record.steps


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("most", [6, 1000])
def test_a_refiner_sees_so_many_images_of_each_kind_of_its_class_and_no_more(
    chapter: Chapter, monkeypatch: pytest.MonkeyPatch, method: str, most: int
) -> None:
    chapter = changed(chapter, refiner_images=most, odd_non_tumour=(0,))
    seen: list[np.ndarray] = []
    keep = refining.DeviceImages
    monkeypatch.setattr(
        refining, "DeviceImages", lambda images, device: seen.append(images) or keep(images, device)
    )
    run = refining.train_refiner(chapter, method, "non_tumour")
    synthetic, real = seen
    kept = pooling.images_of(pools.kept(chapter, "non_tumour"))
    assert np.array_equal(synthetic, kept[:most])
    rows = origins(chapter.prepared.folder)
    found = [rows[image.tobytes()] for image in real]
    assert {row["split"] for row in found} == {"train"}
    assert all(row["enhancing_voxels"] == row["oedema_voxels"] == 0 for row in found)
    assert len({image.tobytes() for image in real}) == len(real) == min(most, 24)
    if most == 6:
        assert len({row["patient"] for row in found}) > 1
    assert run.record.inputs["images"] == chapter.provenance("train", "non_tumour")


def refined_alone(chapter: Chapter, method: str, name: str, number: int, place: int) -> np.ndarray:
    """Image `number` of a class's kept pool, refined by itself as if it were at `place`."""
    run = refining.train_refiner(chapter, method, name)
    network = load_network(run, refining.METHODS[method].build, refining.weights_file(1))
    image = np.array(pooling.images_of(pools.kept(chapter, name))[number])
    given = to_unit_range(torch.from_numpy(image))[None, None]
    if method == "munit":
        changed = munit.refine(network, given, chapter.parameters.seed, first=place)
    else:
        changed = simgan.refine(network, given)
    return to_uint8(changed)[0, 0].numpy().astype(int)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("at_once", [512, 5])
def test_every_kept_image_is_refined_by_itself(
    chapter: Chapter, monkeypatch: pytest.MonkeyPatch, method: str, at_once: int
) -> None:
    if at_once != pools.AT_ONCE:
        monkeypatch.setattr(pools, "REVISION", -1000)  # or it would be found
        monkeypatch.setattr(pools, "AT_ONCE", at_once)
    refined = pooling.images_of(refining.refined(chapter, method, "tumour", 1))
    kept = pooling.images_of(pools.kept(chapter, "tumour"))
    assert (refined.shape, refined.dtype) == (kept.shape, np.uint8)
    for number in (0, 4, 5, 23):
        alone = refined_alone(chapter, method, "tumour", number, place=number)
        assert np.abs(alone - refined[number]).max() <= 1
        assert np.abs(alone - kept[number]).max() > 1


def test_munits_styles_differ_from_image_to_image(chapter: Chapter) -> None:
    here, there = (refined_alone(chapter, "munit", "tumour", 5, place) for place in (5, 0))
    assert np.abs(here - there).max() > 1


@pytest.mark.parametrize("method", METHODS)
def test_refining_names_what_it_was_made_of(chapter: Chapter, method: str) -> None:
    run = refining.refined(chapter, method, "tumour", 1)
    inputs = {name: given["fingerprint"] for name, given in run.record.inputs.items()}
    assert inputs == {
        "refiner": refining.train_refiner(chapter, method, "tumour").record.run,
        "synthetic": pools.kept(chapter, "tumour").record.run,
    }
    runs = {refining.refined(chapter, method, name, 1).folder for name in CLASSES}
    assert len(runs) == 2


def test_asking_again_trains_nothing(chapter: Chapter, monkeypatch: pytest.MonkeyPatch) -> None:
    run = refining.train_refiner(chapter, "simgan", "tumour")
    started = counted(monkeypatch, refining)
    assert refining.train_refiner(chapter, "simgan", "tumour") == run
    assert started == []


def test_steps_that_are_no_candidate_are_one_line(chapter: Chapter) -> None:
    with pytest.raises(PathoganError) as refused:
        refining.refined(chapter, "munit", "tumour", 3)
    assert "refiner-3.safetensors: does not exist" in told(refused)


@pytest.mark.parametrize(
    ("method", "batch"),
    [("munit", {"munit_batch": 24}), ("simgan", {"simgan_batch": 24, "simgan_history": 12})],
)
def test_fewer_images_left_than_a_batch_are_one_line(
    chapter: Chapter, method: str, batch: dict[str, Any]
) -> None:
    chapter = changed(chapter, refiner_images=24, odd_tumour=(0,), **batch)
    left = len(pooling.images_of(pools.kept(chapter, "tumour")))
    with pytest.raises(PathoganError) as refused:
        refining.train_refiner(chapter, method, "tumour")
    assert f"synthetic images: {left} are fewer than a batch of 24" in told(refused)
