"""Which slices are tumour slices, against counting voxels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fake_cases import FakeCase, random_brain
from hypothesis import given, settings
from hypothesis import strategies as st

from pathogan_core.cohorts.cases import TISSUES, LoadedCase
from pathogan_core.cohorts.prepare import prepare
from pathogan_core.cohorts.slice_classes import CLASSES, TUMOUR_RULES, SliceClasses
from pathogan_core.errors import PathoganError

COLUMNS = [f"{tissue}_voxels" for tissue in TISSUES]


class SparseCase(FakeCase):
    """A few labelled voxels of each tissue, so that there are slices of every kind."""

    def load(self) -> LoadedCase:
        volumes, _ = random_brain(self.seed, self.shape)
        labels = np.zeros(self.shape, int)
        rng = np.random.default_rng(self.seed)
        for number, spread in enumerate((1, 3, 2, 1), 1):
            z, y, x = (
                rng.integers(size // 2 - spread, size // 2 + spread, 8) for size in self.shape
            )
            labels[z, y, x] = number
        tissues = {name: labels == i + 1 for i, name in enumerate(TISSUES)}
        return LoadedCase(volumes, tissues, (1.0, 1.0, 1.0))


@pytest.fixture
def sparse() -> list[SparseCase]:
    return [SparseCase(f"p{i}", f"p{i}", seed=i) for i in range(6)]


@pytest.mark.parametrize("rule", TUMOUR_RULES)
@pytest.mark.parametrize("voxels", [1, 2, 3])
def test_counts_are_those_of_the_voxels(tmp_path, sparse, any_set, source, rule, voxels):
    prepared = prepare(sparse, tmp_path / "out", source, any_set)
    found = dict.fromkeys((*CLASSES, ""), 0)
    for case in sparse:
        tissues = case.load().tissues
        axis = 0 if any_set.plane == "axial" else 2
        for number in range(any_set.first_slice, any_set.last_slice + 1):
            labelled = {n: int(np.take(t, number, axis).sum()) for n, t in tissues.items()}
            enough = sum(labelled[tissue] for tissue in TUMOUR_RULES[rule]) >= voxels
            found["tumour" if enough else "" if any(labelled.values()) else "non_tumour"] += 1
    classes = SliceClasses(rule, voxels).of(prepared.table)
    assert {name: int(np.sum(classes == name)) for name in found} == found
    assert found["tumour"] > 0
    assert found["non_tumour"] > 0
    assert (found[""] == 0) == (rule == "any" and voxels == 1)


def test_selected_images_are_the_classes_and_counts_go_by_split(tmp_path, sparse, any_set, source):
    prepared = prepare(sparse, tmp_path / "out", source, any_set)
    rule = SliceClasses()
    labels = prepared.table[COLUMNS].sum(axis=1).to_numpy()
    tumour, healthy = (rule.select(prepared, name) for name in CLASSES)
    whole = prepared.images("t1c", 8)
    assert np.array_equal(tumour.images("t1c", 8), whole[labels > 0])
    assert np.array_equal(healthy.images("t1c", 8), whole[labels == 0])
    assert tumour.fingerprint != healthy.fingerprint
    for split, row in rule.counts(prepared.table).items():
        assert row["patients"] == prepared.table.query("split == @split")["patient"].nunique()
        assert row["tumour"] == len(tumour.images("t1c", 8, split))
        assert row["non_tumour"] == len(healthy.images("t1c", 8, split))


def table(rows: list[tuple[int, float, tuple[int, int, int, int]]]) -> pd.DataFrame:
    """Slice number, brain fraction and voxels of each tissue for each row."""
    columns = ["slice", "brain_fraction", *COLUMNS]
    return pd.DataFrame([(n, b, *v) for n, b, v in rows], columns=columns)


row = st.tuples(st.integers(0, 154), st.floats(0, 1), st.tuples(*[st.integers(0, 3)] * 4))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(row, min_size=1, max_size=20),
    st.sampled_from(sorted(TUMOUR_RULES)),
    st.integers(1, 8),
    st.integers(1, 5),
    st.floats(0, 1),
)
def test_a_stricter_rule_only_leaves_out(rows, rule, voxels, every, brain):
    slices = table(rows)
    loose = SliceClasses(rule).of(slices)
    strict = SliceClasses(rule, voxels, every, brain).of(slices)
    assert ((strict == loose) | (strict == "")).all()
    for (number, fraction, _), name in zip(rows, strict, strict=True):
        assert name == "" or (number % every == 0 and fraction >= brain)


def test_oedema_alone_is_tumour_by_any_and_in_no_class_by_core():
    slices = table([(40, 0.3, (0, 9, 0, 0)), (41, 0.3, (0, 0, 0, 1)), (42, 0.3, (0, 0, 0, 0))])
    assert SliceClasses("any").of(slices).tolist() == ["tumour", "tumour", "non_tumour"]
    assert SliceClasses("core").of(slices).tolist() == ["", "tumour", "non_tumour"]


def test_every_second_slice_of_30_to_130_is_51_of_101():
    slices = table([(number, 0.3, (0, 0, 0, 0)) for number in range(30, 131)])
    assert np.sum(SliceClasses(every=2).of(slices) == "non_tumour") == 51


def test_a_class_without_slices_and_an_unknown_class_are_one_line(
    tmp_path, cases, parameters, source
):
    prepared = prepare(cases, tmp_path / "out", source, parameters)  # every slice has every tissue
    with pytest.raises(PathoganError, match="holds no slice with class non_tumour, tumour_rule an"):
        SliceClasses().select(prepared, "non_tumour")
    with pytest.raises(PathoganError, match="choose one of tumour, non_tumour"):
        SliceClasses().select(prepared, "tumor")


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"tumour_rule": "all"}, "tumour_rule"),
        ({"tumour_voxels": 0}, "tumour_voxels"),
        ({"every": 0}, "every"),
        ({"brain_fraction": 1.1}, "brain_fraction"),
        ({"brain_fraction": float("nan")}, "brain_fraction"),
    ],
)
def test_impossible_rules_are_named(change, name):
    with pytest.raises(PathoganError, match=f"parameter {name}"):
        replace(SliceClasses(), **change)
