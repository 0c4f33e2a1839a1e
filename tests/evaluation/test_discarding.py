"""Discarding whole clusters of generated images, against blobs of known place and slow versions."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.discarding import (
    Discarding,
    DiscardingConfig,
    discard_odd,
    exemplars,
)

CENTRES = np.array([[0, 0, 0, 0], [6, 0, 0, 0], [0, 6, 0, 0], [0, 0, 6, 6]], float)
FAR = np.array([0, 30, 0, -30], float)
SIZES = (40, 50, 60, 70, 30)
"""Generated images by blob; the last one lies where no real image does."""
CONFIG = DiscardingConfig(components=4, clusters=5)


def blobs(centres: np.ndarray, sizes: tuple[int, ...], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Vectors around centres in random order, and whose centre each is around."""
    generator = np.random.default_rng(seed)
    which = generator.permutation(np.repeat(np.arange(len(centres)), sizes))
    return centres[which] + generator.normal(0, 0.5, (len(which), centres.shape[1])), which


@pytest.fixture(scope="module")
def sets() -> dict[str, np.ndarray]:
    real, _ = blobs(CENTRES, (60, 60, 60, 60), seed=1)
    fake, which = blobs(np.vstack([CENTRES, FAR]), SIZES, seed=2)
    patients = np.array([f"p{i % 11}" for i in range(len(real))])
    return {"real": real, "patients": patients, "fake": fake, "which": which}


def discard(
    sets: dict[str, np.ndarray], config: DiscardingConfig = CONFIG, **changed
) -> Discarding:
    given = {**sets, **changed}
    return discard_odd(
        fake=given["fake"], real=given["real"], patients=given["patients"], config=config
    )


def assert_same(first: Discarding, second: Discarding) -> None:
    np.testing.assert_array_equal(first.labels, second.labels)
    np.testing.assert_array_equal(first.scores, second.scores)
    np.testing.assert_array_equal(first.centre_distances, second.centre_distances)
    assert (first.threshold, first.odd) == (second.threshold, second.odd)


def assert_close(first: Discarding, second: Discarding) -> None:
    np.testing.assert_array_equal(first.labels, second.labels)
    np.testing.assert_allclose(first.scores, second.scores, rtol=1e-9)
    np.testing.assert_allclose(first.centre_distances, second.centre_distances, rtol=1e-9)
    assert first.threshold == pytest.approx(second.threshold, rel=1e-9)
    assert first.odd == second.odd


def test_the_blob_far_from_every_real_image_is_discarded(sets) -> None:
    result = discard(sets)
    assert result.odd == (4,)
    np.testing.assert_array_equal(result.kept, sets["which"] != 4)
    assert result.odd_fraction == pytest.approx(30 / 250)
    assert result.sizes[4] == 30
    assert sorted(result.sizes) == sorted(SIZES)
    assert (result.scores[:4] < result.threshold).all()


def test_images_like_the_real_ones_score_about_1_and_are_kept(sets) -> None:
    others, _ = blobs(CENTRES, (100, 100, 100, 100), seed=3)
    result = discard(sets, replace(CONFIG, clusters=4), fake=others)
    np.testing.assert_allclose(result.scores, 1, atol=0.25)
    assert result.odd == ()
    assert result.kept.all()
    assert result.odd_fraction == 0


def test_scores_of_points_on_a_line() -> None:
    # Real images at 0 to 9, each of another patient: next to another at distance 1, always.
    real = np.arange(10.0)[:, None]
    patients = np.array([f"p{i}" for i in range(10)])
    fake = np.array([[17.0], [3.5], [17.0], [3.5], [20.0]])
    result = discard_odd(
        fake=fake, real=real, patients=patients, config=DiscardingConfig(clusters=2)
    )
    assert result.labels.tolist() == [1, 0, 1, 0, 1]
    np.testing.assert_allclose(result.scores, [0.5, 8])  # the median of 8, 8 and 11
    assert result.threshold == pytest.approx(1)
    assert result.odd == (1,)
    # With three neighbours of one patient, the middle one's nearest other patient is 2 away.
    patients[[3, 4, 5]] = "p3"
    shared = discard_odd(
        fake=fake, real=real, patients=patients, config=DiscardingConfig(clusters=2, quantile=1)
    )
    assert shared.threshold == pytest.approx(2)


@pytest.mark.parametrize("components", [2, 3, 99])
def test_agrees_with_a_slow_version(components: int) -> None:
    generator = np.random.default_rng(components)
    mixing = generator.normal(size=(6, 6))
    real = generator.normal(size=(70, 6)) @ mixing + 5
    fake = 1.4 * generator.normal(size=(90, 6)) @ mixing + 6
    real, fake = (np.column_stack([side, side[:, :1] * 2]) for side in (real, fake))
    patients = generator.choice(["a", "b", "c", "d"], 70, p=[0.5, 0.3, 0.15, 0.05])
    config = DiscardingConfig(components=components, clusters=6, quantile=0.8, odd=(5,))
    result = discard_odd(fake=fake, real=real, patients=patients, config=config)

    mean, deviation = real.mean(0), real.std(0)
    _, values, axes = np.linalg.svd((real - mean) / deviation)
    axes = axes[: min(components, int((values > 1e-9).sum()))]
    points, references = (((side - mean) / deviation) @ axes.T for side in (fake, real))
    to_real = [min(math.dist(point, other) for other in references) for point in points]
    between = [
        min(math.dist(point, references[j]) for j in range(70) if patients[j] != patient)
        for point, patient in zip(references, patients, strict=True)
    ]
    unit = np.median(between)
    for cluster in range(6):
        members = [d for d, label in zip(to_real, result.labels, strict=True) if label == cluster]
        assert result.scores[cluster] == pytest.approx(np.median(members) / unit)
        assert result.sizes[cluster] == len(members)
    assert result.threshold == pytest.approx(np.quantile(between, 0.8) / unit)

    # Where k-means ends: every image belongs to the nearest mean.
    centres = [points[result.labels == cluster].mean(0) for cluster in range(6)]
    distances = np.array([[math.dist(point, centre) for centre in centres] for point in points])
    np.testing.assert_array_equal(distances.argmin(1), result.labels)
    np.testing.assert_allclose(distances.min(1), result.centre_distances)


def test_ids_follow_the_score_whatever_k_means_called_the_clusters(sets) -> None:
    results = [discard(sets, replace(CONFIG, seed=seed)) for seed in range(6)]
    for result in results:
        assert (np.diff(result.scores) > 0).all()
        assert_close(result, results[0])


def test_ids_survive_another_order_of_the_generated_images(sets) -> None:
    order = np.random.default_rng(4).permutation(len(sets["fake"]))
    result, other = discard(sets), discard(sets, fake=sets["fake"][order])
    np.testing.assert_array_equal(other.labels, result.labels[order])
    np.testing.assert_allclose(other.scores, result.scores)


def test_the_same_input_gives_the_same_result(sets) -> None:
    given = {name: values.copy() for name, values in sets.items()}
    assert_same(discard(sets), discard(sets))
    for name, values in sets.items():
        np.testing.assert_array_equal(values, given[name])  # and is left as it was


def test_where_there_are_no_clear_clusters_the_seed_decides() -> None:
    cloud = {
        name: np.random.default_rng(seed).random((300, 4))
        for name, seed in (("fake", 7), ("real", 8))
    }
    cloud["patients"] = np.array([f"p{i % 20}" for i in range(300)])
    result = discard(cloud, replace(CONFIG, clusters=12))
    assert_same(discard(cloud, replace(CONFIG, clusters=12)), result)
    assert (discard(cloud, replace(CONFIG, clusters=12, seed=1)).labels != result.labels).any()


def test_the_order_of_real_images_does_not_matter(sets) -> None:
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(sets["real"]))
        shuffled = discard(sets, real=sets["real"][order], patients=sets["patients"][order])
        assert_same(shuffled, discard(sets))


@pytest.mark.parametrize("factor", [1e-9, 3.7, 1e6])
def test_the_scale_of_features_does_not_matter(sets, factor: float) -> None:
    scaled = discard(sets, fake=sets["fake"] * factor, real=sets["real"] * factor)
    assert_close(scaled, discard(sets))


def test_each_feature_may_have_a_scale_and_an_origin_of_its_own(sets) -> None:
    scale, origin = np.array([0.01, 300, 5, -2]), np.array([7, -40, 0, 1])
    changed = {name: sets[name] * scale + origin for name in ("fake", "real")}
    assert_close(discard(sets, **changed), discard(sets))


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e8])
def test_a_feature_constant_among_real_images_is_left_out(sets, constant: float) -> None:
    real = np.column_stack([sets["real"], np.full(len(sets["real"]), constant)])
    varying = np.random.default_rng(5).normal(0, 100, len(sets["fake"]))
    fake = np.column_stack([sets["fake"], varying])
    assert_close(discard(sets, fake=fake, real=real), discard(sets))


def test_directions_in_which_real_images_do_not_vary_have_no_say(sets) -> None:
    generator = np.random.default_rng(6)
    plane = np.linalg.qr(generator.normal(size=(8, 4)))[0].T
    real, fake = sets["real"] @ plane, sets["fake"] @ plane
    result = discard(sets, replace(CONFIG, components=8), fake=fake, real=real)
    normal = np.linalg.svd((real - real.mean(0)) / real.std(0))[2][-1] * real.std(0)
    beside = fake + generator.normal(0, 50, len(fake))[:, None] * normal
    assert_close(discard(sets, replace(CONFIG, components=8), fake=beside, real=real), result)


def test_a_person_overrules_what_was_found(sets) -> None:
    found = discard(sets)
    for odd, chosen in (((2, 0, 2), (0, 2)), ((1,), (1,)), ((-1,), ())):
        result = discard(sets, replace(CONFIG, odd=odd))
        assert result.odd == chosen
        np.testing.assert_array_equal(result.kept, ~np.isin(found.labels, chosen))
        assert result.odd_fraction == pytest.approx(sum(found.sizes[list(chosen)]) / 250)
        assert_same(replace(result, odd=found.odd), found)  # nothing else has changed


def test_a_lower_quantile_discards_more(sets) -> None:
    thresholds = [discard(sets, replace(CONFIG, quantile=q)).threshold for q in (0.7, 0.9, 1)]
    assert 1 < thresholds[0] < thresholds[1] < thresholds[2]
    assert discard(sets, replace(CONFIG, quantile=0.5)).threshold == pytest.approx(1)
    assert set(discard(sets, replace(CONFIG, quantile=0.5)).odd) > {4}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"odd": (5, 1, 9)}, r"no cluster has the id 5, 9; name ids from 0 to 4, or -1 alone"),
        ({"odd": (-1, 2)}, r"no cluster has the id -1; name ids from 0 to 4"),
        ({"quantile": 0.0}, r"quantile: is 0.0; give"),
        ({"quantile": 1.1}, r"quantile: is 1.1; give"),
        ({"quantile": float("nan")}, r"quantile: is nan; give"),
        ({"clusters": 0}, r"clusters: is 0; give"),
        ({"components": 0}, r"components: is 0; give"),
    ],
)
def test_an_impossible_configuration_is_refused(values, message: str) -> None:
    with pytest.raises(PathoganError, match=message):
        replace(CONFIG, **values)


def with_bad_row(vectors: np.ndarray, value: float) -> np.ndarray:
    bad = vectors.copy()
    bad[7, 2] = value
    return bad


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: {"fake": s["fake"][:4]}, r"generated images: at most 4 different .* 5 clusters"),
        (lambda s: {"fake": s["fake"][:0]}, r"generated images: at most 0 different"),
        (lambda s: {"fake": s["fake"][[0, 1, 2] * 5]}, r"generated images: at most 3 different"),
        (lambda s: {"fake": with_bad_row(s["fake"], np.nan)}, r"generated images: .* row 7"),
        (lambda s: {"real": with_bad_row(s["real"], -np.inf)}, r"real images: .* row 7"),
        (lambda s: {"fake": s["fake"][0]}, r"generated images: features have shape \[4\]"),
        (lambda s: {"fake": s["fake"][:, :3]}, r"features: 3 of generated images, 4 of real"),
        (lambda s: {"fake": s["fake"][:, :0], "real": s["real"][:, :0]}, r"shape \[250, 0\]"),
        (lambda s: {"patients": s["patients"][1:]}, r"patients: 239 names, .* 240 real images"),
        (lambda s: {"patients": np.full(240, "p")}, r"patients: .* of 1 patients"),
        (lambda s: {"real": s["real"][:0], "patients": s["patients"][:0]}, r"patients: 0 names"),
        (lambda s: {"real": np.ones((240, 4))}, r"real images: all have the same features"),
        (lambda s: {"real": s["real"][np.arange(240) // 120 * 17]}, r"real images: most have"),
        (lambda s: {"fake": s["fake"] + 1e4}, r"clusters: all 5 are odd.* odd=\(-1,\)"),
    ],
)
def test_bad_input_is_refused_in_one_line(sets, change, message: str, recwarn) -> None:
    with pytest.raises(PathoganError, match=message) as caught:
        discard(sets, **change(sets))
    assert "\n" not in str(caught.value)
    assert not recwarn.list


def test_naming_every_cluster_is_refused_too(sets) -> None:
    with pytest.raises(PathoganError, match="no image is kept"):
        discard(sets, replace(CONFIG, odd=(0, 1, 2, 3, 4)))


def test_exemplars_go_from_the_centre_outwards() -> None:
    result = Discarding(
        labels=np.array([0, 1, 0, 0, 0, 0, 1]),
        scores=np.array([0.5, 2.0]),
        threshold=1.0,
        odd=(1,),
        centre_distances=np.array([4.0, 7, 0, 2, 1, 3, 6]),
    )
    for count, rows in (
        (1, [[2], [6]]),
        (2, [[2, 0], [6, 1]]),
        (3, [[2, 3, 0], [6, 1]]),
        (99, [[2, 4, 3, 5, 0], [6, 1]]),
    ):
        assert [chosen.tolist() for chosen in exemplars(result, count)] == rows
    with pytest.raises(PathoganError, match="count: is 0"):
        exemplars(result, 0)


def test_exemplars_are_of_their_cluster_and_no_image_is_shown_twice(sets) -> None:
    result = discard(sets)
    shown = exemplars(result, 12)
    assert len(shown) == 5
    for cluster, rows in enumerate(shown):
        assert len(set(rows.tolist())) == 12
        assert (result.labels[rows] == cluster).all()
        assert (np.diff(result.centre_distances[rows]) >= 0).all()
        within = result.centre_distances[result.labels == cluster]
        assert result.centre_distances[rows[[0, -1]]].tolist() == [within.min(), within.max()]
