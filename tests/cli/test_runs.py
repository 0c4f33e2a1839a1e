"""`pathogan runs`: what the store holds, whatever state it is in."""

from __future__ import annotations

import json

import pytest

from pathogan_core.experiments.store import Outcome, RunSpec, RunStore
from pathogan_core.training.checkpoint import save_tensors

SPEC = RunSpec(
    *("ch3", "dcgan-t1c-64", "dcgan", 1, {"width": 4}),
    {"images": {"source": "simulated", "fingerprint": "aa"}},
    "smoke",
    0,
)


@pytest.fixture
def store(tmp_path):
    def train(folder):
        save_tensors(folder / "generator.safetensors", {}, {})
        return Outcome(steps=2, images_seen=8, wall_s=0.1)

    store = RunStore(tmp_path)
    store.train_or_load(SPEC, train)
    damaged = tmp_path / "dcgan-000000000000"
    damaged.mkdir()
    (damaged / "record.json").write_text("{")
    begun = tmp_path / "wgan-000000000000"
    begun.mkdir()
    (begun / "config.json").write_text("{}")
    return store


def test_a_damaged_record_hides_no_other_run(pathogan, store):
    status, told, _ = pathogan("runs", "list", "--root", store.root)
    assert status == 0
    lines = {line.split()[0]: line for line in told.splitlines()}
    assert set(lines) == {SPEC.folder_name, "dcgan-000000000000", "wgan-000000000000"}
    assert "ch3 dcgan-t1c-64" in lines[SPEC.folder_name]
    assert "data simulated" in lines[SPEC.folder_name]
    assert "unreadable" in lines["dcgan-000000000000"]
    assert "not finished" in lines["wgan-000000000000"]


def test_a_run_is_shown_whole_and_an_unknown_name_meets_the_known_ones(pathogan, store):
    status, told, _ = pathogan("runs", "show", SPEC.folder_name, "--root", store.root)
    assert status == 0
    assert json.loads(told)["config"] == {"width": 4}
    status, _, error = pathogan("runs", "show", "nobody", "--root", store.root)
    assert status == 1
    assert SPEC.folder_name in error
