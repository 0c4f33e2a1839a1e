"""The training script on a toy cohort whose sequences, position and tumour can be seen."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import torch

from pathogan_core.cohorts.prepared import PreparedSlices
from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.features import SEQUENCES, card_of, load_feature_network

SCRIPT = Path(__file__).parents[2] / "scripts" / "train_feature_network.py"
SLICES = 12


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("train_feature_network", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


def write_prepared(folder: Path, *, validation: int = 4, source: str = "simulated") -> Path:
    """Disks: the grey level is the sequence, the radius the position, a dark hole the tumour."""
    patients = [f"v{i}" for i in range(validation)] + ["t0", "e0"]
    splits = ["validation"] * validation + ["train", "test"]
    generator = np.random.default_rng(0)
    rows, pictures = [], {name: [] for name in SEQUENCES}
    grid = np.hypot(*(np.mgrid[:64, :64] - 31.5))
    for patient, split in zip(patients, splits, strict=True):
        for number in range(SLICES):
            voxels = int(generator.choice([0, 10, 200]))
            rows.append((patient, number, split, voxels, 0))
            radius = 28 - 2.5 * abs(number - (SLICES - 1) / 2)
            for level, name in enumerate(SEQUENCES):
                picture = np.where(grid < radius, 60 + 60 * level, 0.0)
                picture[(grid < 12) & (voxels > 100)] = 0
                pictures[name].append(picture + generator.normal(0, 5, grid.shape))
    folder.mkdir()
    columns = ["patient", "slice", "split", "oedema_voxels", "necrosis_voxels"]
    pd.DataFrame(rows, columns=columns).to_parquet(folder / "slices.parquet")
    for name, stack in pictures.items():
        np.save(folder / f"{name}_64.npy", np.clip(stack, 0, 255).astype(np.uint8))
    named = ("cohort", "fingerprint", "content_sha256", "manifest_sha256")
    info = {**dict.fromkeys(named, "toy"), "source": source, "slices": len(rows)}
    (folder / "prepared.json").write_text(json.dumps({**info, "parameters": {"sizes": [64]}}))
    return folder


def test_it_learns_what_can_be_seen_and_says_so_on_the_card(script, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(script, "BATCH", 24)
    weights = tmp_path / "network.safetensors"
    folder = write_prepared(tmp_path / "prepared")
    examination = script.build(folder, weights, steps=90, seed=0)
    assert examination["patients"] == 1
    assert examination["sequence_accuracy"] > 0.8
    assert examination["tumour_auc"] > 0.7
    card = json.loads(card_of(weights).read_text())
    assert card["unseen_patients"] == examination
    assert card["trained_on"]["patients"] == 4
    assert card["trained_on"]["patients_learnt_from"] == 3
    network = load_feature_network(weights)
    learnt, unseen = script.divide_patients(PreparedSlices.open(folder), 0)
    tasks = script.read_tasks(PreparedSlices.open(folder), learnt)
    with torch.no_grad():
        vectors = network.standardised(network.pooled(tasks.images))
    torch.testing.assert_close(vectors.mean(0), torch.zeros(64), atol=1e-3, rtol=0)
    assert vectors.std(0).max() < 1.01
    assert not learnt & unseen


def test_the_same_seed_gives_the_same_weights(script, tmp_path) -> None:
    folder = write_prepared(tmp_path / "prepared")
    hashes = []
    for run, seed in enumerate((0, 0, 1)):
        weights = tmp_path / f"{run}.safetensors"
        script.build(folder, weights, steps=2, seed=seed)
        hashes.append(json.loads(card_of(weights).read_text())["sha256"])
    assert hashes[0] == hashes[1] != hashes[2]


def test_tasks_hold_validation_patients_and_their_truth(script, tmp_path) -> None:
    prepared = PreparedSlices.open(write_prepared(tmp_path / "prepared"))
    tasks = script.read_tasks(prepared, {"v1", "v2", "t0"})
    assert len(tasks) == 2 * SLICES * 4
    table = prepared.table[prepared.table["patient"].isin(["v1", "v2"])]
    voxels = np.tile(table["oedema_voxels"], 4)
    tumour = tasks.tumour.numpy()
    assert np.array_equal(np.isnan(tumour), voxels == 10)
    assert np.array_equal(tumour == 1, voxels == 200)
    assert tasks.eccentricity.min() == pytest.approx(1 / (SLICES - 1))
    assert tasks.eccentricity.max() == 1
    assert torch.equal(tasks.eccentricity[:SLICES], tasks.eccentricity[:SLICES].flip(0))
    brightness = [tasks.images[tasks.sequence == k].mean().item() for k in range(4)]
    assert brightness == sorted(brightness)


def test_disturbing_moves_whole_pixels_and_scales_brightness(script) -> None:
    images = torch.full((50, 1, 64, 64), -1.0)
    images[:, :, 30, 20] = 0.0  # half of the full brightness, on black
    moved = script.disturb(images, torch.Generator().manual_seed(0))
    places = torch.nonzero(moved[:, 0] > -1)
    assert places[:, 0].tolist() == list(range(50))
    shifts = places[:, 1:] - torch.tensor([30, 20])
    assert shifts.abs().max() == script.SHIFT
    assert len(shifts.unique(dim=0)) > 20
    brightness = moved.amax((1, 2, 3)) + 1
    assert 0.9 <= brightness.min() < 0.95 < 1.05 < brightness.max() <= 1.1


def test_a_batch_without_clear_tumour_labels_still_has_a_loss(script) -> None:
    unknown = torch.full((3,), torch.nan)
    tasks = script.Tasks(torch.zeros(3, 1, 64, 64), torch.zeros(3).long(), torch.zeros(3), unknown)
    predictions = script.Predictions(torch.zeros(3, 4), torch.zeros(3), torch.zeros(3))
    assert script.task_loss(predictions, tasks).item() == pytest.approx(np.log(4))


@pytest.mark.parametrize(
    ("cohort", "line"),
    [({"source": "real"}, "real patients"), ({"validation": 1}, "1 validation patients")],
)
def test_unfit_cohorts_are_refused_and_nothing_is_written(script, tmp_path, cohort, line) -> None:
    folder = write_prepared(tmp_path / "prepared", **cohort)
    with pytest.raises(PathoganError, match=line):
        script.build(folder, tmp_path / "out" / "network.safetensors", steps=1, seed=0)
    assert not (tmp_path / "out").exists()
