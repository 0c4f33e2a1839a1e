"""Every distribution measure of one run in one call, each beside what real images would score.

Generated images are compared with those of held-out patients: a generator that only repeats its
training images must not look perfect. A distance between finite sets is never zero, even between
real ones, because patients differ; so each measure `x` comes with `x_floor`, the same measure
between real images of disjoint patients at the same n, with as many patients on the reference side
as were held out. (For precision and recall the floor is the value that real images reach, a
ceiling.) What reaches its floor cannot be told from more real patients by that measure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.coverage import measure_coverage
from pathogan_core.evaluation.feature_distances import (
    KID_RESAMPLES,
    frechet_distance,
    kernel_distance,
    kernel_distance_interval,
    precision_and_recall,
)
from pathogan_core.evaluation.features import (
    FEATURES,
    SEQUENCES,
    FeatureNetwork,
    Features,
    extract,
    load_feature_network,
)
from pathogan_core.evaluation.images import Images, check_images, check_same_size
from pathogan_core.evaluation.memorisation import measure_memorisation, pixel_vectors
from pathogan_core.evaluation.metric import Metric, proportion
from pathogan_core.evaluation.msssim import RESAMPLES, Diversity, diversity
from pathogan_core.evaluation.swd import sliced_wasserstein

REVISION = 1
"""Raised when a change of code changes the measures."""
FEWEST_IMAGES = 10
"""Below this neighbourhoods and pairs mean nothing and the call is refused."""
MOST_IMAGES = 1000
"""A side's images that enter a distance; more would cost minutes and say little new."""
FLOOR_SPLITS = 4


@dataclass(frozen=True)
class Sample:
    """Images `[N, S, S]` with their features and, for real ones, patients `[N]`."""

    images: Images
    features: Features
    patients: NDArray[np.str_] | None = None

    def __len__(self) -> int:
        return len(self.images)

    def draw(self, n: int, seed: int) -> Sample:
        """n of the images at random, in their order; all of them if that is how many there are."""
        return self.take(np.sort(np.random.default_rng(seed).permutation(len(self))[:n]))

    def take(self, rows: NDArray[np.int64]) -> Sample:
        """These rows only."""
        patients = None if self.patients is None else self.patients[rows]
        return Sample(self.images[rows], self.features[rows], patients)


@dataclass(frozen=True)
class Comparison:
    """One sample against another of the same size."""

    values: dict[str, float]
    diversities: tuple[Diversity, Diversity]


def measure(
    fake: Images,
    real_train: Images,
    real_held_out: Images,
    *,
    patients_train: NDArray[np.str_],
    patients_held_out: NDArray[np.str_],
    seed: int,
    sequences_held_out: NDArray[np.str_] | None = None,
    network: FeatureNetwork | None = None,
    most_images: int = MOST_IMAGES,
) -> dict[str, Metric]:
    """Measure generated images against real ones, all uint8 `[*, S, S]` with S >= 64.

    Args:
        fake: generated images.
        real_train: all images the generator was trained on.
        real_held_out: images of patients that neither it nor the feature network has seen.
        patients_train: whose image each training image is.
        patients_held_out: whose image each held-out image is.
        seed: of every random choice; the same call gives the same numbers.
        sequences_held_out: sequence of each held-out image, for coverage of a pooled set.
        network: the feature network; the committed one by default.
        most_images: upper bound on n of the distances.

    Returns:
        `kid`, `fid`, `precision`, `recall`, `swd_<level>`, `swd_mean`, `msssim_gap`, each with a
        `_floor`; `msssim_fake`, `msssim_real`; `near_*` and `copied_*` for pixels and features;
        and with `sequences_held_out` the `sequence_*` metrics. `catalogue.describe` explains each.

    Raises:
        PathoganError: unfit images, fewer than ten of a kind, a patient on both sides.
    """
    sides = {"generated": fake, "training": real_train, "held-out": real_held_out}
    for name, images in sides.items():
        check_images(images, name, at_least=FEWEST_IMAGES)
        check_same_size(fake, images, ("generated", name))
    patients_train, patients_held_out = np.asarray(patients_train), np.asarray(patients_held_out)
    _check_patients(patients_train, real_train, "training")
    _check_patients(patients_held_out, real_held_out, "held-out")
    _check_disjoint(patients_train, patients_held_out)

    network = network or load_feature_network()
    generated = Sample(fake, extract(network, fake))
    train = Sample(real_train, extract(network, real_train), patients_train)
    held_out = Sample(real_held_out, extract(network, real_held_out), patients_held_out)

    metrics = _distances_with_floors(generated, train, held_out, seed, most_images)
    metrics |= _memorisation_metrics(generated, train, held_out)
    if sequences_held_out is not None:
        metrics |= _coverage_metrics(generated, held_out, sequences_held_out)
    return metrics


def patient_splits(
    patients: NDArray[np.str_], reference_patients: int, *, splits: int, seed: int
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Rows of random disjoint patient groups: (all others, `reference_patients` of them).

    Raises:
        PathoganError: if no patient would be left for the other side.
    """
    names = np.unique(patients)
    if not 0 < reference_patients < len(names):
        raise PathoganError(
            f"{reference_patients} of {len(names)} patients cannot be set against the rest",
            where="patients",
            remedy="prepare more patients",
        )
    generator = np.random.default_rng(seed)
    chosen = [generator.permutation(names)[:reference_patients] for _ in range(splits)]
    in_reference = [np.isin(patients, group) for group in chosen]
    return [(np.flatnonzero(~inside), np.flatnonzero(inside)) for inside in in_reference]


def _distances_with_floors(
    generated: Sample, train: Sample, held_out: Sample, seed: int, most_images: int
) -> dict[str, Metric]:
    real = _pool(train, held_out)
    assert held_out.patients is not None
    assert real.patients is not None
    reference_patients = len(np.unique(held_out.patients))
    splits = patient_splits(real.patients, reference_patients, splits=FLOOR_SPLITS, seed=seed)
    # One n for the measure and its floor: SWD, FID, precision and recall all depend on it.
    n = min(
        len(generated), len(held_out), most_images, *(len(side) for pair in splits for side in pair)
    )
    fake, reference = generated.draw(n, seed), held_out.draw(n, seed)
    comparison = _compare(fake, reference, seed)
    floors = [
        _compare(real.take(others).draw(n, seed), real.take(inside).draw(n, seed), seed).values
        for others, inside in splits
    ]
    metrics = _with_intervals(comparison, fake, reference, n, seed)
    for name in comparison.values:
        values = [abs(floor[name]) if name == "msssim_gap" else floor[name] for floor in floors]
        metrics[f"{name}_floor"] = Metric(
            value=float(np.mean(values)),
            n=n,
            interval=(min(values), max(values)),
            interval_method=f"range over {len(values)} random patient-disjoint splits",
            unit=metrics[name].unit,
        )
    return metrics


def _compare(first: Sample, second: Sample, seed: int) -> Comparison:
    """Every distance of `first`, in the place of the generated images, from `second`."""
    vectors = {"fake": first.features.vectors, "real": second.features.vectors}
    precision, recall = precision_and_recall(**vectors)
    swd = sliced_wasserstein(first.images, second.images, seed=seed)
    diversities = (
        diversity(first.images, seed=seed, patients=first.patients),
        diversity(second.images, seed=seed, patients=second.patients),
    )
    values = {
        "kid": kernel_distance(**vectors, seed=seed),
        "fid": frechet_distance(**vectors),
        "precision": precision,
        "recall": recall,
        **{f"swd_{level}": value for level, value in swd.by_level.items()},
        "swd_mean": swd.mean,
        "msssim_gap": diversities[0].mean - diversities[1].mean,
    }
    return Comparison(values, diversities)


def _with_intervals(
    comparison: Comparison, fake: Sample, reference: Sample, n: int, seed: int
) -> dict[str, Metric]:
    """The comparison's values as metrics, with an interval where an honest one is cheap."""
    metrics = {}
    for name, value in comparison.values.items():
        metrics[name] = Metric(value, n, unit="thousandths" if name.startswith("swd_") else "1")
    if n <= FEATURES:  # the fitted covariance has no full rank
        metrics["fid"] = Metric(comparison.values["fid"], n, unit="1, mostly bias at this n")
    vectors = {"fake": fake.features.vectors, "real": reference.features.vectors}
    metrics["kid"] = Metric(
        value=comparison.values["kid"],
        n=n,
        interval=kernel_distance_interval(**vectors, seed=seed),
        interval_method=f"percentile bootstrap over images, {KID_RESAMPLES} resamples",
    )
    for name in ("precision", "recall"):
        inside = round(comparison.values[name] * n)
        metrics[name] = proportion(inside, n, "neighbourhoods held fixed")
    for name, side in zip(("msssim_fake", "msssim_real"), comparison.diversities, strict=True):
        metrics[name] = Metric(
            value=side.mean,
            n=len(side.pairs),
            interval=side.interval,
            interval_method=f"percentile bootstrap over pairs, {RESAMPLES} resamples",
            unit=f"mean over n pairs, {side.scales} scales",
        )
    metrics["msssim_gap"] = Metric(
        comparison.values["msssim_gap"], n, unit=f"{comparison.diversities[0].scales} scales"
    )
    return metrics


def _memorisation_metrics(generated: Sample, train: Sample, held_out: Sample) -> dict[str, Metric]:
    assert train.patients is not None
    spaces = {
        "pixels": [pixel_vectors(side.images) for side in (generated, train, held_out)],
        "features": [side.features.vectors for side in (generated, train, held_out)],
    }
    metrics = {}
    for space, (fake, learnt, unseen) in spaces.items():
        found = measure_memorisation(
            fake=fake, train=learnt, held_out=unseen, patients_train=train.patients
        )
        metrics[f"near_{space}"] = found.close_share
        metrics[f"copied_{space}"] = found.copied_share
    return metrics


def _coverage_metrics(
    generated: Sample, held_out: Sample, sequences: NDArray[np.str_]
) -> dict[str, Metric]:
    coverage = measure_coverage(
        fake_predicted=generated.features.sequences,
        real_predicted=held_out.features.sequences,
        real_sequences=sequences,
    )
    metrics = {"sequence_accuracy_real": coverage.accuracy}
    for sequence in SEQUENCES:
        metrics[f"sequence_{sequence}_fake"] = coverage.fake_share(sequence)
        metrics[f"sequence_{sequence}_real"] = coverage.real_share(sequence)
    covered = sum(coverage.is_covered(sequence) for sequence in SEQUENCES)
    n = int(coverage.fake_counts.sum())
    metrics["sequences_covered"] = Metric(covered, n, unit=f"of {len(SEQUENCES)} sequences")
    return metrics


def _pool(first: Sample, second: Sample) -> Sample:
    assert first.patients is not None
    assert second.patients is not None
    return Sample(
        np.concatenate([first.images, second.images]),
        Features(
            np.concatenate([first.features.vectors, second.features.vectors]),
            np.concatenate([first.features.sequences, second.features.sequences]),
        ),
        np.concatenate([first.patients, second.patients]),
    )


def _check_patients(patients: NDArray[np.str_], images: Images, name: str) -> None:
    if patients.shape != (len(images),):
        raise PathoganError(
            f"{patients.size} patients for {len(images)} {name} images",
            where="patients",
            remedy="name one patient per image",
        )


def _check_disjoint(train: NDArray[np.str_], held_out: NDArray[np.str_]) -> None:
    if shared := np.intersect1d(train, held_out).tolist():
        raise PathoganError(
            f"patient {shared[0]!r} is both trained on and held out ({len(shared)} such)",
            where="patients",
            remedy="split by patient",
        )
