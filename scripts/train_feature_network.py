"""Train the feature network that is committed as `pathogan_core/evaluation/feature_network.*`.

    python scripts/train_feature_network.py --prepared DIR

`DIR` holds prepared slices of a *simulated* cohort; only its validation patients are used, so that
neither the patients a GAN learns from (train) nor those it is measured against (test) shape the
features. Three quarters of these patients are learnt from, the rest tell how well it answers: those
figures go on the card. The committed network learnt from a cohort of its own, with

    pathogan cohorts prepare brats2016 --simulate 64 --seed 1 --fractions 0,1,0 --sizes 64 --out DIR

About five minutes on one core, and as long again for the cohort.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score
from torch import Tensor
from tqdm import tqdm

from pathogan_core import __version__
from pathogan_core.cohorts.prepared import PreparedSlices
from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.features import (
    COMMITTED_WEIGHTS,
    FEATURES,
    INPUT_SIZE,
    SEQUENCES,
    FeatureNetwork,
    Predictions,
    save_feature_network,
)
from pathogan_core.evaluation.images import area_resize, as_tensor

SPLIT = "validation"
BATCH = 64
LEARNING_RATE = 2e-3
ECCENTRICITY_WEIGHT = 4.0  # its squared error is small beside the two cross-entropies
SHIFT = 4  # pixels, so that position is not read off the image's frame
BRIGHTNESS = 0.1  # share: scanners and normalisation differ by more than these patients show
CLEAR_TUMOUR = 30  # voxels of 1 mm: fewer are neither a tumour slice nor a clean one, and skipped
SMALLEST_DEVIATION = 0.05  # of the mean: a feature that is almost constant must not be blown up


@dataclass(frozen=True)
class Tasks:
    """Images with what is known of them, all on the CPU.

    `images` [N, 1, 64, 64] in [-1, 1]; `sequence` [N]; `eccentricity` [N] in 0..1; `tumour` [N]:
    1, 0, or NaN where a slice holds too little tumour to call.
    """

    images: Tensor
    sequence: Tensor
    eccentricity: Tensor
    tumour: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def rows(self, chosen: Tensor) -> Tasks:
        return Tasks(
            self.images[chosen],
            self.sequence[chosen],
            self.eccentricity[chosen],
            self.tumour[chosen],
        )


def read_tasks(prepared: PreparedSlices, patients: set[str]) -> Tasks:
    """Every sequence's images of these patients of the validation split."""
    size = min(size for size in prepared.sizes if size >= INPUT_SIZE)
    images = area_resize(as_tensor(prepared.images("concat", size, SPLIT)), INPUT_SIZE)
    rows = prepared.table[prepared.table["split"] == SPLIT]
    numbers = torch.tensor(rows["slice"].to_numpy(np.float32)).repeat(len(SEQUENCES))
    voxels = rows.filter(regex="_voxels$").sum(axis=1).to_numpy(np.float32)
    tumour = np.where(voxels >= CLEAR_TUMOUR, 1.0, np.where(voxels == 0, 0.0, np.nan))
    middle, reach = (numbers.max() + numbers.min()) / 2, (numbers.max() - numbers.min()) / 2
    everything = Tasks(
        images,
        torch.tensor([SEQUENCES.index(name) for name in prepared.sequence_of("concat", SPLIT)]),
        # Left and right hemispheres look alike in a sagittal slice: only the distance is knowable.
        (numbers - middle).abs() / reach.clamp(min=1),
        torch.tensor(tumour, dtype=torch.float32).repeat(len(SEQUENCES)),
    )
    owners = prepared.patients_of("concat", SPLIT)
    return everything.rows(torch.from_numpy(np.flatnonzero(np.isin(owners, sorted(patients)))))


def train(tasks: Tasks, *, steps: int, seed: int) -> FeatureNetwork:
    """Learn the three tasks together; every draw comes from `seed`."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    network = FeatureNetwork().train()
    optimiser = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    progress = tqdm(range(steps), desc="feature network", unit="step")
    for _ in progress:
        batch = tasks.rows(torch.randint(len(tasks), (BATCH,), generator=generator))
        loss = task_loss(network(disturb(batch.images, generator)), batch)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
    standardise_features(network.eval(), tasks)
    return network


def task_loss(predictions: Predictions, batch: Tasks) -> Tensor:
    """Cross-entropy of the sequence, squared error of the position, cross-entropy of tumour."""
    known = ~batch.tumour.isnan()
    tumour = F.binary_cross_entropy_with_logits(predictions.tumour[known], batch.tumour[known])
    return (
        F.cross_entropy(predictions.sequence, batch.sequence)
        + ECCENTRICITY_WEIGHT * F.mse_loss(predictions.eccentricity, batch.eccentricity)
        + (tumour if known.any() else 0.0)
    )


def disturb(images: Tensor, generator: torch.Generator) -> Tensor:
    """Shift each image by whole pixels, up to `SHIFT`, and vary its brightness.

    Nothing is interpolated and no noise added: the network would learn from blurred or noisy
    images, and meet sharp ones afterwards.
    """
    n = len(images)
    rows, columns = torch.randint(2 * SHIFT + 1, (2, n, 1), generator=generator)
    padded = F.pad(images[:, 0], (SHIFT,) * 4, value=-1.0)
    side = torch.arange(INPUT_SIZE)
    every = torch.arange(n).view(n, 1, 1)
    moved = padded[every, (rows + side)[:, :, None], (columns + side)[:, None, :]]
    gain = 1 + BRIGHTNESS * (2 * torch.rand(n, 1, 1, generator=generator) - 1)
    return ((moved + 1) * gain - 1).clamp(-1, 1)[:, None]


@torch.no_grad()
def standardise_features(network: FeatureNetwork, tasks: Tasks) -> None:
    """Set the mean and deviation that put every feature on one scale."""
    pooled = torch.cat([network.pooled(images) for images in tasks.images.split(128)])
    deviation = pooled.std(dim=0)
    network.feature_mean.copy_(pooled.mean(dim=0))
    network.feature_deviation.copy_(
        deviation.clamp(min=float(SMALLEST_DEVIATION * deviation.mean()))
    )


@torch.no_grad()
def examine(network: FeatureNetwork, tasks: Tasks) -> dict[str, Any]:
    """How well it answers, for the card; a figure that cannot be computed is null."""
    answers = [network(images) for images in tasks.images.split(128)]
    sequence, eccentricity, tumour = (torch.cat(column) for column in zip(*answers, strict=True))
    known = ~tasks.tumour.isnan()
    truth = tasks.tumour[known].numpy()
    both = len(np.unique(truth)) == 2
    error = (eccentricity - tasks.eccentricity).square().mean().sqrt()
    return {
        "images": len(tasks),
        "sequence_accuracy": float((sequence.argmax(1) == tasks.sequence).float().mean()),
        "eccentricity_rmse": float(error),
        "tumour_auc": float(roc_auc_score(truth, tumour[known].numpy())) if both else None,
        "tumour_share": float(truth.mean()) if len(truth) else None,
    }


def divide_patients(prepared: PreparedSlices, seed: int) -> tuple[set[str], set[str]]:
    """Validation patients to learn from, and a quarter of them (at least one) to examine with."""
    patients = np.unique(prepared.patients_of("t1", SPLIT))
    if len(patients) < 2:
        raise PathoganError(
            f"{len(patients)} validation patients, at least 2 needed",
            where=prepared.folder,
            remedy="simulate and prepare a larger cohort",
        )
    order = np.random.default_rng(seed).permutation(patients).tolist()
    examined = max(1, len(order) // 4)
    return set(order[examined:]), set(order[:examined])


def build(prepared_folder: Path, weights: Path, *, steps: int, seed: int) -> dict[str, Any]:
    """Train, examine, write weights and card; returns what the card says of unseen patients."""
    prepared = PreparedSlices.open(prepared_folder)
    if prepared.source != "simulated":
        raise PathoganError(
            "holds real patients; weights that are published must come from simulated ones",
            where=prepared_folder,
            remedy="prepare a simulated cohort",
        )
    learnt, unseen = divide_patients(prepared, seed)
    network = train(read_tasks(prepared, learnt), steps=steps, seed=seed)
    examination = {"patients": len(unseen), **examine(network, read_tasks(prepared, unseen))}
    description = {
        "what": "sequence, distance from the mid-plane and tumour of simulated brain slices",
        "features": FEATURES,
        "input_size": INPUT_SIZE,
        "trained_on": {
            **prepared.provenance("concat", min(prepared.sizes), SPLIT),
            "split": SPLIT,
            "patients_learnt_from": len(learnt),
        },
        "unseen_patients": examination,
        "steps": steps,
        "batch": BATCH,
        "seed": seed,
        "threads": torch.get_num_threads(),
        "code_version": __version__,
        "torch": torch.__version__,
    }
    save_feature_network(network, weights, description)
    return examination


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prepared", type=Path, required=True, help="folder of prepared slices")
    parser.add_argument("--out", type=Path, default=COMMITTED_WEIGHTS, help="weights to write")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    try:
        examination = build(given.prepared, given.out, steps=given.steps, seed=given.seed)
    except PathoganError as error:
        print(f"train_feature_network: {error}", file=sys.stderr)
        return 1
    print(
        "on unseen patients:", ", ".join(f"{name} {value}" for name, value in examination.items())
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
