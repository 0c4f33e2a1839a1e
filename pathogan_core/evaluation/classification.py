"""How well a classifier tells tumour from non-tumour, and whether one does so better than another.

Accuracy, sensitivity and specificity are those of thesis section 4.3.3; the area under the ROC
curve, intervals and comparisons are this project's addition. Slices of one patient are alike, so
intervals come from a bootstrap over *patients*. An interval for each arm alone tests nothing: arms
are compared by the paired difference, on the same patients and seeds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation import paired
from pathogan_core.evaluation.metric import Metric, percentile_interval
from pathogan_core.evaluation.paired import (
    INTERVAL_METHOD,
    INTERVAL_METHOD_SEEDS,
    RESAMPLES,
    Difference,
    Values,
)
from pathogan_core.evaluation.turing import clopper_pearson

REVISION = 1
"""Raised when a change of code changes the measures."""
THRESHOLD = 0.5
"""A probability from here on is called tumour. Thesis silent; the usual one."""

AT_ONCE = 250  # resamples: bounds memory to a few 10 MB for a few thousand images
MEASURES = ("accuracy", "sensitivity", "specificity", "auc")


@dataclass(frozen=True, eq=False)
class HeldOut:
    """The images that classifiers are tested on.

    Args:
        labels: ``[N]``, 1 tumour and 0 non-tumour; both occur.
        patients: ``[N]``, whose image each is; at least two patients.

    Raises:
        PathoganError: unequal lengths, a class without images, a single patient.
    """

    labels: NDArray
    patients: NDArray

    def __post_init__(self) -> None:
        if self.labels.shape != self.patients.shape or self.labels.ndim != 1:
            problem = f"{self.labels.size} labels and {self.patients.size} patients"
            raise _bad(problem, "give one of each for each image")
        if set(np.unique(self.labels)) != {0, 1}:
            raise _bad("labels are not of both classes, 0 and 1", "test on images of both classes")
        if len(np.unique(self.patients)) < 2:
            raise _bad("all images are of one patient", "test on two patients or more")

    @property
    def tumour(self) -> NDArray[np.bool_]:
        """Which images show tumour ``[N]``."""
        return self.labels == 1

    def counts(self) -> dict[str, int]:
        """How many images each measure rests on."""
        n, positive = len(self.labels), int(self.tumour.sum())
        return {"accuracy": n, "sensitivity": positive, "specificity": n - positive, "auc": n}


def measure(
    held_out: HeldOut, scores: NDArray, *, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Metric]:
    """Accuracy, sensitivity, specificity and AUC of one trained classifier.

    Args:
        scores: probabilities of tumour ``[N]``.
        resamples, seed: of the bootstrap over patients.

    Raises:
        PathoganError: scores of another length, or not probabilities.
    """
    return measure_seeds(held_out, scores[None], resamples=resamples, seed=seed)


def measure_seeds(
    held_out: HeldOut, scores: NDArray, *, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Metric]:
    """The mean of each measure over classifiers that differ in their seed only.

    Args:
        scores: probabilities of tumour ``[seeds, N]``.
        resamples, seed: of the bootstrap, over patients and, where there are several, over seeds.

    Raises:
        PathoganError: scores of another shape, or not probabilities.
    """
    means = _resampled_means(held_out, [_checked(held_out, scores, "scores")], resamples, seed)
    method = INTERVAL_METHOD if len(scores) == 1 else INTERVAL_METHOD_SEEDS
    return {
        name: Metric(
            value=float(means[0][name][0]),
            n=n,
            interval=percentile_interval(paired.defined(means[0][name][1:])),
            interval_method=method,
        )
        for name, n in held_out.counts().items()
    }


def measure_exactly(held_out: HeldOut, scores: NDArray) -> dict[str, Metric]:
    """The same values with exact binomial intervals, which take every image for independent.

    Too narrow where a patient has several images; for setting beside published numbers that come
    without patients. The AUC has no interval.
    """
    runs = _checked(held_out, scores[None], "scores")
    right = (runs[0] >= THRESHOLD) == held_out.tumour
    chosen = {
        "accuracy": right,
        "sensitivity": right[held_out.tumour],
        "specificity": right[~held_out.tumour],
    }
    exact = {
        name: Metric(
            value=float(hits.mean()),
            n=len(hits),
            interval=clopper_pearson(int(hits.sum()), len(hits)),
            interval_method="Clopper-Pearson 95%, images as if independent",
        )
        for name, hits in chosen.items()
    }
    area = _auc(held_out.tumour, runs[0], np.ones((1, len(held_out.labels))))[0]
    return {**exact, "auc": Metric(float(area), len(held_out.labels))}


def compare(
    held_out: HeldOut,
    baseline: NDArray,
    arms: Mapping[str, NDArray],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, dict[str, Difference]]:
    """Paired differences of arms to a baseline, by arm and measure.

    Patients and seeds are resampled apart from each other, and alike for both arms: image i is the
    same image, run s of an arm began from the same weights as run s of the baseline. With few
    seeds the interval is a rough one: in simulations it held the truth in 19 of 20 cases where
    patients varied most, in about 9 of 10 with three runs that varied strongly.

    Args:
        baseline: probabilities ``[seeds, N]`` of the baseline's runs.
        arms: by name, probabilities ``[seeds, N]`` of the runs with the same seeds.

    Raises:
        PathoganError: unequal shapes, or not probabilities.
    """
    base = _checked(held_out, baseline, "baseline")
    runs = {name: _checked(held_out, scores, f"arm {name}") for name, scores in arms.items()}
    for name, scores in runs.items():
        if len(scores) != len(base):
            problem = f"has {len(scores)} runs, the baseline {len(base)}"
            raise _bad(problem, "give the runs of the same seeds", f"arm {name}")
    reference, *others = _resampled_means(held_out, [base, *runs.values()], resamples, seed)
    return paired.differences(
        reference,
        dict(zip(runs, others, strict=True)),
        seeds=len(base),
        patients=len(np.unique(held_out.patients)),
    )


def _resampled_means(
    held_out: HeldOut, sets_of_runs: list[NDArray[np.float64]], resamples: int, seed: int
) -> list[Values]:
    """Of each set of runs ``[seeds, N]`` the mean over seeds: `paired.resampled_means`."""
    _, patients = np.unique(held_out.patients, return_inverse=True)
    return paired.resampled_means(
        sets_of_runs,
        lambda runs, draws: _values(held_out.tumour, patients, runs, draws),
        seeds=len(sets_of_runs[0]),
        patients=int(patients.max()) + 1,
        resamples=resamples,
        seed=seed,
    )


def _values(
    tumour: NDArray[np.bool_],
    patients: NDArray[np.intp],
    runs: NDArray[np.float64],
    draws: NDArray[np.float64],
) -> Values:
    """Every measure of every run under every draw of patients, ``[draws, runs]``.

    Args:
        patients: index of each image's patient ``[N]``.
        runs: probabilities ``[runs, N]``.
        draws: how often each patient counts ``[draws, patients]``.

    A measure whose class is missing from a draw is NaN.
    """
    right = (runs >= THRESHOLD) == tumour
    owner = np.eye(draws.shape[1])[patients]

    def share(among: NDArray[np.bool_]) -> NDArray[np.float64]:
        hits, shown = draws @ ((right & among) @ owner).T, draws @ (among @ owner)
        with np.errstate(invalid="ignore"):
            return hits / shown[:, None]

    areas = [
        np.concatenate([_auc(tumour, run, part[:, patients]) for part in _parts(draws)])
        for run in runs
    ]
    return {
        "accuracy": share(np.ones_like(tumour)),
        "sensitivity": share(tumour),
        "specificity": share(~tumour),
        "auc": np.stack(areas, axis=1),
    }


def _auc(
    tumour: NDArray[np.bool_], scores: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Area under the ROC curve ``[W]`` with image weights ``[W, N]``; ties count a half.

    That is the chance that a tumour image scores higher than a non-tumour image.
    """
    order = np.argsort(scores, kind="stable")
    ranked = scores[order]
    ties = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    positive, negative = (
        np.add.reduceat((weights * which)[:, order], ties, axis=1) for which in (tumour, ~tumour)
    )
    lower = negative.cumsum(axis=1) - negative
    won = (positive * (lower + negative / 2)).sum(axis=1)
    with np.errstate(invalid="ignore"):
        return won / (positive.sum(axis=1) * negative.sum(axis=1))


def _parts(draws: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    return np.array_split(draws, max(1, len(draws) // AT_ONCE))


def _checked(held_out: HeldOut, runs: NDArray, where: str) -> NDArray[np.float64]:
    runs = np.asarray(runs, dtype=np.float64)
    if runs.ndim != 2 or runs.shape[1] != len(held_out.labels) or not len(runs):
        problem = f"{'x'.join(map(str, runs.shape))} scores for {len(held_out.labels)} images"
        raise _bad(problem, "give one score for each run and image", where)
    if not ((runs >= 0) & (runs <= 1)).all():
        raise _bad("a score is not between 0 and 1", "give probabilities of tumour", where)
    return runs


def _bad(problem: str, remedy: str, where: str = "test images") -> PathoganError:
    return PathoganError(problem, where=where, remedy=remedy)
