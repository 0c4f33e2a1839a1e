"""Chapter 4's PGGANs: what they learn from, how long, how they grow, and that they can stop."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_chapter4 import changed, counted, stopped_by_signal, told

from pathogan_core.cohorts.slice_classes import CLASSES
from pathogan_core.errors import PathoganError
from pathogan_core.experiments import growing
from pathogan_core.experiments.chapter4 import drawing
from pathogan_core.experiments.chapter4.data import Chapter
from pathogan_core.experiments.store import Run
from pathogan_core.gans.growth import Stage
from pathogan_core.training.loop import Interrupted, LoopOptions
from pathogan_core.training.phases import Program

FADING = 11
"""A step of `TINY` in which level 3 fades in: 4 images each, phases of 8."""


def shown(run: Run) -> list[tuple[int, Stage, bytes]]:
    return [(one.images_seen, one.stage, one.images.tobytes()) for one in drawing.previews(run)]


def test_previews_show_the_growth_of_the_network_that_is_drawn_from(chapter: Chapter) -> None:
    run = drawing.train_pggan(chapter, "tumour")
    growth = drawing.pggan_config_of(run).growth
    previews = drawing.previews(run)
    assert previews[0].stage.level == 0
    assert previews[-1].images_seen == run.record.images_seen == 80
    assert all(one.images_seen < after.images_seen for one, after in pairwise(previews))
    assert {one.stage.level for one in previews} == {0, 1, 2, 3, 4}
    assert any(0 < one.stage.alpha < 1 for one in previews)
    for one in previews:
        assert one.stage == growth.at(one.images_seen)
        side = one.stage.resolution
        assert (one.images.shape, one.images.dtype) == ((growing.PREVIEWED, side, side), np.uint8)
    last = drawing.draw(run, growing.PREVIEWED, chapter.parameters.seed)
    assert np.array_equal(previews[-1].images, last)
    assert len({image.tobytes() for image in last}) == growing.PREVIEWED


def test_an_image_is_a_function_of_its_number_and_the_seed(chapter: Chapter) -> None:
    run = drawing.train_pggan(chapter, "tumour")
    images = drawing.draw(run, 6, seed=3)
    assert np.array_equal(images[:2], drawing.draw(run, 2, seed=3))
    assert not np.array_equal(images, drawing.draw(run, 6, seed=4))
    assert drawing.draw(run, 2, seed=3, stage=Stage(2)).shape == (2, 16, 16)


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_a_run_that_ends_within_a_fade_goes_on_to_the_same_weights_and_previews(
    chapter: Chapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    whole = drawing.train_pggan(chapter, "tumour")
    monkeypatch.setenv("PATHOGAN_RUNS", str(tmp_path))
    loop = growing.train

    def killed(program: Program, folder: Path, *, options: LoopOptions, **named: Any) -> None:
        """Between a preview and the checkpoint of its step."""

        def tick(clock, line):
            options.on_tick(clock, line)
            if clock.step == FADING:
                raise RuntimeError("killed")

        often = replace(options, on_tick=tick, checkpoint_seconds=0)
        loop(program, folder, options=often, **named)

    with monkeypatch.context() as patched:
        stopped = stopped_by_signal(loop, FADING)
        patched.setattr(growing, "train", stopped if how == "stopped" else killed)
        with pytest.raises(Interrupted if how == "stopped" else RuntimeError):
            drawing.train_pggan(chapter, "tumour")
    resumed = drawing.train_pggan(chapter, "tumour")
    assert (resumed.folder.parent, resumed.folder.name) == (tmp_path, whole.folder.name)
    weights, others = (run.load_tensors()[0] for run in (whole, resumed))
    assert weights.keys() == others.keys()
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    assert shown(resumed) == shown(whole)
    assert [line["D/loss"] for line in resumed.log()] == [line["D/loss"] for line in whole.log()]


def test_a_process_killed_while_it_tidies_up_loses_no_preview(
    chapter: Chapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = drawing.train_pggan(chapter, "tumour")
    monkeypatch.setenv("PATHOGAN_RUNS", str(tmp_path))

    def killed(folder: Path, **_: Any) -> None:
        sorted(folder.iterdir())[0].unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(growing.shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            drawing.train_pggan(chapter, "tumour")
    resumed = drawing.train_pggan(chapter, "tumour")
    assert shown(resumed) == shown(whole)
    assert not (resumed.folder / growing.GROWING).exists()


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_is_learnt_from_its_own_training_images_once(
    chapter: Chapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("PATHOGAN_RUNS", str(tmp_path))
    started, seen = counted(monkeypatch, growing), []
    keep = drawing.DeviceImages
    monkeypatch.setattr(
        drawing, "DeviceImages", lambda images, device: seen.append(images) or keep(images, device)
    )
    run = drawing.train_pggan(chapter, name)
    assert drawing.train_pggan(chapter, name) == run
    assert started == [run.folder.name]
    assert np.array_equal(seen[0], chapter.gan_images(name))
    assert run.record.inputs["images"] == chapter.provenance("train", name)


def test_epochs_are_passes_over_the_classs_training_images(chapter: Chapter) -> None:
    in_epochs = changed(chapter, pggan_images=0, pggan_epochs=100, stable_images=0)
    for name in CLASSES:
        count = len(chapter.gan_images(name))
        assert drawing.images_to_see(in_epochs, name) == 100 * count
        assert drawing.images_to_see(changed(chapter, pggan_epochs=100), name) == 80
        growth = drawing.configuration(in_epochs, name).growth
        assert growth.stable_images == growth.fade_images == 100 * count // 9
        lengths = {after - before for before, after in pairwise([0, *growth.boundaries])}
        assert lengths == {growth.stable_images}  # so the last of the nine phases fits, too
        assert 0 <= 100 * count - growth.images < 9


def test_phases_of_given_length_are_the_same_for_both_classes(chapter: Chapter) -> None:
    longer = changed(chapter, stable_images=12, fade_images=0)
    configs = [drawing.configuration(longer, name) for name in CLASSES]
    assert configs[0] == configs[1]
    assert (configs[0].stable_images, configs[0].fade_images) == (12, 0)


def test_a_run_too_short_to_grow_up_is_one_line(chapter: Chapter) -> None:
    assert drawing.configuration(changed(chapter, pggan_images=64), "tumour").levels == 5
    with pytest.raises(PathoganError) as refused:
        drawing.train_pggan(changed(chapter, pggan_images=63), "tumour")
    assert "pggan_images: 63 images of class tumour end before" in told(refused)


def test_damaged_previews_are_one_line(chapter: Chapter, tmp_path: Path) -> None:
    run = drawing.train_pggan(chapter, "tumour")
    for content in (b"", (run.folder / growing.GROWTH).read_bytes()[:-40]):
        (tmp_path / growing.GROWTH).write_bytes(content)
        with pytest.raises(PathoganError) as refused:
            drawing.previews(replace(run, folder=tmp_path))
        assert "growth.npz: holds no readable arrays; delete the folder" in told(refused)
