"""Chapter 3's experiment end to end on a toy cohort: who is learnt from, measured, and drawn."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.turing_session import read_key
from pathogan_core.experiments import chapter3
from pathogan_core.experiments.chapter3 import Parameters

SEQUENCES = ("t1", "t1c", "t2", "flair")
SPLITS = np.repeat(["train"] * 4 + ["validation"] + ["test"] * 2, 8)
PATIENTS = np.repeat([f"p{i}" for i in range(7)], 8)
TINY = Parameters(
    split="train",
    models=("dcgan",),
    steps_dcgan=2,
    steps_wgan=2,
    width=4,
    batch_size=8,
    warmup_critic_steps=2,
    critic_steps=2,
    measured_images=16,
)


class ToySlices:
    """What `PreparedSlices` answers, for seven people with eight bright squares each."""

    source = "simulated"

    def __init__(self, fingerprint="aa"):
        self.fingerprint = fingerprint
        generator = np.random.default_rng(0)
        self.all = {name: generator.integers(0, 90, (56, 64, 64), np.uint8) for name in SEQUENCES}
        for number, images in enumerate(self.all.values()):
            images[:, 16:48, 16:48] += 40 * number

    def _names(self, sequence):
        return SEQUENCES if sequence == "concat" else (sequence,)

    def _rows(self, split):
        return np.ones(56, bool) if split is None else split == SPLITS

    def images(self, sequence, size, split=None):
        return np.concatenate([self.all[n][self._rows(split)] for n in self._names(sequence)])

    def patients_of(self, sequence, split=None):
        return np.tile(PATIENTS[self._rows(split)], len(self._names(sequence)))

    def sequence_of(self, sequence, split=None):
        return np.repeat(self._names(sequence), self._rows(split).sum())

    def provenance(self, sequence, size, split=None):
        images = len(self.patients_of(sequence, split))
        return {"cohort": "toy", "source": self.source, "fingerprint": self.fingerprint,
                "patients": 7, "images": images}  # fmt: skip


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.setenv("PATHOGAN_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def test_only_training_patients_are_learnt_from(runs, monkeypatch):
    seen, slices = [], ToySlices()
    keep = chapter3.DeviceImages
    monkeypatch.setattr(
        chapter3, "DeviceImages", lambda images, device: seen.append(images) or keep(images, device)
    )
    chapter3.train_model(TINY, "dcgan", slices)
    assert np.array_equal(seen[0], slices.all["t1c"][SPLITS == "train"])


def test_a_run_is_measured_against_test_patients_with_floors(runs):
    run = chapter3.train_model(TINY, "dcgan", ToySlices())
    metrics = run.record.metrics
    assert {"kid", "kid_floor", "swd_mean", "swd_mean_floor", "copied_pixels"} <= set(metrics)
    assert metrics["kid"]["n"] == 16
    assert run.record.measured_with["held_out"]["images"] == 16
    assert not any(name.startswith("sequence") for name in metrics)


def test_a_pooled_run_says_which_sequences_it_covers(runs):
    run = chapter3.train_model(replace(TINY, sequence="concat"), "wgan", ToySlices())
    assert run.record.setup == "wgan-concat-64"
    shares = [run.record.metrics[f"sequence_{name}_fake"]["value"] for name in SEQUENCES]
    assert sum(shares) == pytest.approx(1)
    truth = [run.record.metrics[f"sequence_{name}_real"]["n"] for name in SEQUENCES]
    assert truth == [64] * 4


def test_with_every_patient_in_training_nobody_is_left_to_measure_against(runs):
    run = chapter3.train_model(replace(TINY, split="all"), "dcgan", ToySlices())
    assert (run.record.metrics, run.record.measured_with) == ({}, {})
    assert run.record.inputs["images"]["images"] == 56


def test_a_finished_run_is_loaded_and_other_images_are_another_run(runs, monkeypatch):
    first = chapter3.train_model(TINY, "dcgan", ToySlices())

    def never(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr(chapter3, "train", never)
    assert chapter3.train_model(replace(TINY, scale="demo"), "dcgan", ToySlices()) == first
    with pytest.raises(AssertionError, match="trained again"):
        chapter3.train_model(TINY, "dcgan", ToySlices(fingerprint="bb"))


@pytest.mark.parametrize(
    "change",
    [{"sequence": "t2"}, {"sequence": "concat"}, {"split": "all"}, {"seed": 1}, {"steps_dcgan": 3}],
)
def test_whatever_is_learnt_from_or_how_makes_another_run(runs, change):
    first = chapter3.train_model(TINY, "dcgan", ToySlices())
    second = chapter3.train_model(replace(TINY, **change), "dcgan", ToySlices())
    assert second.folder != first.folder


def test_generated_images_depend_on_run_and_seed_only(runs):
    eager = replace(TINY, learning_rate_dcgan=0.02, steps_dcgan=8)  # or all is one grey
    run = chapter3.train_model(eager, "dcgan", ToySlices())
    images = chapter3.generated(run, 6)
    assert images.shape == (6, 64, 64)
    assert images.dtype == np.uint8
    assert np.array_equal(images, chapter3.generated(run, 6))
    assert np.array_equal(images[:3], chapter3.generated(run, 3))
    assert not np.array_equal(images, chapter3.generated(run, 6, seed=1))


def test_interpolation_goes_around_the_origin_at_an_even_pace(runs, monkeypatch):
    run = chapter3.train_model(TINY, "dcgan", ToySlices())
    met = []
    draw = chapter3.sampling.draw
    monkeypatch.setattr(
        chapter3.sampling, "draw", lambda g, latents: met.append(latents) or draw(g, latents)
    )
    assert chapter3.interpolated(run, pairs=2, count=9).shape == (18, 64, 64)
    ways = met[0].reshape(2, 9, -1)
    for way in ways:
        first, last = way[0], way[-1]
        assert torch.allclose(way[4], (first + last) / np.sqrt(2), atol=1e-5)
        steps = (way[1:] - way[:-1]).norm(dim=1)
        assert torch.allclose(steps, steps[0].expand(8), rtol=0.25)
    assert not torch.allclose(ways[0, 0], ways[1, 0])


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"sequence": "pd"}, "sequence: 'pd' is unknown; choose from t1, t1c"),
        ({"size": 96}, "size: 96 is unknown; choose from 64, 128"),
        ({"models": ["gan"]}, "models: 'gan' is unknown"),
        ({"models": []}, "models: is empty"),
        ({"steps_wgan": 0}, "steps_wgan: is 0"),
        ({"measured_images": -1}, "measured_images: is -1"),
        ({"scale": "huge"}, "scale: 'huge' is unknown; choose from smoke, demo"),
        ({"data_seed": -1}, "data_seed: is -1"),
        ({"warmup_steps": -1}, "warmup_steps: is -1"),
    ],
)
def test_impossible_parameters_are_refused_in_one_line(given, told):
    with pytest.raises(PathoganError) as refused:
        Parameters.from_notebook(given)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_turing_session_is_balanced_made_once_and_never_changes(runs):
    run = chapter3.train_model(replace(TINY, sequence="concat"), "dcgan", ToySlices())
    folder = chapter3.turing_session(run, ToySlices())
    truths = list(read_key(folder / "key" / "key.csv").values())
    assert sorted(truths) == ["real"] * 50 + ["synthetic"] * 50
    before = {path.name: path.read_bytes() for path in folder.glob("*.png")}
    assert chapter3.turing_session(run, ToySlices()) == folder
    assert {path.name: path.read_bytes() for path in folder.glob("*.png")} == before
    assert chapter3.turing_session(run, ToySlices(), seed=1) != folder


def test_a_turing_session_shows_test_patients_only_where_there_are_enough(runs):
    slices = ToySlices()
    run = chapter3.train_model(replace(TINY, sequence="concat"), "dcgan", slices)
    folder = chapter3.turing_session(run, slices)
    key = read_key(folder / "key" / "key.csv")
    shown = [
        np.asarray(Image.open(folder / name)) for name, truth in key.items() if truth == "real"
    ]
    held_out = {image.tobytes() for image in slices.images("concat", 64, "test")}
    assert {image.tobytes() for image in shown} <= held_out


def test_setups_are_named_as_the_thesis_names_them():
    assert chapter3.setup_label("wgan-t1c-128") == "WGAN T1c 128"
    assert chapter3.setup_label("dcgan-concat-64") == "DCGAN Concat 64"
