"""Whole patients on one side, whatever the order in which they are found."""

from __future__ import annotations

from collections import Counter

import pytest
from fake_cases import FakeCase
from hypothesis import given, settings
from hypothesis import strategies as st

from pathogan_core.cohorts.splits import (
    SECTION4_SPLITS,
    SPLITS,
    assign_splits,
    draw_splits,
    read_splits,
    resolve_splits,
)
from pathogan_core.errors import PathoganError

names = st.sets(st.text("abcdefgh0123456789_", min_size=1, max_size=8), max_size=40)
fractions = st.lists(st.integers(0, 10), min_size=3, max_size=3).filter(any)


@settings(max_examples=100, deadline=None)
@given(names, fractions, st.integers(0, 5), st.randoms())
def test_every_patient_has_one_split_in_any_order(patients, weights, seed, random):
    shares = tuple(weight / sum(weights) for weight in weights)
    splits = assign_splits(patients, shares, seed)
    assert set(splits) == patients
    shuffled = list(patients) * 2
    random.shuffle(shuffled)
    assert assign_splits(shuffled, shares, seed) == splits
    counts = Counter(splits.values())
    wanted = [split for split, share in zip(SPLITS, shares, strict=True) if share > 0]
    assert set(counts) <= set(wanted)
    if len(patients) >= len(wanted):
        assert set(counts) == set(wanted)
    for split, share in zip(SPLITS, shares, strict=True):
        assert abs(counts[split] - share * len(patients)) < len(wanted) + 1


@pytest.mark.parametrize(("name", "counts"), [("possible", (22, 44)), ("printed", (44, 22))])
def test_counts_of_the_thesis_cohort(name, counts):
    people = [f"patient_{i}" for i in range(220)]
    drawn = Counter(assign_splits(people, SECTION4_SPLITS[name], 0).values())
    assert (drawn["train"], drawn["validation"], drawn["test"]) == (154, *counts)


def test_both_splits_of_section_4_train_on_the_same_patients():
    people = [f"patient_{i}" for i in range(220)]
    possible, printed = (assign_splits(people, f, 0) for f in SECTION4_SPLITS.values())
    assert [p for p in people if possible[p] == "train"] == [
        p for p in people if printed[p] == "train"
    ]


def test_another_seed_is_another_draw():
    people = [f"patient_{i}" for i in range(50)]
    draws = [assign_splits(people, (0.5, 0.0, 0.5), seed) for seed in range(3)]
    assert draws[0] != draws[1] != draws[2]


def test_a_list_may_name_patients_or_scans():
    cases = [FakeCase("a_1", "a"), FakeCase("a_2", "a"), FakeCase("b_1", "b")]
    splits, problems = resolve_splits(cases, [("a_1", "train"), ("b", "test")], ["HGG"])
    assert (splits, problems) == ({"a": "train", "b": "test"}, [])


def test_a_list_with_one_patient_in_two_splits_is_a_problem():
    cases = [FakeCase("a_1", "a"), FakeCase("a_2", "a"), FakeCase("b_1", "b")]
    given_list = [("a_1", "train"), ("a_2", "test"), ("z", "test")]
    _, problems = resolve_splits(cases, given_list, ["HGG"])
    assert [(p.where, p.problem) for p in problems] == [
        ("z", "is in the list of splits but not in the cohort"),
        ("b", "has no split"),
        ("a", "is one patient in two splits: test and train"),
    ]


def two_groups() -> list[FakeCase]:
    """Ten patients, two normal subjects, a patient who was normal at first, and one of no use."""
    ill = [FakeCase(f"p{i}", f"p{i}", "metastases") for i in range(10)]
    normal = [FakeCase(f"n{i}", f"n{i}", "normal") for i in range(2)]
    turned = [FakeCase("t_1", "t", "normal"), FakeCase("t_2", "t", "metastases")]
    return [*ill, *normal, *turned, FakeCase("u", "u", "unknown")]


@pytest.mark.parametrize("seed", range(5))
def test_groups_for_training_only_are_not_drawn(seed):
    shares, grades = (0.4, 0.3, 0.3), ("metastases", "normal")
    splits = draw_splits(two_groups(), grades, shares, seed, ["normal"])
    patients = [*(f"p{i}" for i in range(10)), "t"]
    assert splits == assign_splits(patients, shares, seed) | {"n0": "train", "n1": "train"}
    everyone = draw_splits(two_groups(), grades, shares, seed)
    assert everyone == assign_splits([*patients, "n0", "n1"], shares, seed)
    assert set(draw_splits(two_groups(), ["normal"], shares, seed, ["normal"]).values()) == {
        "train"
    }


def test_a_patient_who_was_normal_at_first_may_be_held_out():
    grades = ("metastases", "normal")
    held = {
        draw_splits(two_groups(), grades, (0.4, 0.3, 0.3), seed, ["normal"])["t"]
        for seed in range(20)
    }
    assert held == set(SPLITS)
    listed = [*((f"p{i}", "train") for i in range(10)), ("t_1", "test")]
    splits, problems = resolve_splits(two_groups(), listed, grades, ["normal"])
    assert problems == []
    assert splits == dict.fromkeys([f"p{i}" for i in range(10)], "train") | {
        **{"t": "test", "n0": "train", "n1": "train"},
    }


@pytest.mark.parametrize("split", SPLITS)
def test_a_list_may_not_hold_out_who_is_for_training_only(split):
    listed = [*((f"p{i}", "train") for i in range(10)), ("t", "test"), ("n0", split)]
    grades = ("metastases", "normal")
    splits, problems = resolve_splits(two_groups(), listed, grades, ["normal"])
    wrong = [f"is for training only, but is listed for {split}"] if split != "train" else []
    assert [problem.problem for problem in problems] == wrong
    assert splits["n1"] == "train"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("patient,side\na,train\n", "no columns"),
        ("patient,split\na,training\n", "unknown split 'training'"),
        ("", "no columns"),
    ],
)
def test_a_bad_list_is_one_line(tmp_path, text, words):
    path = tmp_path / "splits.csv"
    path.write_text(text)
    with pytest.raises(PathoganError, match=words) as caught:
        read_splits(path)
    assert str(path) in str(caught.value)


def test_a_missing_list_is_one_line(tmp_path):
    with pytest.raises(PathoganError, match=r"none\.csv"):
        read_splits(tmp_path / "none.csv")
