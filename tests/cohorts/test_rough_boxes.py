"""Exact boxes of a mask, and what hurried annotators make of them."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathogan_core.boxes import areas, check, iou
from pathogan_core.cohorts.rough_boxes import (
    ANNOTATORS,
    Habits,
    annotate,
    annotate_slices,
    annotator_of,
    exact_boxes,
    neighbours,
)
from pathogan_core.errors import PathoganError

SIZE = 96
names = st.sampled_from(sorted(ANNOTATORS))
seeds = st.integers(0, 10_000)
roughnesses = st.floats(0, 6)


@st.composite
def exact_sets(draw) -> np.ndarray:
    """Up to eight boxes of whole pixels, anywhere in the image, also at its border."""
    corners = st.tuples(*[st.integers(0, SIZE - 1)] * 2, *[st.integers(1, 30)] * 2)
    boxes = [
        (x, y, min(x + w, SIZE), min(y + h, SIZE))
        for x, y, w, h in draw(st.lists(corners, max_size=8))
    ]
    return np.array(boxes, np.float64).reshape(-1, 4)


def flood(mask: np.ndarray) -> set[tuple[int, int, int, int]]:
    """Tight boxes by flooding pixel by pixel: slow, and independent."""
    left = {(int(r), int(c)) for r, c in np.argwhere(mask)}
    found = set()
    while left:
        front, part = [left.pop()], []
        while front:
            r, c = front.pop()
            part.append((r, c))
            around = {(r + i, c + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
            left -= around
            front += around
        rows, columns = zip(*part, strict=True)
        found.add((min(columns), min(rows), max(columns) + 1, max(rows) + 1))
    return found


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.02, 0.5))
def test_exact_boxes_are_those_of_a_flood_fill(seed, share):
    mask = np.random.default_rng(seed).random((12, 17)) < share
    boxes = exact_boxes(mask)
    assert {tuple(int(v) for v in box) for box in boxes} == flood(mask)


def test_diagonal_neighbours_are_one_lesion_and_rows_come_first():
    mask = np.zeros((6, 8), bool)
    mask[1, 1] = mask[2, 2] = True
    mask[0, 6] = True
    assert exact_boxes(mask).tolist() == [[6, 0, 7, 1], [1, 1, 3, 3]]
    assert exact_boxes(np.zeros((4, 4), bool)).shape == (0, 4)


@settings(deadline=None)
@given(exact_sets(), names, seeds)
def test_without_roughness_boxes_are_exact_and_nothing_is_missed(exact, name, seed):
    rng = np.random.default_rng(seed)
    rough, members = annotate(exact, ANNOTATORS[name].scaled(0), rng, SIZE)
    np.testing.assert_array_equal(rough, exact)
    assert [group.tolist() for group in members] == [[i] for i in range(len(exact))]


@settings(deadline=None)
@given(exact_sets(), names, seeds, roughnesses)
def test_boxes_stay_in_the_image_have_an_area_and_stand_for_something(exact, name, seed, roughness):
    habits = ANNOTATORS[name].scaled(roughness)
    rough, members = annotate(exact, habits, np.random.default_rng(seed), SIZE)
    check(rough, "rough", width=SIZE, height=SIZE)
    assert len(rough) == len(members)
    assert all(len(group) > 0 for group in members)
    indices = [int(i) for group in members for i in group]
    assert max(Counter(indices).values(), default=1) == 1
    assert set(indices) <= set(range(len(exact)))
    first = [int(group.min()) for group in members]
    assert first == sorted(first)


@settings(deadline=None)
@given(exact_sets(), names, seeds, roughnesses)
def test_nothing_is_missed_by_who_misses_nothing(exact, name, seed, roughness):
    usual = ANNOTATORS[name]
    habits = Habits(usual.enlargement, usual.shift, usual.merging, missing=0.0)
    _, members = annotate(exact, habits.scaled(roughness), np.random.default_rng(seed), SIZE)
    assert sorted(int(i) for group in members for i in group) == list(range(len(exact)))


@settings(deadline=None)
@given(exact_sets(), names, seeds, roughnesses, st.randoms(use_true_random=False))
def test_the_order_of_the_exact_boxes_changes_nothing(exact, name, seed, roughness, shuffler):
    exact = np.unique(exact, axis=0)
    order = list(range(len(exact)))
    shuffler.shuffle(order)
    habits = ANNOTATORS[name].scaled(roughness)

    def drawn(boxes: np.ndarray, names_of: list[int]) -> set:
        rough, members = annotate(boxes, habits, np.random.default_rng(seed), SIZE)
        return {
            (tuple(box), frozenset(names_of[i] for i in group))
            for box, group in zip(rough.tolist(), members, strict=True)
        }

    assert drawn(exact[order], order) == drawn(exact, list(range(len(exact))))


@settings(deadline=None)
@given(exact_sets(), st.floats(0.5, 40))
def test_neighbours_are_found_as_by_merging_pair_by_pair(exact, distance):
    groups = [{i} for i in range(len(exact))]

    def near(i: int, j: int) -> bool:
        a, b = exact[i], exact[j]
        across = max(a[0] - b[2], b[0] - a[2], 0)
        down = max(a[1] - b[3], b[1] - a[3], 0)
        return across * across + down * down < distance * distance

    merged = True
    while merged:
        merged = False
        for a in groups:
            for b in groups:
                if a is not b and any(near(i, j) for i in a for j in b):
                    a |= b
                    groups.remove(b)
                    merged = True
                    break
            if merged:
                break
    expected = sorted(sorted(group) for group in groups)
    assert [group.tolist() for group in neighbours(exact, distance)] == expected


def test_a_chain_of_neighbours_gets_one_box_about_all():
    exact = np.array([[10, 10, 14, 14], [16, 10, 20, 14], [22, 10, 26, 14], [60, 60, 64, 64]])
    habits = Habits((1.0, 1.0), shift=0, merging=2.5, missing=0, least_side=0)
    rough, members = annotate(exact, habits, np.random.default_rng(0), SIZE)
    assert rough.tolist() == [[10, 10, 26, 14], [60, 60, 64, 64]]
    assert [group.tolist() for group in members] == [[0, 1, 2], [3]]
    # Lengths are in mm: with pixels of 2 mm the same gaps are 4 mm.
    rough, _ = annotate(exact, habits, np.random.default_rng(0), SIZE, pixel_mm=2.0)
    assert len(rough) == 4


def test_enlargement_alone_scales_a_box_about_its_middle():
    exact = np.array([[40, 30, 50, 50]])
    habits = Habits((1.5, 1.5), shift=0, merging=0, missing=0, least_side=0)
    rough, _ = annotate(exact, habits, np.random.default_rng(0), SIZE)
    np.testing.assert_allclose(rough, [[37.5, 25, 52.5, 55]])
    rough, _ = annotate(exact, habits.scaled(2), np.random.default_rng(0), SIZE)
    np.testing.assert_allclose(rough, [[35, 20, 55, 60]])


def test_small_boxes_are_drawn_with_the_least_side():
    exact = np.array([[40, 30, 42, 31]])
    habits = Habits((1.0, 1.0), shift=0, merging=0, missing=0, least_side=8)
    rough, _ = annotate(exact, habits, np.random.default_rng(0), SIZE)
    np.testing.assert_allclose(rough, [[37, 26.5, 45, 34.5]])


def test_lesions_are_missed_as_often_as_the_habit_says():
    habits = Habits(missing=0.5, missing_scale=6.0, merging=0)
    for side in (2, 12):
        exact = np.array([[20, 20, 20 + side, 21]])
        rng = np.random.default_rng(side)
        missed = sum(len(annotate(exact, habits, rng, SIZE)[0]) == 0 for _ in range(4000))
        assert missed / 4000 == pytest.approx(0.5 * np.exp(-side / 6), abs=0.03)


def scattered(rng: np.random.Generator) -> np.ndarray:
    """Lesions of 3 to 20 px in cells of 48 px, so that exact ones never touch."""
    corner = np.stack(np.meshgrid(range(0, 240, 48), range(0, 240, 48)), -1).reshape(-1, 2)
    corner = corner[rng.choice(len(corner), 4, replace=False)] + rng.integers(0, 24, (4, 2))
    return np.hstack([corner, corner + rng.integers(3, 21, (4, 2))]).astype(float)


@pytest.mark.parametrize("name", sorted(ANNOTATORS))
def test_rougher_boxes_agree_less_with_the_exact_ones(name):
    """Mean, over exact boxes, of the IoU with the rough box that stands for it; 0 if missed."""
    means = []
    for roughness in (0, 0.5, 1, 2, 4):
        habits, total, count = ANNOTATORS[name].scaled(roughness), 0.0, 0
        for case in range(400):
            exact = scattered(np.random.default_rng(case))
            rough, members = annotate(exact, habits, np.random.default_rng([case, 1]), 240)
            pairs = iou(rough, exact)
            total += sum(pairs[i, j] for i, group in enumerate(members) for j in group)
            count += len(exact)
        means.append(total / count)
    assert means[0] == pytest.approx(1)
    assert all(worse < better - 0.02 for better, worse in pairwise(means))


def test_annotators_differ_in_size_and_in_what_they_miss():
    area, missed = {}, {}
    for name, habits in ANNOTATORS.items():
        shares, count = [], 0
        for case in range(300):
            exact = scattered(np.random.default_rng(case))
            rough, members = annotate(exact, habits, np.random.default_rng([case, 2]), 240)
            shares += [areas(rough)[i] / areas(exact)[g].sum() for i, g in enumerate(members)]
            count += len(exact) - sum(len(group) for group in members)
        area[name], missed[name] = np.median(shares), count / 1200
    assert area["careful"] < 0.6 * area["generous"]
    assert missed["careful"] < 0.5 * missed["hasty"]


@settings(deadline=None, max_examples=40)
@given(seeds, st.floats(0.2, 3), st.data())
def test_a_slice_depends_on_nothing_but_itself(seed, roughness, data):
    patients = [f"p{i // 3}" for i in range(12)]
    slices = [20 + i % 3 for i in range(12)]
    exact = [scattered(np.random.default_rng([seed, i])) for i in range(12)]
    every = annotate_slices(exact, patients, slices, seed, roughness, 240)
    chosen = data.draw(st.permutations(range(12)))[:5]
    some = annotate_slices(
        [exact[i] for i in chosen],
        [patients[i] for i in chosen],
        [slices[i] for i in chosen],
        seed,
        roughness,
        240,
    )
    for place, (rough, members) in zip(chosen, some, strict=True):
        np.testing.assert_array_equal(rough, every[place][0])
        assert [g.tolist() for g in members] == [g.tolist() for g in every[place][1]]


def test_slices_and_seeds_have_boxes_of_their_own():
    exact = [np.array([[100, 100, 130, 120]])] * 3
    (a, _), (b, _), _ = annotate_slices(exact, ["p"] * 3, [7, 8, 0], 0, 1.0, 240)
    (c, _), *_ = annotate_slices(exact, ["p"] * 3, [7, 8, 0], 1, 1.0, 240)
    assert not np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_every_annotator_gets_patients_and_each_patient_keeps_one():
    counts = Counter(annotator_of(f"patient_{i}", 3) for i in range(2000))
    assert set(counts) == set(ANNOTATORS)
    assert min(counts.values()) > 2000 / len(ANNOTATORS) * 0.8
    assert len({annotator_of("patient_1", seed) for seed in range(60)}) == len(ANNOTATORS)
    assert len({annotator_of("patient_1", 3) for _ in range(5)}) == 1


@pytest.mark.parametrize("roughness", [-0.1, float("nan"), float("inf")])
def test_an_impossible_roughness_is_refused(roughness):
    with pytest.raises(PathoganError, match="roughness"):
        annotate_slices([], [], [], 0, roughness, 240)


def test_boxes_outside_the_image_are_refused():
    with pytest.raises(PathoganError, match="exact boxes"):
        annotate(np.array([[90, 90, 99, 99]]), Habits(), np.random.default_rng(0), SIZE)
