"""Which generated images to look at: not the best ones, but the worst and the most suspicious."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pathogan_core.evaluation.features import FeatureNetwork, extract, load_feature_network
from pathogan_core.evaluation.images import Images
from pathogan_core.evaluation.memorisation import nearest, pixel_vectors


def least_like_training(
    fake: Images, train: Images, count: int, network: FeatureNetwork | None = None
) -> Images:
    """The `count` generated images farthest from every training image in feature space.

    Args:
        fake: uint8 `[N, S, S]`, N >= count.
        train: uint8 `[M, S, S]`.
        network: the feature network; the committed one by default.

    Returns:
        uint8 `[count, S, S]`, the farthest first.
    """
    network = network or load_feature_network()
    vectors, references = extract(network, fake).vectors, extract(network, train).vectors
    one_patient_each = np.arange(len(train))  # whose image is nearest does not matter here
    distances = nearest(vectors, references, one_patient_each.astype(str)).distances
    return fake[np.argsort(-distances, kind="stable")[:count]]


def closest_pairs(
    fake: Images, train: Images, patients_train: NDArray[np.str_], count: int
) -> Images:
    """The `count` generated images most like one training patient in particular, with its image.

    Pixels decide (at 32 px), by the specificity of `memorisation.Nearest`: a blurred image, close
    to everybody, does not come first.

    Returns:
        uint8 `[2, count, S, S]`: generated images, most suspicious first, and the training image
        nearest to each.
    """
    found = nearest(pixel_vectors(fake), pixel_vectors(train), patients_train)
    chosen = np.argsort(found.specificity, kind="stable")[:count]
    return np.stack([fake[chosen], train[found.indices[chosen]]])
