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
AT_ONCE = 1_000_000  # points of a curve x patients: bounds memory to a few 10 MB

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
    Counting every patient's detections once, point by point, gives any point of any draw's curve;
    as false positives never fall along a curve, few of its points have to be looked at.
    """
    found = np.zeros((len(levels), len(draws)))
    if not len(run.scores):
        return found
    order, ends = ranked(run.scores)
    point = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=-1))
    hit, owner, patients = hits[order], detected_in[order], draws.shape[1]
    true = false = np.zeros((1, patients))
    most = max(1, AT_ONCE // patients)
    for first in range(0, len(ends), most):
        shape = (min(most, len(ends) - first), patients)
        part = slice(*np.searchsorted(point, [first, first + shape[0]]))
        at, whose, is_hit = point[part] - first, owner[part], hit[part]
        true = true[-1] + _running_counts(at[is_hit], whose[is_hit], shape)
        false = false[-1] + _running_counts(at[~is_hit], whose[~is_hit], shape)
        for number, level in enumerate(levels):
            within = _points_within(level, false, draws, images)
            some = within > 0
            found[number, some] = _drawn(draws[some], true[within[some] - 1])
    return found


def _running_counts(
    points: NDArray[np.intp], owners: NDArray[np.intp], shape: tuple[int, int]
) -> NDArray[np.intp]:
    """Detections of each patient up to each point ``[K, P]``, of those at `points` of `owners`."""
    cells = np.ravel_multi_index((points, owners), shape)
    return np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape).cumsum(axis=0)


def _points_within(
    level: float,
    false: NDArray[np.float64],
    draws: NDArray[np.float64],
    images: NDArray[np.float64],
) -> NDArray[np.intp]:
    """How many of a curve's points, in each draw, have no more false positives than the level.

    A bisection in all draws at once: the count is built from its highest binary digit down.

    Args:
        false: each patient's false positives up to each point ``[K, P]``.
    """
    within = np.zeros(len(draws), np.intp)
    for digit in reversed(range(len(false).bit_length())):
        ahead = within + 2**digit
        last = np.minimum(ahead, len(false)) - 1
        beyond = _drawn(draws, false[last]) / images > level
        within = np.where((ahead <= len(false)) & ~beyond, ahead, within)
    return within


def _drawn(draws: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums of counts ``[draws, P]`` over the patients of each draw."""
    return np.einsum("dp,dp->d", draws, counts)


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
