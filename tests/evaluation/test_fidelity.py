from __future__ import annotations

import json

import numpy as np
import pytest

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation import fidelity
from pathogan_core.evaluation.catalogue import describe
from pathogan_core.evaluation.features import SEQUENCES
from pathogan_core.evaluation.fidelity import measure, patient_splits

FLOORED = {
    "kid",
    "fid",
    "precision",
    "recall",
    "msssim_gap",
    "swd_mean",
    "swd_64",
    "swd_32",
    "swd_16",
}


@pytest.fixture(scope="module")
def real(make_images):
    """70 images of 7 training and 30 of 3 held-out patients, with sequences of the latter."""
    images = make_images(100, seed=0, patients=10)
    patients = np.array([f"p{i % 10}" for i in range(100)])
    held_out = np.isin(patients, ["p0", "p1", "p2"])
    return {
        "real_train": images[~held_out],
        "real_held_out": images[held_out],
        "patients_train": patients[~held_out],
        "patients_held_out": patients[held_out],
        "sequences_held_out": np.resize(SEQUENCES, 30),
    }


@pytest.fixture(scope="module")
def measured(real, make_images, untrained_network):
    return measure(make_images(40, seed=9), **real, seed=0, network=untrained_network)


def test_every_measure_has_its_floor_at_the_same_n(measured) -> None:
    floors = {name for name in measured if name.endswith("_floor")}
    assert floors == {f"{name}_floor" for name in FLOORED}
    for name in FLOORED:
        assert measured[name].n == measured[f"{name}_floor"].n == 30


def test_every_metric_is_described_and_fits_a_record(measured) -> None:
    for name, metric in measured.items():
        assert describe(name).label
        assert json.loads(json.dumps(metric.as_json()))["n"] == metric.n
        if metric.interval is not None and name != "kid":  # whose value comes from subsets
            assert metric.interval[0] <= metric.value <= metric.interval[1]


def test_the_scales_are_named(measured) -> None:
    assert "3 scales" in measured["msssim_fake"].unit
    assert [name for name in measured if name.startswith("swd_6")] == ["swd_64", "swd_64_floor"]


def test_the_same_seed_gives_the_same_numbers(
    measured, real, make_images, untrained_network
) -> None:
    fake = make_images(40, seed=9)
    again = measure(fake, **real, seed=0, network=untrained_network)
    other = measure(fake, **real, seed=1, network=untrained_network)
    assert again == measured
    assert other["swd_mean"] != measured["swd_mean"]


def test_fid_says_when_it_is_mostly_bias(measured, real, make_images, untrained_network) -> None:
    assert measured["fid"].unit == measured["fid_floor"].unit == "1, mostly bias at this n"
    many = {**real, "sequences_held_out": None}
    for side in ("train", "held_out"):
        for part in (f"real_{side}", f"patients_{side}"):
            many[part] = np.concatenate([many[part]] * 3)
    fake = make_images(90, seed=9)
    assert measure(fake, **many, seed=0, network=untrained_network)["fid"].unit == "1"


def test_without_sequences_coverage_is_left_out(real, make_images, untrained_network) -> None:
    arguments = {**real, "sequences_held_out": None}
    metrics = measure(make_images(20, seed=9), **arguments, seed=0, network=untrained_network)
    assert not [name for name in metrics if name.startswith("sequence")]
    assert metrics["kid"].n == 20


def test_n_is_bounded_on_request(real, make_images, untrained_network) -> None:
    fake = make_images(20, seed=9)
    metrics = measure(fake, **real, seed=0, network=untrained_network, most_images=12)
    assert {metrics[name].n for name in FLOORED} == {12}
    assert metrics["near_pixels"].n == 20


def test_floor_splits_share_no_patient_and_lose_no_image() -> None:
    patients = np.random.default_rng(0).choice([f"p{i}" for i in range(9)], 200)
    splits = patient_splits(patients, 3, splits=6, seed=0)
    for others, inside in splits:
        assert not set(patients[others]) & set(patients[inside])
        assert len(set(patients[inside])) == 3
        assert sorted([*others, *inside]) == list(range(200))
    assert len({tuple(inside) for _, inside in splits}) > 1


def test_floors_are_measured_between_disjoint_patients(
    real, make_images, untrained_network, monkeypatch
) -> None:
    seen = []
    compare = fidelity._compare

    def watch(first, second, seed):
        seen.append((first.patients, second.patients))
        return compare(first, second, seed)

    monkeypatch.setattr(fidelity, "_compare", watch)
    measure(make_images(20, seed=9), **real, seed=0, network=untrained_network)
    assert seen[0][0] is None
    assert set(seen[0][1]) <= {"p0", "p1", "p2"}
    assert len(seen) == 1 + fidelity.FLOOR_SPLITS
    for others, inside in seen[1:]:
        assert len(others) == len(inside) == 20
        assert not set(others) & set(inside)


def test_noise_is_above_the_floor_and_unseen_patients_are_at_it(
    real, make_images, untrained_network
) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (30, 64, 64)).astype(np.uint8)
    bad = measure(noise, **real, seed=0, network=untrained_network)
    for name in ("kid", "fid", "swd_mean"):
        assert bad[name].value > bad[f"{name}_floor"].interval[1]
    assert bad["precision"].value == 0
    unseen = make_images(100, seed=8, patients=10)
    good = measure(unseen, **real, seed=0, network=untrained_network)
    assert good["swd_mean"].value < 0.5 * bad["swd_mean"].value
    assert good["kid"].value < 0.01 * bad["kid"].value


def test_a_copying_generator_is_caught(real, make_images, untrained_network) -> None:
    copies = real["real_train"][:40]
    metrics = measure(copies, **real, seed=0, network=untrained_network)
    for space in ("pixels", "features"):
        assert metrics[f"copied_{space}"].value == 1
    unseen = measure(
        make_images(100, seed=8, patients=10), **real, seed=0, network=untrained_network
    )
    assert unseen["copied_pixels"].value < 0.1


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"patients_train": np.array(["p0"] * 70)}, "'p0' is both trained on and held out"),
        ({"patients_held_out": np.array(["q"] * 29)}, "29 patients for 30 held-out images"),
        ({"real_held_out": np.zeros((30, 128, 128), np.uint8)}, "held-out images 128 px"),
        ({"real_train": np.zeros((9, 64, 64), np.uint8)}, "9 given, at least 10"),
    ],
)
def test_bad_input_is_one_line(real, make_images, untrained_network, change, line) -> None:
    with pytest.raises(PathoganError, match=line):
        measure(make_images(20, seed=9), **{**real, **change}, seed=0, network=untrained_network)


def test_too_few_patients_for_a_floor() -> None:
    with pytest.raises(PathoganError, match="1 of 1 patients"):
        patient_splits(np.array(["a", "a"]), 1, splits=2, seed=0)


@pytest.mark.parametrize("name", ["is", "swd_x", "sequence_t1", "kid_ceiling"])
def test_unknown_metrics_have_no_description(name: str) -> None:
    with pytest.raises(PathoganError, match="no metric is called"):
        describe(name)
