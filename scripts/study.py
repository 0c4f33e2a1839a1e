"""Train study runs and commit them to the book: `python scripts/study.py dcgan-t1c-64 ...`.

Each set-up takes its parameters from `notebooks/params/ch3_brain_mri_wgan.study.yaml` and what
`book/results/runs.yaml` overrides for it. Stop it at any moment and run it again: it goes on from
its last checkpoint. What is finished goes to `book/results/`; add it to the repository at once.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import numpy as np
import torch
import yaml

from pathogan_core.cohorts.prepared import PreparedSlices
from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.exemplars import closest_pairs, least_like_training
from pathogan_core.experiments import chapter3
from pathogan_core.experiments.committed import commit_run
from pathogan_core.experiments.store import Run
from pathogan_core.figures.images import contact_sheet
from pathogan_core.places import project_root, results_root

CHAPTER = "ch3"
SAMPLES, SHOWN, COLUMNS = 64, 16, 8


def planned(setup: str) -> dict[str, Any]:
    """The set-up's item of the plan."""
    plan = yaml.safe_load((results_root() / "runs.yaml").read_text(encoding="utf-8"))
    items = {item["setup"]: item for item in plan if item["chapter"] == CHAPTER}
    if setup not in items:
        remedy = f"choose from {', '.join(items)}"
        raise PathoganError(f"{setup!r} is not planned in runs.yaml", where=CHAPTER, remedy=remedy)
    return items[setup]


def parameters_of(setup: str) -> tuple[str, chapter3.Parameters]:
    """The model and the study parameters of a set-up named ``<model>-<sequence>-<size>``."""
    model, sequence, size = setup.split("-")
    path = project_root() / "notebooks" / "params" / "ch3_brain_mri_wgan.study.yaml"
    study = yaml.safe_load(path.read_text(encoding="utf-8"))
    study |= {"sequence": sequence, "size": int(size), **planned(setup).get("overrides", {})}
    return model, chapter3.Parameters.from_notebook(study)


def study(setup: str) -> None:
    """Train (or find, or resume) one set-up, measure it, and copy it to the book's results."""
    model, parameters = parameters_of(setup)
    slices = chapter3.prepared_slices(parameters)
    run = chapter3.train_model(parameters, model, slices, progress=True)
    if not run.record.metrics:
        print(f"{setup}: trained, not measured yet", flush=True)
    with_weights = planned(setup).get("weights", False)
    folder = commit_run(run, sheets(run, parameters, slices), weights=with_weights)
    print(f"{setup}: {folder}", flush=True)


def sheets(run: Run, parameters: chapter3.Parameters, slices: PreparedSlices) -> dict[str, bytes]:
    """Samples as they come; the worst of many; the most suspicious, each above its training image.

    The last two are chosen from the images that were measured.
    """
    wanted = (parameters.sequence, parameters.size, parameters.split)
    train, patients = slices.images(*wanted), slices.patients_of(wanted[0], wanted[2])
    many = chapter3.generated(run, parameters.measured_images, chapter3.MEASURED_SEED)
    pairs = closest_pairs(many, train, patients, COLUMNS)
    chosen = {
        "samples.png": chapter3.generated(run, SAMPLES),
        "worst.png": least_like_training(many, train, SHOWN),
        "closest.png": np.concatenate(pairs),
    }
    return {name: contact_sheet(images, COLUMNS) for name, images in chosen.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("setups", nargs="+", help="e.g. dcgan-t1c-64")
    parser.add_argument("--threads", type=int, default=1, help="processor threads of this run")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    try:
        for setup in given.setups:
            study(setup)
    except PathoganError as error:
        print(f"study: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
