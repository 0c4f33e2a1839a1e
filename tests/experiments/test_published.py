"""Thesis Table 1 as data, and what is computed from it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from importlib import resources

import pytest

from pathogan_core.errors import PathoganError
from pathogan_core.experiments.published import (
    compare_models,
    load_visual_turing,
    turing_reanalysis,
)

PACKAGED = resources.files("pathogan_core.experiments") / "published/table1_visual_turing.csv"


@pytest.fixture(scope="module")
def reanalysis():
    return turing_reanalysis()


def by_setup(reanalysis):
    return {(item.group, item.label): item for item in reanalysis}


def test_table_has_six_image_sets_for_each_of_two_models():
    rows = load_visual_turing()
    sets = [("t1", 128), ("t1c", 128), ("t2", 128), ("flair", 128), ("concat", 128), ("concat", 64)]
    assert [(r.model, r.sequence, r.size) for r in rows] == [
        (model, *image_set) for model in ("dcgan", "wgan") for image_set in sets
    ]
    assert {(r.n_real, r.n_synthetic) for r in rows} == {(50, 50)}
    assert all("Table 1" in r.reference for r in rows)


def test_every_accuracy_is_the_mean_of_the_two_right_rates(reanalysis):
    for item in reanalysis:
        assert item.result.accuracy * 100 == pytest.approx(item.row.accuracy_percent)
        assert item.result.real_as_real * 100 == pytest.approx(item.row.real_as_real_percent)


def test_seven_of_twelve_setups_were_told_apart(reanalysis):
    told = {(i.group, i.label) for i in reanalysis if i.told_apart}
    assert told == {
        ("DCGAN", "T1 128"),
        ("DCGAN", "T1c 128"),
        ("DCGAN", "T2 128"),
        ("DCGAN", "Concat 128"),
        ("WGAN", "T1 128"),
        ("WGAN", "FLAIR 128"),
        ("WGAN", "Concat 128"),
    }
    assert {i.result.accuracy >= 0.61 for i in reanalysis if i.told_apart} == {True}
    assert {i.result.significant_from for i in reanalysis} == {0.61}


def test_p_values_of_wgan(reanalysis):
    setups = by_setup(reanalysis)
    expected = {"T1 128": 0.0066, "FLAIR 128": 0.021, "Concat 128": 0.0018}
    for label, p in expected.items():
        assert setups["WGAN", label].result.p_chance == pytest.approx(p, rel=0.02)


def test_holm_over_the_table_is_stricter_and_consistent(reanalysis):
    assert all(i.p_holm >= i.result.p_chance for i in reanalysis)
    smallest = min(reanalysis, key=lambda i: i.result.p_chance)
    assert smallest.p_holm == pytest.approx(12 * smallest.result.p_chance)
    assert {i.label for i in reanalysis if i.told_apart_holm} < {
        i.label for i in reanalysis if i.told_apart
    }


def test_d_prime_and_the_bias_to_say_synthetic(reanalysis):
    d_primes = [1.23, 1.50, 0.84, 0.29, 1.55, 0.27, 0.92, 0.35, 0.47, 0.94, 0.83, 0.17]
    assert [round(i.result.d_prime, 2) for i in reanalysis] == d_primes
    wgan_criteria = [0.71, 0.82, 0.54, 0.94, 0.11, 0.44]
    assert [round(i.result.criterion, 2) for i in reanalysis[6:]] == wgan_criteria
    says_real = [1 - i.result.says_synthetic for i in reanalysis]
    assert min(says_real) == pytest.approx(0.20)
    assert max(says_real) == pytest.approx(0.46)


def test_wgan_beats_dcgan_on_no_image_set_after_correction(reanalysis):
    comparison = compare_models(reanalysis)
    assert [c.label for c in comparison] == [i.label for i in reanalysis[:6]]
    assert [c.label for c in comparison if c.p < 0.05] == ["T1c 128"]
    assert all(c.p_holm > 0.05 for c in comparison)
    nearer = [c.label for c in comparison if c.wgan.accuracy < c.dcgan.accuracy]
    assert "FLAIR 128" not in nearer
    assert len(nearer) == 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"real_as_real_percent": 41.0}, "add up"),
        ({"accuracy_percent": 65.0}, "accuracy"),
        ({"n_real": 33}, "whole number"),
        ({"sequence": "pd"}, "unknown set-up"),
    ],
)
def test_contradicting_rows_are_refused(change, message):
    row = next(r for r in load_visual_turing() if r.model == "wgan")
    with pytest.raises(PathoganError, match=message):
        replace(row, **change)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("dcgan,t1,128", "dcgan,t1,large", r"row 1 \(line 2\): size is 'large'"),
        ("dcgan,t1c,128", "dcgan,t1,128", "given twice"),
        ("reference", "source", "'reference' is missing"),
    ],
)
def test_damaged_tables_are_refused(tmp_path, old, new, message):
    path = tmp_path / "table.csv"
    path.write_text(PACKAGED.read_text().replace(old, new, 1))
    with pytest.raises(PathoganError, match=message):
        load_visual_turing(path)


def test_reading_the_tables_needs_no_torch():
    code = (
        "import sys; from pathogan_core.experiments.published import turing_reanalysis;"
        "turing_reanalysis(); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
