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


def run_with(weight: float, store: RunStore, spec: RunSpec = SPEC):
    def train(folder: Path) -> Outcome:
        save_tensors(folder / "generator.safetensors", {"w": torch.tensor([weight])}, {})
        (folder / "log.jsonl").write_text('{"step": 1}\n', encoding="utf-8")
        return Outcome(steps=1, images_seen=1, wall_s=0.0)

    return store.train_or_load(spec, train)


def test_a_committed_run_is_found_with_its_record_log_and_weights(tmp_path):
    run = run_with(2.0, RunStore(tmp_path / "runs"))
    results = tmp_path / "results"
    assert committed_run("ch3", "wgan-t1c-64", results) is None
    folder = commit_run(run, {"samples.png": b"png"}, results)
    assert sorted(path.name for path in folder.iterdir()) == [
        *("generator.safetensors", "log.jsonl", "record.json", "samples.png")
    ]
    found = committed_run("ch3", "wgan-t1c-64", results)
    assert found is not None
    assert found.record == run.record
    assert found.log() == run.log()
    assert torch.equal(found.load_tensors()[0]["w"], torch.tensor([2.0]))
    assert list(committed_runs("ch3", results)) == ["wgan-t1c-64"]
    assert committed_runs("ch4", results) == {}


def test_a_new_run_replaces_the_whole_folder(tmp_path):
    store, results = RunStore(tmp_path / "runs"), tmp_path / "results"
    folder = commit_run(run_with(2.0, store), {"samples.png": b"one"}, results)
    (folder / "left.over").write_text("of another time")
    commit_run(run_with(3.0, store, replace(SPEC, seed=1)), {"samples.png": b"two"}, results)
    assert not (folder / "left.over").exists()
    assert json.loads((folder / "record.json").read_text())["seed"] == 1
    assert (folder / "samples.png").read_bytes() == b"two"
    assert [path.name for path in folder.parent.iterdir()] == ["wgan-t1c-64"]  # no scratch left


def test_weights_too_large_for_a_repository_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(committed, "MOST_WEIGHT_BYTES", 10)
    run = run_with(2.0, RunStore(tmp_path / "runs"))
    with pytest.raises(PathoganError, match="MB of weights"):
        commit_run(run, {"samples.png": b"png"}, tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_a_full_disk_leaves_the_earlier_result(tmp_path, monkeypatch):
    store, results = RunStore(tmp_path / "runs"), tmp_path / "results"
    folder = commit_run(run_with(2.0, store), {"samples.png": b"one"}, results)
    copy = committed.shutil.copyfile

    def full(source: Path, target: Path) -> object:
        if source.name == "record.json":
            raise OSError(28, "No space left on device")
        return copy(source, target)

    monkeypatch.setattr(committed.shutil, "copyfile", full)
    with pytest.raises(PathoganError, match="No space left"):
        commit_run(run_with(3.0, store, replace(SPEC, seed=1)), {"samples.png": b"two"}, results)
    assert json.loads((folder / "record.json").read_text())["seed"] == 0
    assert [path.name for path in folder.parent.iterdir()] == ["wgan-t1c-64"]
