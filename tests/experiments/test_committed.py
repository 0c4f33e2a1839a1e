"""Study results are copied whole, replaced whole, and found by set-up."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pathogan_core.errors import PathoganError
from pathogan_core.experiments import committed
from pathogan_core.experiments.committed import commit_run, committed_run, committed_runs
from pathogan_core.experiments.store import Outcome, RunSpec, RunStore
from pathogan_core.training.checkpoint import save_tensors

SPEC = RunSpec("ch3", "wgan-t1c-64", "wgan", 1, {}, {"images": {"fingerprint": "aa"}}, "study", 0)
SHEETS = {"samples.png": b"one"}


def run_with(weight: float, store: RunStore, spec: RunSpec = SPEC):
    """A finished run whose generator has one kernel and one mean, both `weight`."""

    def train(folder: Path) -> Outcome:
        tensors = {"kernel": torch.full((1, 1), weight), "mean": torch.tensor([weight])}
        save_tensors(folder / "generator.safetensors", tensors, {"a": 1})
        (folder / "log.jsonl").write_text('{"step": 1}\n', encoding="utf-8")
        return Outcome(steps=1, images_seen=1, wall_s=0.0)

    return store.train_or_load(spec, train)


@pytest.fixture
def store(tmp_path):
    return RunStore(tmp_path / "runs")


@pytest.fixture
def results(tmp_path):
    return tmp_path / "results"


def test_a_committed_run_is_found_with_its_record_log_and_weights(store, results):
    run = run_with(1 / 3, store)
    assert committed_run("ch3", "wgan-t1c-64", results) is None
    folder = commit_run(run, SHEETS, weights=True, root=results)
    assert sorted(path.name for path in folder.iterdir()) == [
        *("generator.safetensors", "log.jsonl", "record.json", "samples.png")
    ]
    found = committed_run("ch3", "wgan-t1c-64", results)
    assert found is not None
    assert found.record == run.record
    assert found.log() == run.log()
    assert list(committed_runs("ch3", results)) == ["wgan-t1c-64"]
    assert committed_runs("ch4", results) == {}


def test_kernels_are_committed_in_half_precision_and_statistics_in_full(store, results):
    run = run_with(1 / 3, store)
    commit_run(run, SHEETS, weights=True, root=results)
    tensors, header = committed_runs("ch3", results)["wgan-t1c-64"].load_tensors()
    assert header == {"a": 1}
    assert tensors["kernel"].dtype == torch.float16
    assert tensors["kernel"].item() == pytest.approx(1 / 3, rel=2**-11)
    assert torch.equal(tensors["mean"], torch.tensor([1 / 3]))


def test_most_runs_are_committed_without_weights(store, results):
    folder = commit_run(run_with(1.0, store), SHEETS, weights=False, root=results)
    assert not (folder / "generator.safetensors").exists()


def test_a_new_run_replaces_the_whole_folder(store, results):
    folder = commit_run(run_with(2.0, store), SHEETS, weights=True, root=results)
    (folder / "left.over").write_text("of another time")
    later = run_with(3.0, store, replace(SPEC, seed=1))
    commit_run(later, {"samples.png": b"two"}, weights=False, root=results)
    assert sorted(path.name for path in folder.iterdir()) == [
        *("log.jsonl", "record.json", "samples.png")
    ]
    assert json.loads((folder / "record.json").read_text())["seed"] == 1
    assert (folder / "samples.png").read_bytes() == b"two"
    assert [path.name for path in folder.parent.iterdir()] == ["wgan-t1c-64"]  # no scratch left


def test_a_variant_is_committed_beside_what_it_differs_from(store, results):
    commit_run(run_with(2.0, store), SHEETS, weights=False, root=results)
    fewer = run_with(3.0, store, replace(SPEC, config={"patients": 16}))
    name = "wgan-t1c-64@patients16"
    commit_run(fewer, SHEETS, weights=False, setup=name, root=results)
    found = committed_runs("ch3", results)
    assert list(found) == ["wgan-t1c-64", name]
    assert found[name].record == replace(fewer.record, setup=name)


@pytest.mark.parametrize(
    ("setup", "parts"),
    [
        ("arm-real-scratch-seed0", ("arm-real-scratch-seed0", "")),
        ("arm-real-scratch@patients16-seed0", ("arm-real-scratch-seed0", "patients16")),
        ("pggan-non_tumour-64@no_crop", ("pggan-non_tumour-64", "no_crop")),
    ],
)
def test_a_name_says_of_what_it_is_a_variant(setup, parts):
    assert committed.split_variant(setup) == parts


def test_weights_too_large_for_a_repository_are_refused(store, results, monkeypatch):
    monkeypatch.setattr(committed, "MOST_WEIGHT_BYTES", 10)
    with pytest.raises(PathoganError, match="MB of weights"):
        commit_run(run_with(2.0, store), SHEETS, weights=True, root=results)
    assert list((results / "ch3").iterdir()) == []


def test_a_full_disk_leaves_the_earlier_result(store, results, monkeypatch):
    folder = commit_run(run_with(2.0, store), SHEETS, weights=True, root=results)
    copy = committed.shutil.copyfile

    def full(source: Path, target: Path) -> object:
        if source.name == "log.jsonl":
            raise OSError(28, "No space left on device")
        return copy(source, target)

    monkeypatch.setattr(committed.shutil, "copyfile", full)
    later = run_with(3.0, store, replace(SPEC, seed=1))
    with pytest.raises(PathoganError, match="No space left"):
        commit_run(later, SHEETS, weights=True, root=results)
    assert json.loads((folder / "record.json").read_text())["seed"] == 0
    assert [path.name for path in folder.parent.iterdir()] == ["wgan-t1c-64"]
