"""How well detectors find boxes, with intervals, and whether one does so better than another.

Lesions and slices of one patient are alike, so intervals come from a bootstrap over *patients*, and
arms are compared by the paired difference to a baseline, on the same patients and seeds. What a
detector took and missed is settled once (`detection.match`): it does not depend on who else is in a
resample, so that a resample only weighs patients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation import paired
from pathogan_core.evaluation.detection import (
    LEVELS,
    THRESHOLD,
    Outcomes,
    check_threshold,
    operating_point,
    ranked,
)
from pathogan_core.evaluation.metric import Metric, percentile_interval
from pathogan_core.evaluation.paired import (
    INTERVAL_METHOD,
    INTERVAL_METHOD_SEEDS,
    RESAMPLES,
    Difference,
    Values,
)

MEASURES = ("sensitivity", "fps_per_image", "matched_sensitivity", "mean_sensitivity")
"""What arms are compared in; see `compare`."""
AT_ONCE = 1_000_000  # detections x resamples: bounds memory to a few 10 MB

Levels = Mapping[str, Sequence[float]]
"""By measure, the levels of false positives per image over which it is the mean sensitivity."""


def level_name(level: float) -> str:
    """The measure's name for sensitivity at one level of false positives per image."""
    return f"sensitivity_at_{level:g}_fps"


def measure(
    runs: Sequence[Outcomes],
    patients: NDArray,
    *,
    iou: float,
    threshold: float = THRESHOLD,
    levels: Sequence[float] = LEVELS,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Metric]:
    """Means over detectors that differ in their seed only, with intervals.

    Args:
        runs: of one set of images; one or more.
        patients: ``[I]``, whose image each is; at least two patients.
        iou: threshold at which the runs were matched.
        threshold: score from which detections count for the first two measures.
        levels: of false positives per image, read off the whole curve.
        resamples, seed: of the bootstrap, over patients and, where there are several, over seeds.

    Returns:
        ``sensitivity``, ``fps_per_image``, ``mean_sensitivity`` (over the levels) and, for each
        level, `level_name`. Where there is no truth box, ``fps_per_image`` only.

    Raises:
        PathoganError: no runs, runs of different images, fewer than two patients, no levels.
    """
    owners = _checked(runs, patients, "runs")
    names: Levels = {**{level_name(one): (one,) for one in levels}, "mean_sensitivity": levels}
    (values,) = _resampled([runs], owners, iou, threshold, names, resamples, seed)
    images, lesions = len(owners), int(runs[0].lesions.sum())
    return {
        name: Metric(
            value=float(found[0]),
            n=images if name == "fps_per_image" else lesions,
            interval=percentile_interval(paired.defined(found[1:])),
            interval_method=INTERVAL_METHOD if len(runs) == 1 else INTERVAL_METHOD_SEEDS,
            unit="false positives per image" if name == "fps_per_image" else "of n truth boxes",
        )
        for name, found in values.items()
        if lesions or name == "fps_per_image"
    }


def compare(
    baseline: Sequence[Outcomes],
    arms: Mapping[str, Sequence[Outcomes]],
    patients: NDArray,
    *,
    iou: float,
    threshold: float = THRESHOLD,
    matched_fps: float | None = None,
    levels: Sequence[float] = LEVELS,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, dict[str, Difference]]:
    """Paired differences of arms to a baseline, by arm and measure (`MEASURES`).

    At one score threshold an arm may find more because it marks more. ``matched_sensitivity`` asks
    what it finds at equally many false positives, and ``mean_sensitivity`` over several levels.

    Args:
        baseline: the baseline's runs.
        arms: by name, the runs with the same seeds, on the same images.
        patients: ``[I]``, whose image each is; at least two patients.
        iou: threshold at which the runs were matched.
        threshold: score from which detections count for the first two measures.
        matched_fps: false positives per image at which ``matched_sensitivity`` is read; by default
            the baseline's own at the threshold, mean over its seeds.
        levels: of ``mean_sensitivity``.
        resamples, seed: of the bootstrap, see `paired`.

    Raises:
        PathoganError: no runs, unequal numbers of seeds, different images, no truth box, fewer than
            two patients, no levels.
    """
    owners = _checked(baseline, patients, "baseline")
    for name, runs in arms.items():
        _checked(runs, patients, f"arm {name}", like=baseline)
    if not baseline[0].lesions.any():
        raise _bad("there is no truth box", "test on images with lesions")
    if matched_fps is None:
        points = [operating_point(run, iou, threshold) for run in baseline]
        matched_fps = float(np.mean([point.fps_per_image for point in points]))
    names: Levels = {"matched_sensitivity": (matched_fps,), "mean_sensitivity": levels}
    reference, *others = _resampled(
        [baseline, *arms.values()], owners, iou, threshold, names, resamples, seed
    )
    return paired.differences(
        reference,
        dict(zip(arms, others, strict=True)),
        seeds=len(baseline),
        patients=len(np.unique(owners)),
    )


def _resampled(
    sets_of_runs: Sequence[Sequence[Outcomes]],
    owners: NDArray[np.intp],
    iou: float,
    threshold: float,
    names: Levels,
    resamples: int,
    seed: int,
) -> list[Values]:
    """Every measure of every set of runs, observed and resampled: `paired.resampled_means`."""
    check_threshold(threshold)
    if not all(names.values()):
        raise _bad("there are no levels", "give false positives per image", "levels")

    def values(runs: Sequence[Outcomes], draws: NDArray[np.float64]) -> Values:
        by_run = [_values(run, owners, draws, iou, threshold, names) for run in runs]
        return {name: np.stack([one[name] for one in by_run], axis=1) for name in by_run[0]}

    return paired.resampled_means(
        sets_of_runs,
        values,
        seeds=len(sets_of_runs[0]),
        patients=int(owners.max()) + 1,
        resamples=resamples,
        seed=seed,
    )


def _values(
    run: Outcomes,
    owners: NDArray[np.intp],
    draws: NDArray[np.float64],
    iou: float,
    threshold: float,
    names: Levels,
) -> Values:
    """Every measure of one run ``[draws]``, where each patient counts as often as drawn.

    Args:
        owners: index of each image's patient ``[I]``.
        draws: how often each patient counts ``[draws, P]``.
    """
    hits, detected_in = run.hits(iou), owners[run.images]

    def drawn(of: NDArray[np.intp], weights: NDArray | None = None) -> NDArray[np.float64]:
        """How many of these there are in each draw, given whose they are."""
        return draws @ np.bincount(of, weights, minlength=draws.shape[1])

    lesions, images = drawn(owners, run.lesions), drawn(owners)
    counted = run.scores >= threshold
    with np.errstate(invalid="ignore"):  # no lesion in a draw: undefined, and left out later
        found = {
            "sensitivity": drawn(detected_in[counted & hits]) / lesions,
            "fps_per_image": drawn(detected_in[counted & ~hits]) / images,
        }
        levels = sorted({level for several in names.values() for level in several})
        at = dict(zip(levels, _hits_at(run, hits, detected_in, draws, images, levels), strict=True))
        for name, several in names.items():
            found[name] = np.mean([at[level] / lesions for level in several], axis=0)
    return found


def _hits_at(
    run: Outcomes,
    hits: NDArray[np.bool_],
    detected_in: NDArray[np.intp],
    draws: NDArray[np.float64],
    images: NDArray[np.float64],
    levels: Sequence[float],
) -> NDArray[np.float64]:
    """Truth boxes found at each level of false positives per image, in each draw ``[L, draws]``.

    The rule is that of `Froc.at`; a patient who is not drawn leaves points that change nothing.
    """
    if not len(run.scores):
        return np.zeros((len(levels), len(draws)))
    order, ends = ranked(run.scores)
    hit, owner = hits[order], detected_in[order]
    found = []
    for rows in np.array_split(np.arange(len(draws)), -(-len(draws) * len(order) // AT_ONCE)):
        weights = draws[rows][:, owner]
        true = (weights * hit).cumsum(axis=1)[:, ends]
        false = (weights * ~hit).cumsum(axis=1)[:, ends] / images[rows, None]
        within = np.stack([np.searchsorted(row, levels, "right") for row in false], axis=1)
        last = true[np.arange(len(rows)), np.maximum(within - 1, 0)]
        found.append(np.where(within > 0, last, 0.0))
    return np.concatenate(found, axis=1)


def _checked(
    runs: Sequence[Outcomes],
    patients: NDArray,
    where: str,
    like: Sequence[Outcomes] | None = None,
) -> NDArray[np.intp]:
    """The index of each image's patient, after a look at whether all of it fits together."""
    if not runs:
        raise _bad("there are no runs", "give one at least", where)
    if like is not None and len(runs) != len(like):
        problem = f"has {len(runs)} runs, the baseline {len(like)}"
        raise _bad(problem, "give the runs of the same seeds", where)
    lesions = (like or runs)[0].lesions
    if not all(np.array_equal(run.lesions, lesions) for run in runs):
        raise _bad("runs were tested on different images", "test all on the same", where)
    if len(patients) != len(lesions):
        problem = f"{len(patients)} patients for {len(lesions)} images"
        raise _bad(problem, "say of each image whose it is")
    names, owners = np.unique(patients, return_inverse=True)
    if len(names) < 2:
        raise _bad("all images are of one patient", "test on two patients or more")
    return owners


def _bad(problem: str, remedy: str, where: str = "test images") -> PathoganError:
    return PathoganError(problem, where=where, remedy=remedy)
