"""Are generated images copies of training images?

For each generated image the nearest training image is found. Near alone proves nothing: images of
held-out patients, which cannot be copies, have a nearest training image too, and *their* distances
are the yardstick. Nor does near alone suffice for another reason: a blurred image is close to
everything. A copy is close to one patient in particular, so its distance is also divided by that
to the nearest training image of any other patient.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.images import Images, area_resize, as_tensor, check_images
from pathogan_core.evaluation.metric import Metric, proportion

PIXEL_SIZE = 32
"""Images are reduced to this side before pixels are compared: a copy with other noise is a copy."""
YARDSTICK_PERCENTILE = 1.0
BATCH = 512


@dataclass(frozen=True)
class Nearest:
    """The nearest training image of each of N images.

    Attributes:
        indices: row of that image in the training set, `[N]`.
        distances: root mean squared difference, `[N]`.
        specificity: `[N]`, `distances` over the distance to the nearest training image of any
            other patient: near 0 for a copy, near 1 for an image that is like many patients.
    """

    indices: NDArray[np.int64]
    distances: NDArray[np.float64]
    specificity: NDArray[np.float64]


@dataclass(frozen=True)
class Memorisation:
    """Generated images against the yardstick of held-out patients, in one space.

    `distance_yardstick` and `specificity_yardstick` are the first percentiles of what held-out
    images have, so that about 1% of images that are no copies fall below each.
    """

    fake: Nearest
    held_out: Nearest
    distance_yardstick: float
    specificity_yardstick: float

    @property
    def is_close(self) -> NDArray[np.bool_]:
        """Generated images `[N]` nearer to the training set than 99% of held-out images."""
        return self.fake.distances < self.distance_yardstick

    @property
    def is_copy(self) -> NDArray[np.bool_]:
        """Those that are also near to one patient in particular: suspected copies, `[N]`."""
        return self.is_close & (self.fake.specificity < self.specificity_yardstick)

    @property
    def close_share(self) -> Metric:
        """Share of `is_close`; 0.01 is expected of a generator that has learnt without copying."""
        return _share(self.is_close)

    @property
    def copied_share(self) -> Metric:
        """Share of `is_copy`; at most about 0.01 without copying."""
        return _share(self.is_copy)

    def closest_first(self) -> NDArray[np.int64]:
        """Generated images by rising specificity `[N]`: what a figure of pairs shows first."""
        return np.argsort(self.fake.specificity, kind="stable")


def _share(flags: NDArray[np.bool_]) -> Metric:
    return proportion(int(flags.sum()), len(flags), "yardstick held fixed")


def pixel_vectors(images: Images) -> NDArray[np.float64]:
    """Images uint8 `[N, S, S]` as grey levels 0 to 1 at 32 px, flattened to `[N, 1024]`.

    Raises:
        PathoganError: not such images.
    """
    check_images(images, "compared")
    reduced = area_resize(as_tensor(images), min(PIXEL_SIZE, images.shape[1]))
    return (reduced.flatten(1).double().numpy() + 1) / 2


def measure_memorisation(
    *,
    fake: NDArray[np.float64],
    train: NDArray[np.float64],
    held_out: NDArray[np.float64],
    patients_train: NDArray[np.str_],
) -> Memorisation:
    """Compare vectors of one space, `pixel_vectors` or `Features.vectors` (`[*, D]`).

    Args:
        fake: generated images.
        train: all images the generator was trained on, not a sample of them.
        held_out: images of patients that it was not trained on.
        patients_train: whose image each row of `train` is; at least two patients.

    Raises:
        PathoganError: fewer than two training patients, or lengths that differ.
    """
    patients = np.asarray(patients_train)
    if len(patients) != len(train) or len(np.unique(patients)) < 2:
        raise PathoganError(
            f"{len(np.unique(patients))} patients named for {len(train)} training images "
            f"({len(patients)} names)",
            where="training patients",
            remedy="name one patient per image, at least two in all",
        )
    yardstick = nearest(held_out, train, patients)
    return Memorisation(
        fake=nearest(fake, train, patients),
        held_out=yardstick,
        distance_yardstick=float(np.percentile(yardstick.distances, YARDSTICK_PERCENTILE)),
        specificity_yardstick=float(np.percentile(yardstick.specificity, YARDSTICK_PERCENTILE)),
    )


def nearest(
    queries: NDArray[np.float64], train: NDArray[np.float64], patients: NDArray[np.str_]
) -> Nearest:
    """The nearest row of `train` for each row of `queries`, and how specific it is."""
    codes = np.unique(patients, return_inverse=True)[1]
    batches = [
        _nearest_batch(queries[start : start + BATCH], train, codes)
        for start in range(0, len(queries), BATCH)
    ]
    return Nearest(*(np.concatenate(column) for column in zip(*batches, strict=True)))


def _nearest_batch(
    queries: NDArray[np.float64], train: NDArray[np.float64], codes: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    squared = (queries**2).sum(1)[:, None] + (train**2).sum(1) - 2 * queries @ train.T
    indices = squared.argmin(axis=1)
    of_others = np.where(codes[indices][:, None] == codes, np.inf, squared).argmin(axis=1)
    distances = _root_mean_square(queries - train[indices])
    elsewhere = _root_mean_square(queries - train[of_others])
    # Two patients with the very same image: no longer specific to either.
    specificity = np.divide(distances, elsewhere, out=np.ones_like(distances), where=elsewhere > 0)
    return indices, distances, specificity


def _root_mean_square(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sqrt((differences**2).mean(axis=1))
