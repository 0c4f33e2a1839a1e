"""Maps repeat; overlap is what a plain search finds, and is blind to a patient's own images."""

from __future__ import annotations

import numpy as np
import pytest

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation import embedding
from pathogan_core.evaluation.embedding import (
    CATEGORIES,
    Origins,
    TSNEConfig,
    draw,
    embed,
    input_vectors,
    measure_overlap,
)
from pathogan_core.evaluation.memorisation import pixel_vectors


def origins_of(patients: int, each: int) -> Origins:
    """As many real images of each class and patient, and as many synthetic ones, by category."""
    n = patients * each
    of_patients = np.repeat([f"p{i}" for i in range(patients)], each)
    return Origins(
        is_fake=np.repeat([False, True], 2 * n),
        is_tumour=np.tile(np.repeat([True, False], n), 2),
        patients=np.concatenate([of_patients, of_patients, np.full(2 * n, "")]),
    )


def clouds(
    origins: Origins, seed: int, *, class_gap: float = 0.0, source_gap: float = 0.0, d: int = 6
) -> np.ndarray:
    """Normal vectors of which half the variance is a patient's; the gaps are along two axes."""
    generator = np.random.default_rng(seed)
    owners = origins.owners
    vectors = generator.standard_normal((owners.max() + 1, d))[owners]
    vectors += generator.standard_normal(vectors.shape)
    vectors[:, 0] += class_gap * origins.is_tumour
    vectors[:, 1] += source_gap * origins.is_fake
    return vectors / np.sqrt(2)


def by_plain_search(vectors: np.ndarray, origins: Origins, k: int) -> dict[str, float]:
    """Every number, image by image."""
    images = [
        (vectors[i], origins.is_fake[i], origins.is_tumour[i], origins.patients[i] or f"alone {i}")
        for i in range(len(vectors))
    ]

    def others(image: tuple, fake: bool | None = None, tumour: bool | None = None) -> list:
        found = [
            (float(np.linalg.norm(image[0] - other[0])), other)
            for other in images
            if other[3] != image[3] and fake in (None, other[1]) and tumour in (None, other[2])
        ]
        return sorted(found, key=lambda pair: pair[0])

    def of(fake: bool | None = None, tumour: bool | None = None) -> list:
        return [i for i in images if fake in (None, i[1]) and tumour in (None, i[2])]

    def width(fake: bool, tumour: bool) -> float:
        pairs = [d for i in of(fake, tumour) for d, _ in others(i, fake, tumour)]
        return float(np.sqrt(np.mean(np.square(pairs))))

    found = {}
    for name, fake in {"real": False, "fake": True}.items():
        same = [i[2] == o[2] for i in of(fake) for _, o in others(i, fake)[:k]]
        found[f"same_class_{name}"] = np.mean(same)
    for name, tumour in {"tumour": True, "non_tumour": False}.items():
        own = [others(i, None, tumour)[0][1][1] == i[1] for i in of(None, tumour)]
        found[f"separation_{name}"] = np.mean(own)
        reach = [np.median([others(i, False, tumour)[0][0] for i in of(f, tumour)]) for f in (1, 0)]
        found[f"remoteness_{name}"] = reach[0] / reach[1]
        found[f"width_fake_{name}"] = width(True, tumour) / width(False, tumour)
    found["separation"] = (found["separation_tumour"] + found["separation_non_tumour"]) / 2
    found["width_real"] = width(False, False) / width(False, True)
    return found


def test_every_number_is_that_of_a_plain_search() -> None:
    origins = origins_of(patients=5, each=3)
    vectors = clouds(origins, 0, class_gap=0.8, source_gap=0.6)
    metrics = measure_overlap(vectors, origins, neighbours=4, resamples=2)
    slow = by_plain_search(vectors, origins, k=4)
    assert {name for name in metrics if not name.endswith("_chance")} == set(slow)
    for name, value in slow.items():
        assert metrics[name].value == pytest.approx(value), name
        assert metrics[name].n == (60 if name == "separation" else 30)


@pytest.mark.parametrize(("is_tumour", "name"), [(True, "tumour"), (False, "non_tumour")])
def test_one_class_alone_has_the_numbers_that_it_has_beside_the_other(
    is_tumour: bool, name: str
) -> None:
    origins = origins_of(patients=5, each=3)
    vectors = clouds(origins, 0, class_gap=0.8, source_gap=0.6)
    rows = np.flatnonzero(origins.is_tumour == is_tumour)
    alone = measure_overlap(vectors[rows], origins.take(rows), resamples=20)
    both = measure_overlap(vectors, origins, neighbours=4, resamples=2)
    shared = [f"{kind}_{name}" for kind in ("separation", "remoteness", "width_fake")]
    chances = [f"separation_{name}_chance", "separation_chance"]
    assert alone.keys() == {*shared, "separation", *chances}
    for key in (*shared, *chances):
        assert alone[key].value == pytest.approx(both[key].value), key
        assert alone[key].n == 30
    assert alone["separation"] == alone[f"separation_{name}"]
    low, high = alone["separation"].interval
    assert low < high


def test_classes_and_sources_that_lie_apart_are_separate() -> None:
    origins = origins_of(patients=8, each=3)
    metrics = measure_overlap(
        clouds(origins, 0, class_gap=50, source_gap=50), origins, neighbours=5, resamples=20
    )
    for name in ("same_class_real", "same_class_fake", "separation"):
        assert metrics[name].value == 1
        assert metrics[name].interval == (1, 1)
    assert min(metrics[f"remoteness_{c}"].interval[0] for c in ("tumour", "non_tumour")) > 10


def test_what_is_alike_is_at_chance_and_its_interval_says_so() -> None:
    origins = origins_of(patients=12, each=3)
    held = {"separation": 0, "same_class_real": 0, "same_class_fake": 0}
    values = []
    for seed in range(30):
        metrics = measure_overlap(
            clouds(origins, seed), origins, neighbours=3, resamples=40, seed=seed
        )
        values.append(metrics["separation"].value)
        for name in held:
            low, high = metrics[name].interval
            held[name] += low <= metrics[f"{name}_chance"].value <= high
    assert np.mean(values) == pytest.approx(0.48, abs=0.02)  # chance; standard error 0.008
    assert min(held.values()) >= 25  # of 30; 28.5 expected


def test_chance_is_the_share_among_all_that_may_be_neighbours() -> None:
    patients, each = 4, 5
    n = patients * each
    origins = origins_of(patients, each)
    metrics = measure_overlap(clouds(origins, 0), origins, resamples=2)
    assert metrics["same_class_real_chance"].value == pytest.approx(0.5)
    assert metrics["same_class_fake_chance"].value == pytest.approx((n - 1) / (2 * n - 1))
    real, fake = (n - each) / (2 * n - each), (n - 1) / (2 * n - 1)
    for name in ("separation", "separation_tumour", "separation_non_tumour"):
        assert metrics[f"{name}_chance"].value == pytest.approx((real + fake) / 2)


def test_images_of_one_patient_are_not_each_others_neighbours() -> None:
    # Every patient's images nearly coincide: with them, the nearest would always be the patient's.
    origins = origins_of(patients=30, each=2)
    vectors = clouds(origins, 0)
    owners = origins.owners
    centres = np.random.default_rng(1).standard_normal((owners.max() + 1, 6))
    vectors = centres[owners] + 1e-3 * vectors
    metrics = measure_overlap(vectors, origins, neighbours=5, resamples=2)
    assert metrics["separation"].value < 0.6
    alone = Origins(
        origins.is_fake, origins.is_tumour, np.array([f"p{i}" for i in range(len(vectors))])
    )
    assert measure_overlap(vectors, alone, resamples=2)["separation"].value > 0.7


def test_copies_are_below_chance_unless_their_patients_are_known() -> None:
    origins = origins_of(patients=20, each=3)
    vectors = clouds(origins, 0)
    real, fake = np.flatnonzero(~origins.is_fake), np.flatnonzero(origins.is_fake)
    vectors[fake] = vectors[real] + 1e-3 * clouds(origins, 1)[fake]
    assert measure_overlap(vectors, origins, resamples=2)["separation"].value < 0.1
    patients = origins.patients.copy()
    patients[fake] = patients[real]
    transformed = Origins(origins.is_fake, origins.is_tumour, patients)
    metrics = measure_overlap(vectors, transformed, resamples=2)
    assert metrics["separation"].value == pytest.approx(0.5, abs=0.1)
    assert metrics["remoteness_tumour"].value == pytest.approx(1, abs=0.01)
    assert metrics["separation"].interval_method.endswith("over 20 patients, 2 resamples")


def test_widths_of_clouds_that_are_each_others_multiples() -> None:
    origins = origins_of(patients=25, each=1)
    base = np.random.default_rng(0).standard_normal((25, 4))
    vectors = np.concatenate([base, 3 * base, 2 * base, base])
    metrics = measure_overlap(vectors, origins, neighbours=3, resamples=2)
    assert metrics["width_real"].value == pytest.approx(3)
    assert metrics["width_fake_tumour"].value == pytest.approx(2)
    assert metrics["width_fake_non_tumour"].value == pytest.approx(1 / 3)


def test_neither_order_nor_unit_nor_direction_matters() -> None:
    origins = origins_of(patients=6, each=4)
    vectors = clouds(origins, 0, class_gap=1)
    vectors[5] = vectors[50] = vectors[20]  # equally near: order must not break the tie
    expected = measure_overlap(vectors, origins, neighbours=3, resamples=2)
    generator = np.random.default_rng(0)
    order = generator.permutation(len(vectors))
    turned = 7 * vectors @ np.linalg.qr(generator.standard_normal((6, 6)))[0] + 3
    for same, of in ((vectors[order], origins.take(order)), (turned, origins)):
        metrics = measure_overlap(same, of, neighbours=3, resamples=2)
        for name, metric in expected.items():
            assert metrics[name].value == pytest.approx(metric.value), name


def test_categories_are_measured_on_equal_counts() -> None:
    origins = origins_of(patients=10, each=4)
    fewer = np.flatnonzero((origins.categories != 2) | (np.arange(160) % 2 == 0))
    metrics = measure_overlap(
        clouds(origins, 0)[fewer], origins.take(fewer), per_category=30, neighbours=5, resamples=2
    )
    assert metrics["same_class_fake"].n == 40  # 20 of 40 synthetic tumour images are left
    again = measure_overlap(clouds(origins, 0), origins, per_category=30, resamples=2)
    assert again["separation"].n == 120


def test_two_patients_are_too_few_for_an_interval() -> None:
    origins = origins_of(patients=2, each=12)
    metrics = measure_overlap(clouds(origins, 0), origins, resamples=50)
    assert metrics["same_class_real"].interval is None
    low, high = metrics["same_class_fake"].interval
    assert low < high
    assert "2 patients (real images) and 48 synthetic" in metrics["same_class_fake"].interval_method


def test_overlap_repeats() -> None:
    origins = origins_of(patients=6, each=4)
    first, again, other = (
        measure_overlap(clouds(origins, 0), origins, per_category=12, resamples=20, seed=seed)
        for seed in (0, 0, 1)
    )
    assert first == again != other


def test_a_draw_is_spread_over_patients() -> None:
    patients = np.repeat(["many", "few", "some"], [50, 3, 10])
    n = len(patients)
    origins = Origins(np.zeros(n, bool), np.ones(n, bool), patients)
    rows = draw(origins, 15)
    names, counts = np.unique(patients[rows], return_counts=True)
    assert dict(zip(names, counts, strict=True)) == {"few": 3, "many": 6, "some": 6}
    assert (np.diff(rows) > 0).all()
    assert np.array_equal(rows, draw(origins, 15))
    assert not np.array_equal(rows, draw(origins, 15, seed=1))
    assert np.array_equal(draw(origins, n), np.arange(n))


def test_the_draw_of_real_images_does_not_depend_on_the_synthetic_ones() -> None:
    origins = origins_of(patients=5, each=6)
    fewer = np.flatnonzero(~origins.is_fake | (np.arange(120) % 3 == 0))
    all_of_them, some = draw(origins, 8), draw(origins.take(fewer), 8)
    real = 60
    assert np.array_equal(all_of_them[all_of_them < real], some[some < real])
    assert np.bincount(origins.categories[all_of_them]).tolist() == [8] * 4


def test_categories_are_named_in_order() -> None:
    named = [CATEGORIES[i] for i in origins_of(1, 1).categories]
    assert named == list(CATEGORIES)
    assert "real" in named[0]
    assert "non" not in named[2]


class Recorded(embedding.TSNE):
    """scikit-learn's, of which the last one and what it was given are kept."""

    last: Recorded
    given: np.ndarray

    def fit_transform(self, X, y=None):  # type: ignore[no-untyped-def]
        Recorded.last, Recorded.given = self, X
        return super().fit_transform(X, y)


def test_a_map_is_made_with_the_thesis_settings_and_not_stopped(monkeypatch) -> None:
    monkeypatch.setattr(embedding, "TSNE", Recorded)
    vectors = np.random.default_rng(0).standard_normal((102, 5))
    points = embed(vectors, TSNEConfig())
    assert points.shape == (102, 2)
    assert np.isfinite(points).all()
    assert (Recorded.last.perplexity, Recorded.last.n_iter_) == (100, 999)  # the last is the 1000th
    assert Recorded.last.learning_rate_ == 50
    assert np.array_equal(Recorded.given, vectors)


def test_each_choice_reaches_the_map(monkeypatch) -> None:
    monkeypatch.setattr(embedding, "TSNE", Recorded)
    vectors = np.random.default_rng(0).standard_normal((30, 5))
    config = TSNEConfig(7, 260, "random", 33.0, 4.0, components=2, seed=9)
    embed(vectors, config)
    used = Recorded.last
    assert (used.perplexity, used.n_iter_, used.init) == (7, 259, "random")
    assert (used.learning_rate_, used.early_exaggeration, used.random_state) == (33, 4, 9)
    centred = vectors - vectors.mean(axis=0)
    axes = np.linalg.eigh(centred.T @ centred)[1][:, :-3:-1]
    assert np.abs(Recorded.given) == pytest.approx(np.abs(centred @ axes))


def test_a_map_repeats_and_keeps_clusters_apart() -> None:
    generator = np.random.default_rng(0)
    cluster = np.arange(60) % 3
    vectors = 10 * np.eye(3)[cluster] + 0.1 * generator.standard_normal((60, 3))
    config = TSNEConfig(perplexity=10, iterations=500)
    points = embed(vectors, config)
    assert np.array_equal(points, embed(vectors, config))
    distances = np.linalg.norm(points[:, None] - points, axis=2)
    np.fill_diagonal(distances, np.inf)
    assert np.array_equal(cluster[distances.argmin(axis=1)], cluster)
    random = TSNEConfig(perplexity=10, iterations=500, initialisation="random")
    assert not np.array_equal(embed(vectors, random), points)


def test_a_map_is_of_features_or_pixels(make_images, untrained_network) -> None:
    images = make_images(4, seed=0)
    assert np.array_equal(input_vectors(images, "pixels"), pixel_vectors(images))
    features = input_vectors(images, "features", untrained_network)
    assert features.shape == (4, 64)
    assert not np.array_equal(features, input_vectors(images, "features"))
    with pytest.raises(PathoganError, match="'colours' is unknown; choose features or pixels"):
        input_vectors(images, "colours")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"perplexity": 0}, "perplexity: is 0"),
        ({"iterations": 249}, "iterations: is 249; give 250"),
        ({"initialisation": "spectral"}, "'spectral'; choose pca or random"),
        ({"learning_rate": 0.0}, r"learning_rate: is 0\.0"),
        ({"learning_rate": "fast"}, "learning_rate: is 'fast'"),
        ({"early_exaggeration": 0.5}, r"early_exaggeration: is 0\.5"),
        ({"components": -1}, "components: is -1"),
    ],
)
def test_impossible_choices_are_refused(choice: dict, said: str) -> None:
    with pytest.raises(PathoganError, match=said):
        TSNEConfig(**choice)


def test_maps_that_cannot_be_made_are_refused() -> None:
    vectors = np.random.default_rng(0).standard_normal((100, 3))
    with pytest.raises(PathoganError, match=r"perplexity: 100 needs more images .* there are 100"):
        embed(vectors, TSNEConfig())
    with pytest.raises(PathoganError, match="vectors: all are the same"):
        embed(np.ones((120, 3)), TSNEConfig())
    vectors[[7, 9], 1] = np.nan, np.inf
    with pytest.raises(PathoganError, match="2 are not finite, first of row 7"):
        embed(vectors, TSNEConfig(perplexity=5))
    with pytest.raises(PathoganError, match=r"shape \[100\]"):
        embed(vectors[:, 0], TSNEConfig(perplexity=5))


def test_images_of_unknown_origin_are_refused() -> None:
    yes, no = np.ones(2, bool), np.zeros(2, bool)
    with pytest.raises(PathoganError, match="origins: are not two booleans"):
        Origins(yes, yes[:1], np.array(["a", "b"]))
    with pytest.raises(PathoganError, match="origins: are not two booleans"):
        Origins(yes.astype(int), yes, np.array(["a", "b"]))
    with pytest.raises(PathoganError, match="real images: 1 are of no patient"):
        Origins(no, yes, np.array(["a", ""]))
    with pytest.raises(PathoganError, match="images per category: is 0"):
        draw(Origins(yes, yes, np.array(["", ""])), 0)


def test_overlap_that_cannot_be_measured_is_refused() -> None:
    origins = origins_of(patients=3, each=3)
    vectors = clouds(origins, 0)
    with pytest.raises(PathoganError, match="vectors: 35 for 36 images"):
        measure_overlap(vectors[:-1], origins)
    with pytest.raises(PathoganError, match="1 are not finite, first of row 3"):
        measure_overlap(np.where(np.arange(36)[:, None] == 3, np.nan, vectors), origins)
    with pytest.raises(PathoganError, match="neighbours: 13 asked for, an image has 12"):
        measure_overlap(vectors, origins, neighbours=13)
    with pytest.raises(PathoganError, match="neighbours: is 0"):
        measure_overlap(vectors, origins, neighbours=0)
    without = np.flatnonzero(origins.categories != 1)
    with pytest.raises(PathoganError, match="real, non-tumour: no images"):
        measure_overlap(vectors[without], origins.take(without))
    without = np.flatnonzero(origins.is_fake)
    with pytest.raises(PathoganError, match="real, tumour: no images"):
        measure_overlap(vectors[without], origins.take(without))
    of_one_class = np.flatnonzero(origins.categories == 3)
    with pytest.raises(PathoganError, match="real, non-tumour: no images"):
        measure_overlap(vectors[of_one_class], origins.take(of_one_class))
    with pytest.raises(PathoganError, match="real, tumour: all images are of one patient"):
        measure_overlap(clouds(origins_of(1, 6), 0), origins_of(1, 6), neighbours=2)
    twice = vectors.copy()
    twice[~origins.is_fake] = 0
    with pytest.raises(PathoganError, match="very vectors of another patient's"):
        measure_overlap(twice, origins, neighbours=3)
