"""Which generated images to discard: whole clusters that lie too far from the real images.

Thesis section 4.3.1 finds about 25% of PGGAN's images unrealistic or without clear (non-)tumour
features, and a row of its Table 2 is "w/o clustering/discarding"; how images were clustered and
which were discarded it does not say. The procedure and its numbers are therefore this project's
choices. It takes one class (tumour, non-tumour) at a time, in any feature space.

The yardstick is how far a real image lies from the nearest one of *another* patient. It cannot see:
an image whose features are near the mean of all, which is close to everything; one that differs
only in what hardly varies among real images, which the principal components leave out; and a copy
of a training image, which is closest of all (`memorisation` looks for those).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import pairwise_distances_argmin

from pathogan_core.errors import PathoganError

Vectors = NDArray[np.float64]
KEEP_ALL = -1
"""As the only id of `DiscardingConfig.odd`: discard no cluster."""
RESTARTS = 10
"""k-means++ starts so often; the clustering with the least squared distances counts."""
ROUNDING = 1e-6
"""Differences that are smaller, relative to what is measured, are no differences."""


@dataclass(frozen=True)
class DiscardingConfig:
    """Everything that decides a result. All values are ours: thesis silent.

    Args:
        components: principal components of the real images, fewer where they span fewer.
        clusters: k of k-means; ids are 0 to k - 1.
        quantile: a cluster is odd if its median image lies farther from the real images than this
            share of the real images do from other patients'; above 0, at most 1.
        odd: ids to discard instead of those found so, after a look at the clusters' `exemplars`;
            empty: those found; ``(-1,)``: none. Ids hold for one set of images and features and one
            configuration: look again when any of them changes.
        seed: of k-means++.

    Raises:
        PathoganError: an id without a cluster, or an impossible number.
    """

    components: int = 16
    clusters: int = 16
    quantile: float = 0.95
    odd: tuple[int, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("components", "clusters"):
            if (value := getattr(self, name)) < 1:
                raise PathoganError(f"is {value}", where=name, remedy="give 1 or more")
        if not 0 < self.quantile <= 1:
            problem, remedy = f"is {self.quantile}", "give a share above 0, up to 1"
            raise PathoganError(problem, where="quantile", remedy=remedy)
        unknown = sorted(set(self.odd) - set(range(self.clusters)))
        if unknown and tuple(self.odd) != (KEEP_ALL,):
            raise PathoganError(
                f"no cluster has the id {', '.join(map(str, unknown))}",
                where="odd clusters",
                remedy=f"name ids from 0 to {self.clusters - 1}, or {KEEP_ALL} alone for none",
            )


@dataclass(frozen=True, eq=False)
class Discarding:
    """Clusters of N generated images, numbered by their score: 0 is nearest to the real images.

    Attributes:
        labels: cluster of each image `[N]`, 0 to k - 1.
        scores: by cluster `[k]`, rising: its members' median distance to the nearest real image, in
            units of a real image's median distance to the nearest one of another patient. At 1 it
            is as far as another patient.
        threshold: the score beyond which a cluster is found odd.
        odd: ids that are discarded, rising: found, or named in the configuration.
        centre_distances: of each image to the centre of its cluster `[N]`, in the space of
            principal components of standardised features.
    """

    labels: NDArray[np.int64]
    scores: Vectors
    threshold: float
    odd: tuple[int, ...]
    centre_distances: Vectors

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Images in each cluster `[k]`, none empty."""
        return np.bincount(self.labels, minlength=len(self.scores))

    @property
    def kept(self) -> NDArray[np.bool_]:
        """Which images remain `[N]`, at least one."""
        return ~np.isin(self.labels, self.odd)

    @property
    def odd_fraction(self) -> float:
        """Share of the images that is discarded, 0 to 1."""
        return float(np.mean(~self.kept))


def discard_odd(
    *, fake: Vectors, real: Vectors, patients: NDArray[np.str_], config: DiscardingConfig
) -> Discarding:
    """Cluster generated images and find the clusters to discard.

    The result depends neither on the order of the real images nor on the scale of a feature. What
    is constant among the real images says nothing about distance from them and is left out.

    Args:
        fake: features `[N, D]` of generated images of one class, N >= `config.clusters`.
        real: features `[M, D]` of the training images of that class.
        patients: `[M]`, whose image each is; at least two patients.

    Raises:
        PathoganError: shapes that do not fit, vectors that are not finite, too few images or
            patients, real images that do not differ, no image left.
    """
    fake, real = _checked(fake, "generated images"), _checked(real, "real images")
    patients = np.asarray(patients)
    _check_together(fake, real, patients)
    order = np.lexsort(real.T)  # in another order sums would round differently
    fake, real = _in_real_components(fake, real[order], config.components)
    labels = _cluster(fake, config)
    centres = np.stack([fake[labels == i].mean(axis=0) for i in range(config.clusters)])
    centre_distances = np.linalg.norm(fake - centres[labels], axis=1)

    between = _distances_between_patients(real, patients[order])
    unit = float(np.median(between))
    if unit < ROUNDING:  # where features have deviation 1
        problem = "most have the very features of another patient's"
        raise PathoganError(problem, where="real images", remedy="leave out what occurs twice")
    distances = _nearest(fake, real) / unit
    medians = np.array([np.median(distances[labels == i]) for i in range(config.clusters)])
    by_score = np.argsort(medians, kind="stable")
    labels, scores = np.argsort(by_score)[labels], medians[by_score]
    threshold = float(np.quantile(between, config.quantile)) / unit

    odd = set(config.odd or np.flatnonzero(scores > threshold).tolist()) - {KEEP_ALL}
    if len(odd) == len(scores):
        problem = f"all {len(scores)} are odd, so that no image is kept (scores {scores[0]:.2f} to "
        raise PathoganError(
            f"{problem}{scores[-1]:.2f}, threshold {threshold:.2f})",
            where="clusters",
            remedy=f"look at them with odd=({KEEP_ALL},), then train longer or name fewer",
        )
    return Discarding(labels, scores, threshold, tuple(sorted(odd)), centre_distances)


def exemplars(discarding: Discarding, count: int) -> tuple[NDArray[np.int64], ...]:
    """Rows of images that show each cluster as it is, from the most typical to the least.

    Returns:
        By cluster id: `count` rows (all where it is smaller) evenly spaced in the order of their
        distance to the cluster's centre, the nearest first and, of two or more, the farthest last.

    Raises:
        PathoganError: a count below 1.
    """
    if count < 1:
        raise PathoganError(f"is {count}", where="count", remedy="show at least one image")
    outwards = np.argsort(discarding.centre_distances, kind="stable")
    chosen = []
    for cluster, size in enumerate(discarding.sizes):
        members = outwards[discarding.labels[outwards] == cluster]
        spaced = np.linspace(0, size - 1, min(size, count)).round().astype(np.int64)
        chosen.append(members[spaced])
    return tuple(chosen)


def _in_real_components(fake: Vectors, real: Vectors, components: int) -> tuple[Vectors, Vectors]:
    """Both sets, standardised and in principal components as the real images have them."""
    varies = np.ptp(real, axis=0) > ROUNDING * np.abs(real).max(axis=0)
    if not varies.any():
        remedy = "check what the features were taken from"
        raise PathoganError("all have the same features", where="real images", remedy=remedy)
    fake, real = fake[:, varies], real[:, varies]
    mean, deviation = real.mean(axis=0), real.std(axis=0)
    fake, real = (fake - mean) / deviation, (real - mean) / deviation
    pca = PCA(min(components, *real.shape), svd_solver="full").fit(real)
    # Beyond what the real images span an axis would point anywhere.
    spans = pca.explained_variance_ > ROUNDING**2 * pca.explained_variance_[0]
    axes = pca.components_[spans].T
    return fake @ axes, real @ axes


def _nearest(queries: Vectors, references: Vectors) -> Vectors:
    """Euclidean distance of each query `[N]` to the nearest reference."""
    rows = pairwise_distances_argmin(queries, references)
    return np.linalg.norm(queries - references[rows], axis=1)


def _distances_between_patients(real: Vectors, patients: NDArray[np.str_]) -> Vectors:
    """Distance of each real image `[M]` to the nearest one of another patient."""
    distances = np.empty(len(real))
    for patient in np.unique(patients):
        own = patients == patient
        distances[own] = _nearest(real[own], real[~own])
    return distances


def _cluster(fake: Vectors, config: DiscardingConfig) -> NDArray[np.int64]:
    """k-means labels `[N]`, each of the k in use."""
    k_means = KMeans(config.clusters, init="k-means++", n_init=RESTARTS, random_state=config.seed)
    different = len(fake)
    if different >= config.clusters:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # said below, as an error
            labels = k_means.fit_predict(fake)
        different = len(np.unique(labels))
    if different < config.clusters:
        problem = f"at most {different} different ones for {config.clusters} clusters"
        remedy = "generate more, or ask for fewer clusters"
        raise PathoganError(problem, where="generated images", remedy=remedy)
    return labels


def _checked(vectors: Vectors, name: str) -> Vectors:
    vectors = np.asarray(vectors, np.float64)
    if vectors.ndim != 2 or not vectors.shape[1]:
        problem = f"features have shape {list(vectors.shape)}, not [images, features]"
        raise PathoganError(problem, where=name, remedy="give one vector per image")
    if len(bad := np.flatnonzero(~np.isfinite(vectors).all(axis=1))):
        problem = f"features of {len(bad)} are not finite, first of row {bad[0]}"
        raise PathoganError(problem, where=name, remedy="check the images and the network")
    return vectors


def _check_together(fake: Vectors, real: Vectors, patients: NDArray[np.str_]) -> None:
    if fake.shape[1] != real.shape[1]:
        problem = f"{fake.shape[1]} of generated images, {real.shape[1]} of real ones"
        raise PathoganError(problem, where="features", remedy="take both from one network")
    count = len(np.unique(patients))
    if patients.shape != (len(real),) or count < 2:
        problem = f"{patients.size} names, of {count} patients, for {len(real)} real images"
        remedy = "name one patient per image, at least two in all"
        raise PathoganError(problem, where="patients", remedy=remedy)
