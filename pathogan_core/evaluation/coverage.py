"""Does a generator of pooled sequences (Concat) make all four of them, and in which shares?

A classifier, the sequence head of the feature network, sorts generated images; its answers on
held-out real images of known sequence say how far its histogram can be trusted. It must give every
image one of four answers, so an image that shows nothing lands somewhere too: read coverage only
beside precision.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.features import SEQUENCES
from pathogan_core.evaluation.metric import Metric, proportion, wilson_interval


@dataclass(frozen=True)
class Coverage:
    """Sequence histograms of generated and held-out real images, as the classifier sees them.

    Attributes:
        fake_counts: generated images by predicted sequence, `[4]` in the order of `SEQUENCES`.
        confusion: held-out real images `[4 true, 4 predicted]`.
    """

    fake_counts: NDArray[np.int64]
    confusion: NDArray[np.int64]

    @property
    def accuracy(self) -> Metric:
        """The classifier's accuracy on held-out real images."""
        return proportion(int(np.trace(self.confusion)), int(self.confusion.sum()))

    def fake_share(self, sequence: str) -> Metric:
        """Share of generated images taken for `sequence`."""
        counts = self.fake_counts
        return proportion(int(counts[SEQUENCES.index(sequence)]), int(counts.sum()))

    def real_share(self, sequence: str) -> Metric:
        """Share of held-out real images taken for `sequence`."""
        counts = self.confusion.sum(axis=0)
        return proportion(int(counts[SEQUENCES.index(sequence)]), int(counts.sum()))

    def is_covered(self, sequence: str) -> bool:
        """Whether generated images show `sequence` more often than mistakes would explain.

        The lower end of its share's interval must exceed the rate at which real images of the
        *other* sequences are mistaken for it (upper end of that rate's interval).
        """
        column = SEQUENCES.index(sequence)
        others = np.delete(self.confusion, column, axis=0)
        mistakes, asked = int(others[:, column].sum()), int(others.sum())
        highest_mistaken = wilson_interval(mistakes, asked)[1] if asked else 1.0
        interval = self.fake_share(sequence).interval
        return interval is not None and interval[0] > highest_mistaken


def measure_coverage(
    *,
    fake_predicted: NDArray[np.int64],
    real_predicted: NDArray[np.int64],
    real_sequences: NDArray[np.str_],
) -> Coverage:
    """Count predictions (`Features.sequences`) of generated and of held-out real images.

    Args:
        fake_predicted: `[N]` indices into `SEQUENCES`.
        real_predicted: `[M]` indices into `SEQUENCES`.
        real_sequences: `[M]` the true sequences' names.

    Raises:
        PathoganError: an unknown sequence, lengths that differ, or nothing to count.
    """
    names = np.asarray(real_sequences)
    if len(names) != len(real_predicted) or not len(names) or not len(fake_predicted):
        raise PathoganError(
            f"{len(names)} sequences for {len(real_predicted)} real images, "
            f"{len(fake_predicted)} generated images",
            where="sequences",
            remedy="give one sequence per real image and at least one image of each kind",
        )
    if unknown := sorted(set(names.tolist()) - set(SEQUENCES)):
        raise PathoganError(
            f"unknown sequence {unknown[0]!r}",
            where="sequences",
            remedy=f"use {', '.join(SEQUENCES)}",
        )
    confusion = np.zeros((len(SEQUENCES), len(SEQUENCES)), np.int64)
    truth = np.array([SEQUENCES.index(name) for name in names])
    np.add.at(confusion, (truth, real_predicted), 1)
    return Coverage(np.bincount(fake_predicted, minlength=len(SEQUENCES)), confusion)
