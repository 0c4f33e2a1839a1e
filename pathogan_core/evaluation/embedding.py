"""A t-SNE map of real and synthetic images, and what is read from such a map as numbers.

Thesis section 4.2.6 maps 300 images of each of four categories, real and synthetic, with tumour and
without; section 4.3.5 reads the maps by eye: the real classes overlap largely, those of the GANs
much less than those of transformed images, one GAN's images are more similar to the real ones. A
map keeps neighbourhoods at best; how large its clusters are and how far apart means little. So
`measure_overlap` answers the same questions where distances mean what they say: among the vectors
that the map is made of.

Slices of one patient are alike, so an image's neighbours are sought among everybody else's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.features import FeatureNetwork, extract, load_feature_network
from pathogan_core.evaluation.images import Images
from pathogan_core.evaluation.memorisation import pixel_vectors
from pathogan_core.evaluation.metric import Metric, percentile_interval

Vectors = NDArray[np.float64]
Space = Literal["features", "pixels"]
Initialisation = Literal["pca", "random"]

REVISION = 1
"""Raised when a change of code changes the numbers."""
CATEGORIES = ("real, tumour", "real, non-tumour", "synthetic, tumour", "synthetic, non-tumour")
PER_CATEGORY = 300
"""Images of each category, as in thesis section 4.2.6."""
NEIGHBOURS = 10
"""k of the question about classes: ours, the thesis looks at a picture."""
RESAMPLES = 200
MOST_UNDEFINED = 0.05
"""No interval where more resamples than this hold too few patients for a number."""
EXAGGERATED_ITERATIONS = 250
"""How long early exaggeration lasts; fixed in scikit-learn."""


@dataclass(frozen=True)
class TSNEConfig:
    """Everything that decides a map, besides the vectors.

    Perplexity and iterations are the thesis' (section 4.2.6). It is silent about all else: those
    values are ours, and scikit-learn's defaults.

    Args:
        perplexity: effective number of neighbours of each image; less than there are images.
        iterations: of gradient descent, 250 or more; it is not stopped early.
        initialisation: `pca`, the first two principal components scaled to a deviation of 1e-4 in
            the first, or `random`, normal with that deviation.
        learning_rate: `auto` is N / `early_exaggeration` / 4 for N images, at least 50.
        early_exaggeration: factor of attraction during the first 250 iterations, 1 or more.
        components: principal components that the vectors are reduced to first, fewer where they
            span fewer; 0: they stay as they are.
        seed: of a random initialisation.

    Raises:
        PathoganError: an impossible value.
    """

    perplexity: float = 100.0
    iterations: int = 1000
    initialisation: Initialisation = "pca"
    learning_rate: float | Literal["auto"] = "auto"
    early_exaggeration: float = 12.0
    components: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        rate, choices = self.learning_rate, get_args(Initialisation)
        rate_is_fit = rate == "auto" if isinstance(rate, str) else rate > 0
        for name, is_fit, remedy in (
            ("perplexity", self.perplexity > 0, "give more than 0"),
            ("iterations", self.iterations >= EXAGGERATED_ITERATIONS, "give 250 or more"),
            ("initialisation", self.initialisation in choices, f"choose {' or '.join(choices)}"),
            ("learning_rate", rate_is_fit, "give more than 0, or 'auto'"),
            ("early_exaggeration", self.early_exaggeration >= 1, "give 1 or more"),
            ("components", self.components >= 0, "give 1 or more, or 0 for none"),
        ):
            if not is_fit:
                raise _bad(name, f"is {getattr(self, name)!r}", remedy)


@dataclass(frozen=True, eq=False)
class Origins:
    """Where each of N images comes from.

    Args:
        is_fake: bool ``[N]``, synthetic or real.
        is_tumour: bool ``[N]``, of the tumour class or not.
        patients: ``[N]``, whose image each is. Of a synthetic one: the patient whose image was
            transformed, or "" where it is nobody's, as a GAN's images are.

    Raises:
        PathoganError: unequal lengths, other types, a real image that is nobody's.
    """

    is_fake: NDArray[np.bool_]
    is_tumour: NDArray[np.bool_]
    patients: NDArray[np.str_]

    def __post_init__(self) -> None:
        flags = (self.is_fake, self.is_tumour)
        shapes = {array.shape for array in (*flags, self.patients)}
        if shapes != {(len(self.is_fake),)} or any(flag.dtype != bool for flag in flags):
            problem = "are not two booleans and a name for each image"
            raise _bad("origins", problem, "give three arrays of one length")
        if nobodys := int(np.sum(~self.is_fake & (self.patients == ""))):
            raise _bad("real images", f"{nobodys} are of no patient", "name one for each")

    def __len__(self) -> int:
        return len(self.is_fake)

    def take(self, rows: NDArray[np.int64]) -> Origins:
        """Of these rows only."""
        return Origins(self.is_fake[rows], self.is_tumour[rows], self.patients[rows])

    @property
    def categories(self) -> NDArray[np.int64]:
        """Index into `CATEGORIES` ``[N]``."""
        return 2 * self.is_fake.astype(np.int64) + ~self.is_tumour

    @property
    def owners(self) -> NDArray[np.int64]:
        """A number for each patient, and one for each image that is nobody's ``[N]``."""
        names, numbers = np.unique(self.patients, return_inverse=True)
        nobodys = self.patients == ""
        numbers[nobodys] = len(names) + np.arange(nobodys.sum())
        return numbers


def draw(origins: Origins, per_category: int = PER_CATEGORY, *, seed: int = 0) -> NDArray[np.int64]:
    """Rows ``[M]``, rising, of at most `per_category` images of each category.

    No category's draw depends on the others: beside another GAN's images the real ones stay.
    Differs: the thesis says "random"; here, as far as they have images, patients give equally many.

    Raises:
        PathoganError: less than one image per category.
    """
    if per_category < 1:
        raise _bad("images per category", f"is {per_category}", "draw at least one")
    owners, drawn = origins.owners, []
    for category in range(len(CATEGORIES)):
        generator = np.random.default_rng([seed, category])
        rows = generator.permutation(np.flatnonzero(origins.categories == category))
        drawn.append(rows[np.argsort(_turns(owners[rows]), kind="stable")][:per_category])
    return np.sort(np.concatenate(drawn))


def _turns(owners: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many earlier entries have the same owner, ``[N]``."""
    order = np.argsort(owners, kind="stable")
    turns = np.empty_like(order)
    turns[order] = np.arange(len(owners)) - np.searchsorted(owners[order], owners[order])
    return turns


def input_vectors(images: Images, space: Space, network: FeatureNetwork | None = None) -> Vectors:
    """What a map is made of, ``[N, D]``, from uint8 images ``[N, S, S]``; the thesis is silent.

    `features` are 64 of the committed feature network (or `network`), for images of 64 px or more;
    `pixels` are grey levels from 0 to 1 at 32 px.

    Raises:
        PathoganError: an unknown space, images that do not fit it.
    """
    if space == "pixels":
        return pixel_vectors(images)
    if space != "features":
        raise _bad("space", f"{space!r} is unknown", f"choose {' or '.join(get_args(Space))}")
    return extract(network or load_feature_network(), images).vectors


def embed(vectors: Vectors, config: TSNEConfig) -> Vectors:
    """The map ``[N, 2]`` of vectors ``[N, D]`` by exact t-SNE; its distances have no unit.

    The same on every call on one machine. Time grows with the square of N: 20 s for 1,200 images.

    Raises:
        PathoganError: vectors that are not finite or do not differ, perplexity not below N.
    """
    vectors = _checked(vectors)
    if config.perplexity >= len(vectors):
        problem = f"{config.perplexity:g} needs more images than that, there are {len(vectors)}"
        raise _bad("perplexity", problem, "draw more images or lower it")
    if not np.ptp(vectors, axis=0).any():
        raise _bad("vectors", "all are the same", "check the images and the network")
    if config.components:
        count = min(config.components, *vectors.shape)
        vectors = PCA(count, svd_solver="full").fit_transform(vectors)
    return TSNE(
        n_components=2,
        perplexity=config.perplexity,
        early_exaggeration=config.early_exaggeration,
        learning_rate=config.learning_rate,
        max_iter=config.iterations,
        n_iter_without_progress=config.iterations,
        min_grad_norm=0.0,
        metric="euclidean",
        init=config.initialisation,
        method="exact",
        random_state=config.seed,
    ).fit_transform(vectors)


def measure_overlap(
    vectors: Vectors,
    origins: Origins,
    *,
    neighbours: int = NEIGHBOURS,
    per_category: int = PER_CATEGORY,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Metric]:
    """How classes and sources overlap among vectors ``[N, D]``, with equally many per category.

    Images of one patient are not each other's neighbours. With classes `tumour`, `non_tumour`, of
    which one may be absent; then there is no `same_class` and no `width_real`:

    - `same_class_real`, `same_class_fake`: of an image's k nearest of its own source, the share of
      its own class. At its `_chance`, about 0.5, classes overlap entirely; at 1 not at all.
    - `separation_<class>`, and their mean `separation`: how often an image's nearest among real
      and synthetic ones of its class is of its own source (the nearest-neighbour two-sample
      statistic). At its `_chance`, about 0.5, they cannot be told apart; at 1 they lie apart.
      Well below, as with copies, synthetic images lie closer to single real ones than patients do.
    - `remoteness_<class>`: median distance from a synthetic image to the nearest real one of its
      class, over that from a real image to the nearest of another patient. At 1 it is no farther.
    - `width_fake_<class>`: root mean squared distance between synthetic images, over that between
      real ones of the class; `width_real`: between real ones, non-tumour over tumour.

    Intervals are from a bootstrap over patients for real and transformed images, and over single
    images where they are nobody's. Who is left out is also nobody's neighbour.

    Args:
        neighbours: k of `same_class`.
        per_category: at most so many images of each; as few as the smallest category of a class
            that is there has.
        resamples: of the bootstrap.
        seed: of the draw and of the bootstrap.

    Raises:
        PathoganError: shapes that do not fit, vectors that are not finite, a class with images of
            one source only, fewer than k neighbours, real images of a class that hardly differ.
    """
    vectors = _checked(vectors)
    if len(vectors) != len(origins):
        problem = f"{len(vectors)} for {len(origins)} images"
        raise _bad("vectors", problem, "give one for each")
    classes = [name for name, of_class in _by_class(origins).items() if of_class.any()]
    rows = draw(origins, min(per_category, _fewest(origins)), seed=seed)
    drawn, owners = origins.take(rows), origins.owners[rows]
    distances = cdist(vectors[rows], vectors[rows])
    distances[owners[:, None] == owners] = np.inf
    _check_neighbours(distances, drawn, classes, neighbours)

    values = _numbers(distances, drawn, classes, neighbours)
    if not np.isfinite([*values.values()]).all():
        problem = "half of a class or more have the very vectors of another patient's"
        raise _bad("real images", problem, "leave out what occurs twice")
    generator, numbers = np.random.default_rng(seed), []
    for _ in range(resamples):
        again = _resample(drawn, generator)
        among = distances[np.ix_(again, again)]
        numbers.append(_numbers(among, drawn.take(again), classes, neighbours))
    metrics, method = {}, _in_words(drawn, resamples)
    for name, value in values.items():
        n = len(rows) if name == "separation" else len(rows) // len(classes)
        spread = np.array([resampled[name] for resampled in numbers])
        metrics[name] = Metric(value, n, **_interval(spread, method))
    for name, value in _same_label_shares(distances, drawn, classes, None).items():
        metrics[f"{name}_chance"] = Metric(value, metrics[name].n)
    return metrics


def _by_class(origins: Origins) -> dict[str, NDArray[np.bool_]]:
    return {"tumour": origins.is_tumour, "non_tumour": ~origins.is_tumour}


def _fewest(origins: Origins) -> int:
    """Images of the smallest category among those of the classes that are there."""
    counts = np.bincount(origins.categories, minlength=len(CATEGORIES))
    is_there = counts.reshape(2, 2).any(axis=0)  # by class, of either source
    needed = np.flatnonzero(np.tile(is_there, 2))
    fewest = needed[counts[needed].argmin()]
    if not counts[fewest]:
        raise _bad(CATEGORIES[fewest], "no images", "give real and synthetic ones of each class")
    return int(counts[fewest])


def _numbers(
    distances: Vectors, origins: Origins, classes: Sequence[str], neighbours: int
) -> dict[str, float]:
    """All of `measure_overlap` by name; NaN where images are too few.

    Args:
        distances: ``[N, N]``, infinite between images of one owner.
        classes: those that are measured; a resample may have lost one.
    """
    found = _same_label_shares(distances, origins, classes, neighbours)
    widths = {}
    for name in classes:
        of_class = _by_class(origins)[name]
        real = np.flatnonzero(of_class & ~origins.is_fake)
        fake = np.flatnonzero(of_class & origins.is_fake)
        among_real = distances[np.ix_(real, real)]
        found[f"remoteness_{name}"] = _ratio(
            _median_nearest(distances[np.ix_(fake, real)]), _median_nearest(among_real)
        )
        widths[name] = _root_mean_square(among_real)
        found[f"width_fake_{name}"] = _ratio(
            _root_mean_square(distances[np.ix_(fake, fake)]), widths[name]
        )
    if len(classes) == 2:
        found["width_real"] = _ratio(widths["non_tumour"], widths["tumour"])
    return found


def _same_label_shares(
    distances: Vectors, origins: Origins, classes: Sequence[str], neighbours: int | None
) -> dict[str, float]:
    """`same_class_*` and `separation*`; with None as k by chance, as if all were neighbours."""
    fake = origins.is_fake
    found = {}
    if len(classes) == 2:
        for name, source in {"real": ~fake, "fake": fake}.items():
            within = distances[np.ix_(source, source)]
            found[f"same_class_{name}"] = _same_label(within, origins.is_tumour[source], neighbours)
    for name in classes:
        of_class = _by_class(origins)[name]
        within = distances[np.ix_(of_class, of_class)]
        found[f"separation_{name}"] = _same_label(within, fake[of_class], neighbours and 1)
    found["separation"] = sum(found[f"separation_{name}"] for name in classes) / len(classes)
    return found


def _same_label(distances: Vectors, labels: NDArray[np.bool_], k: int | None) -> float:
    """Mean share of the k nearest (None: of all) whose label is the image's own.

    What is equally far at the edge counts in part, so that no order of the images decides.
    """
    inside, same = np.isfinite(distances), labels[:, None] == labels
    others = inside.sum(axis=1)
    if others.min(initial=len(labels)) < (k or 1):
        return np.nan
    if k is None:
        return float(((inside & same).sum(axis=1) / others).mean())
    edge = np.partition(distances, k - 1, axis=1)[:, k - 1 : k]
    inside, at_edge = distances < edge, distances == edge
    room = (k - inside.sum(axis=1)) / at_edge.sum(axis=1)
    hits = (inside & same).sum(axis=1) + room * (at_edge & same).sum(axis=1)
    return float(hits.mean() / k)


def _median_nearest(distances: Vectors) -> float:
    return float(np.median(distances.min(axis=1))) if distances.size else np.nan


def _root_mean_square(distances: Vectors) -> float:
    between = distances[np.isfinite(distances)]
    return float(np.sqrt((between**2).mean())) if between.size else np.nan


def _ratio(value: float, unit: float) -> float:
    return value / unit if 0 < unit < np.inf else np.nan


def _resample(origins: Origins, generator: np.random.Generator) -> NDArray[np.int64]:
    """Rows of as many patients, and as many of nobody's images in each category, with repetition.

    Copies of an image have its owner, so none is its own copy's neighbour.
    """
    nobodys = origins.patients == ""
    owned = np.flatnonzero(~nobodys)
    owners = origins.owners[owned]
    of_patients = [owned[owners == owner] for owner in np.unique(owners)]
    chosen = [of_patients[i] for i in generator.integers(len(of_patients), size=len(of_patients))]
    for category in np.unique(origins.categories[nobodys]):
        rows = np.flatnonzero(nobodys & (origins.categories == category))
        chosen.append(generator.choice(rows, len(rows)))
    return np.concatenate(chosen)


def _interval(resampled: Vectors, method: str) -> dict[str, Any]:
    defined = resampled[np.isfinite(resampled)]
    if len(defined) < (1 - MOST_UNDEFINED) * len(resampled) or not len(defined):
        return {}
    return {"interval": percentile_interval(defined), "interval_method": method}


def _in_words(origins: Origins, resamples: int) -> str:
    nobodys = origins.patients == ""
    units = f"{len(np.unique(origins.patients[~nobodys]))} patients"
    if nobodys.any():
        units += f" (real images) and {nobodys.sum()} synthetic images"
    return f"percentile bootstrap over {units}, {resamples} resamples"


def _check_neighbours(
    distances: Vectors, origins: Origins, classes: Sequence[str], neighbours: int
) -> None:
    if neighbours < 1:
        raise _bad("neighbours", f"is {neighbours}", "give 1 or more")
    for category in np.unique(origins.categories):
        of_category = origins.categories == category
        if not np.isfinite(distances[np.ix_(of_category, of_category)]).any(axis=1).all():
            problem = "all images are of one patient"
            raise _bad(CATEGORIES[category], problem, "give those of two or more")
    if len(classes) < 2:
        return  # no question of classes, which alone counts neighbours
    for source in (origins.is_fake, ~origins.is_fake):
        others = np.isfinite(distances[np.ix_(source, source)]).sum(axis=1)
        if others.min() < neighbours:
            problem = f"{neighbours} asked for, an image has {others.min()} of other patients"
            raise _bad("neighbours", problem, "ask for fewer or give more images")


def _checked(vectors: Vectors) -> Vectors:
    vectors = np.asarray(vectors, np.float64)
    if vectors.ndim != 2 or not vectors.size:
        problem = f"have shape {list(vectors.shape)}, not [images, features]"
        raise _bad("vectors", problem, "give one vector per image")
    if len(bad := np.flatnonzero(~np.isfinite(vectors).all(axis=1))):
        problem = f"{len(bad)} are not finite, first of row {bad[0]}"
        raise _bad("vectors", problem, "check the images and the network")
    return vectors


def _bad(where: str, problem: str, remedy: str) -> PathoganError:
    return PathoganError(problem, where=where, remedy=remedy)
