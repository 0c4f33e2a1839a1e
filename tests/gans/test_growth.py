"""The growth schedule against its closed forms and against a slow walk."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathogan_core.errors import PathoganError
from pathogan_core.gans.growth import Growth, Stage, equal_phases

REFERENCE = Growth(7, 600_000, 600_000, (128, 128, 128, 64, 32, 16, 8))

growths = st.builds(
    Growth,
    levels=st.integers(1, 5),
    stable_images=st.integers(1, 60),
    fade_images=st.integers(0, 60),
    batch_sizes=st.lists(st.integers(1, 40), min_size=1, max_size=6).map(tuple),
)


def walked(growth: Growth, images: int) -> Stage:
    """The stage, by taking phases off one after the other."""
    level = 0
    while True:
        if images < growth.stable_images or level == growth.levels - 1:
            return Stage(level)
        images -= growth.stable_images
        level += 1
        if images < growth.fade_images:
            return Stage(level, images / growth.fade_images)
        images -= growth.fade_images


def test_the_reference_schedule():
    million = 1_000_000
    assert REFERENCE.boundaries[:3] == [600_000, 1_200_000, 1_800_000]
    assert REFERENCE.boundaries[-2:] == [6_600_000, 7_200_000]
    assert REFERENCE.images == 7_800_000
    assert REFERENCE.at(0) == REFERENCE.at(599_999) == Stage(0)
    assert REFERENCE.at(600_000) == Stage(1, 0.0)
    assert REFERENCE.at(750_000) == Stage(1, 0.25)
    assert REFERENCE.at(1_200_000) == Stage(1)
    assert REFERENCE.at(6_900_000) == Stage(6, 0.5)
    assert REFERENCE.at(12 * million) == Stage(6)
    sizes = [REFERENCE.batch_size(n) for n in (0, 600_000, 3 * million, 6_599_999, 6_600_000)]
    assert sizes == [128, 128, 64, 16, 8]
    assert Stage(6).resolution == 256


def test_the_thesis_hundred_epochs_either_way():
    images = 100 * 4_679
    phase = equal_phases(images, levels=7)
    whole = Growth(7, phase, phase, (16,))
    assert 0 <= images - whole.images < 13
    assert whole.steps(images) == 29_244
    assert whole.at(images) == Stage(6)
    each = Growth(7, images, images, (16,))
    assert each.images == 13 * images
    assert each.at(images - 1) == Stage(0)
    assert each.at(images) == Stage(1, 0.0)


@given(growths, st.integers(0, 700))
def test_level_and_alpha_equal_a_slow_walk(growth, images):
    assert growth.at(images) == walked(growth, images)
    size = growth.batch_sizes[min(growth.at(images).level, len(growth.batch_sizes) - 1)]
    assert growth.batch_size(images) == size


@given(growths)
def test_growing_never_goes_back_and_a_fade_moves_evenly(growth):
    shown = [growth.at(images) for images in range(growth.images + 1)]
    progress = [stage.level - 1 + stage.alpha for stage in shown]
    steps = [b - a for a, b in itertools.pairwise(progress)]
    assert min(steps, default=0) >= 0
    fading = [d for d, s in zip(steps, shown, strict=False) if s.alpha < 1]
    assert fading == pytest.approx([1 / max(growth.fade_images, 1)] * len(fading))
    assert len(fading) == growth.fade_images * (growth.levels - 1)
    assert progress[-1] == growth.levels - 1
    if growth.fade_images:
        assert max(steps, default=0) <= 1 / growth.fade_images + 1e-9


@settings(max_examples=200)
@given(growths, st.integers(1, 3), st.integers(0, 700))
def test_a_run_begins_each_phase_less_than_a_round_after_its_boundary(growth, batches, target):
    """Whatever the batch sizes, nothing adds up; and `steps` is the number of rounds walked."""
    seen, rounds, phases = 0, 0, [0]
    while seen < target:
        before, seen = seen, seen + batches * growth.batch_size(seen)
        rounds += 1
        assert growth.changes_phase(before, seen) == (growth.phase(seen) > phases[-1])
        phases.append(growth.phase(seen))
        for boundary in growth.boundaries:
            if before < boundary <= seen:
                assert seen - boundary < batches * growth.batch_size(before)
                assert growth.phase(before) < growth.phase(seen)
    assert growth.steps(target, batches) == rounds


@pytest.mark.parametrize(("changes", "line"), [
    ({"levels": 0}, "levels: 0 is too small; give 1 or more"),
    ({"stable_images": 0}, "stable_images: 0 is too small; give 1 or more"),
    ({"fade_images": -1}, "fade_images: -1 is too small; give 0 or more"),
    ({"batch_sizes": ()}, "batch_sizes: 0 is too small; give 1 or more"),
    ({"batch_sizes": (8, 0)}, "batch_sizes: 0 is too small; give 1 or more"),
])  # fmt: skip
def test_impossible_schedules_are_one_line(changes, line):
    settings = {"levels": 3, "stable_images": 5, "fade_images": 5, "batch_sizes": (4,)}
    with pytest.raises(PathoganError) as caught:
        Growth(**{**settings, **changes})
    assert str(caught.value) == line
