"""Chapter 4's pools: what is drawn, what is discarded, what is kept, whatever the memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_chapter4 import changed, told

from pathogan_core.cad.resnet50 import features
from pathogan_core.cohorts.slice_classes import CLASSES
from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.discarding import Discarding, DiscardingConfig, discard_odd
from pathogan_core.experiments import pooling
from pathogan_core.experiments.chapter4 import drawing, pools
from pathogan_core.experiments.chapter4.classifying import load_classifier, real_only
from pathogan_core.experiments.chapter4.data import Chapter
from pathogan_core.experiments.store import Run

FOUND: tuple[int, ...] = ()
"""No ids are named: clusters that are found odd are discarded."""


def largest_difference(one: Run, other: Run) -> int:
    """In grey levels."""
    first, second = (pooling.images_of(pool).astype(int) for pool in (one, other))
    return int(np.abs(first - second).max())


@pytest.mark.parametrize("name", CLASSES)
def test_a_pool_is_what_the_classs_pggan_draws(chapter: Chapter, name: str) -> None:
    pool = pools.drawn(chapter, name)
    run = drawing.train_pggan(chapter, name)
    images = pooling.images_of(pool)
    assert (images.shape, images.dtype) == ((24, 64, 64), np.uint8)
    assert np.array_equal(images, drawing.draw(run, 24, chapter.parameters.seed))
    assert not images.flags.writeable
    assert pool.record.inputs["generator"]["fingerprint"] == run.record.run
    assert pool.record.inputs["generator"]["source"] == "simulated"


def test_images_do_not_depend_on_how_many_are_made_at_once(
    chapter: Chapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = [make(chapter, "tumour") for make in (pools.drawn, pools.kept, pools.undiscarded)]
    for at_once in (1, 7):
        monkeypatch.setattr(pools, "REVISION", -at_once)  # or they would be found
        monkeypatch.setattr(pools, "AT_ONCE", at_once)
        parts = [make(chapter, "tumour") for make in (pools.drawn, pools.kept, pools.undiscarded)]
        for one, other in zip(whole, parts, strict=True):
            assert one.folder != other.folder
            assert largest_difference(one, other) <= 1  # a batch of another size rounds otherwise


@pytest.mark.parametrize("crop_first", [True, False])
def test_what_is_kept_is_what_is_drawn_without_the_odd_clusters(
    chapter: Chapter, crop_first: bool
) -> None:
    chapter = changed(chapter, odd_tumour=(0, 2), crop_first=crop_first)
    images = pooling.images_of(pools.drawn(chapter, "tumour"))
    labels = pools.clusters_of(pools.discarded(chapter, "tumour")).labels
    assert set(labels) == {0, 1, 2}
    expected = chapter.for_classifier(images[labels == 1])
    assert np.array_equal(pooling.images_of(pools.kept(chapter, "tumour")), expected)
    everything = pooling.images_of(pools.undiscarded(chapter, "tumour"))
    assert np.array_equal(everything, chapter.for_classifier(images))


def test_images_of_another_size_in_the_classifier_are_another_run(chapter: Chapter) -> None:
    small = changed(chapter, crop_first=False)
    assert pools.drawn(chapter, "tumour").folder == pools.drawn(small, "tumour").folder
    for make in (pools.kept, pools.undiscarded):
        runs = [make(one, "tumour") for one in (chapter, small)]
        assert runs[0].folder != runs[1].folder
        assert not np.array_equal(*map(pooling.images_of, runs))


def test_naming_clusters_changes_what_is_kept_of_that_class(chapter: Chapter) -> None:
    named = [changed(chapter, odd_tumour=odd) for odd in ((-1,), (0,), (1,))]
    runs = [pools.kept(one, "tumour") for one in named]
    assert len({run.folder for run in runs}) == 3
    sizes = pools.clusters_of(pools.discarded(chapter, "tumour")).sizes
    kept = [len(pooling.images_of(run)) for run in runs]
    assert kept == [24, 24 - sizes[0], 24 - sizes[1]]
    assert len({pools.kept(one, "non_tumour").folder for one in named}) == 1
    assert len({pools.drawn(one, "tumour").folder for one in named}) == 1


def test_clusters_are_those_of_the_baselines_features(chapter: Chapter) -> None:
    chapter = changed(chapter, odd_non_tumour=(1,), odd_quantile=0.5)
    run = pools.discarded(chapter, "non_tumour")
    network = load_classifier(real_only(chapter, "scratch", 0))
    drawn = pooling.images_of(pools.drawn(chapter, "non_tumour"))
    expected = discard_odd(
        fake=features(network, chapter.for_classifier(drawn)),
        real=features(network, chapter.classifier_images("train", "non_tumour")),
        patients=chapter.patients("train", "non_tumour"),
        config=DiscardingConfig(components=3, clusters=3, quantile=0.5, odd=(1,)),
    )
    found = vars(pools.clusters_of(run))
    assert found.keys() == vars(expected).keys()
    for name, value in vars(expected).items():
        assert np.array_equal(found[name], value), name
    share = run.record.metrics["odd_share"]
    assert (share["value"], share["n"]) == (expected.odd_fraction, 24)


def test_clusters_come_back_from_disk_as_they_were_found(
    chapter: Chapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores, third = np.array([0.25, 1 / 3, 2 / 3]), np.arange(24) % 3
    given = Discarding(third, scores, 1 / 7, (), np.linspace(0, 1, 24))
    for number, odd in enumerate(((), (1, 2)), start=1):
        monkeypatch.setattr(pools, "DISCARDING_REVISION", -number)
        result = replace(given, odd=odd)
        monkeypatch.setattr(pools.discarding, "discard_odd", lambda result=result, **_: result)
        found = pools.clusters_of(pools.discarded(chapter, "tumour"))
        assert (found.odd, found.threshold) == (odd, 1 / 7)
        for name in ("labels", "scores", "centre_distances"):
            assert np.array_equal(getattr(found, name), getattr(given, name))


@pytest.mark.parametrize("odd", [(0, 1, 2), FOUND])  # so short a training leaves noise
def test_discarding_everything_is_one_line(chapter: Chapter, odd: tuple[int, ...]) -> None:
    with pytest.raises(PathoganError) as refused:
        pools.kept(changed(chapter, odd_tumour=odd), "tumour")
    assert "clusters: all 3 are odd" in told(refused)


def cut(content: bytes) -> bytes:
    return content[:-1]


def emptied(content: bytes) -> bytes:
    return b""


def garbled(content: bytes) -> bytes:
    return b"PK" + content[2:]


@pytest.mark.parametrize("damage", [cut, emptied, garbled, None])
def test_a_damaged_or_missing_pool_is_one_line(
    chapter: Chapter, tmp_path: Path, damage: Callable[[bytes], bytes] | None
) -> None:
    pool = pools.drawn(chapter, "tumour")
    moved = replace(pool, folder=tmp_path)
    if damage:
        content = (pool.folder / pooling.IMAGES).read_bytes()
        (tmp_path / pooling.IMAGES).write_bytes(content)
        assert np.array_equal(pooling.images_of(moved), pooling.images_of(pool))
        (tmp_path / pooling.IMAGES).write_bytes(damage(content))
    with pytest.raises(PathoganError) as refused:
        pooling.images_of(moved)
    assert f"images.npy: is no readable array; delete the folder {tmp_path.name}" in told(refused)


def test_a_pool_that_is_interrupted_leaves_nothing_and_is_made_again(
    chapter: Chapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = pools.drawn(chapter, "tumour")
    monkeypatch.setattr(pools, "REVISION", -100)
    monkeypatch.setattr(pools, "AT_ONCE", 10)
    draw, calls = pools.pggan.draw, []

    def killed(*given: Any) -> Any:
        calls.append(given)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return draw(*given)

    monkeypatch.setattr(pools.pggan, "draw", killed)
    before = set(chapter.store.root.iterdir())
    with pytest.raises(KeyboardInterrupt):
        pools.drawn(chapter, "tumour")
    (folder,) = set(chapter.store.root.iterdir()) - before
    assert [path.name for path in folder.iterdir()] == ["config.json"]
    again = pools.drawn(chapter, "tumour")
    assert again.folder == folder
    assert largest_difference(again, whole) <= 1
