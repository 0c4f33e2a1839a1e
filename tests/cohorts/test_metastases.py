"""Simulated T1c with brain metastases: what is planned, what grows, what the image shows."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from pathogan_core.cohorts.brain_patient import SCANNERS, in_volume
from pathogan_core.cohorts.brain_shape import SHAPE
from pathogan_core.cohorts.brain_template import load_template
from pathogan_core.cohorts.brain_vessels import sulcal_vessels
from pathogan_core.cohorts.metastases import (
    DIAMETERS_MM,
    GAP_MM,
    MOST,
    SINGLE_SHARE,
    SITES,
    Metastasis,
    average_sites,
    displacement,
    draw_character,
    draw_metastasis,
    draw_radii,
    place,
)
from pathogan_core.cohorts.metastases_growth import (
    grow_metastases,
    grow_metastasis,
    largest_part,
    part_of,
    window_about,
)
from pathogan_core.cohorts.metastases_patient import (
    DrawnSubject,
    SimulatedMetastases,
    draw_subject,
    render,
    simulate_metastases,
    stream,
)
from pathogan_core.errors import PathoganError

SEED = 1
SEVERAL, FEW = 11, 8
"""Subjects with eight lesions, some of them rings with oedema, and with one."""


@pytest.fixture(scope="module")
def drawn() -> dict[int, DrawnSubject]:
    return {index: draw_subject(index, SEED, "metastases") for index in (SEVERAL, FEW)}


@pytest.fixture(scope="module")
def simulated(drawn) -> dict[int, SimulatedMetastases]:
    """The same subjects, simulated whole, from the bodies drawn above."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "pathogan_core.cohorts.metastases_patient.draw_subject",
            lambda index, seed, group: drawn[index],
        )
        return {index: simulate_metastases(index, SEED, "metastases") for index in drawn}


@pytest.fixture(scope="module")
def normal() -> SimulatedMetastases:
    return simulate_metastases(SEVERAL, SEED, "normal")


def lesion(tissues: dict[str, np.ndarray]) -> np.ndarray:
    return tissues["necrosis"] | tissues["non_enhancing"] | tissues["enhancing"]


# ------------------------------------------------------------------ plans


@pytest.fixture(scope="module")
def plans() -> list[list[Metastasis]]:
    sites = average_sites(load_template())
    result = []
    for case in range(300):
        rng = np.random.default_rng([case, 5])
        character = draw_character(rng)
        result.append(place(rng, character, draw_radii(rng, character), sites, []))
    return result


def test_counts_are_skewed(plans):
    counts = np.array([len(plan) for plan in plans])
    assert counts.min() == 1
    assert abs((counts == 1).mean() - SINGLE_SHARE) < 0.09
    assert 12 <= counts.max() <= MOST
    several = counts[counts > 1]
    assert (several <= 8).mean() > 0.6
    assert np.median(counts) < counts.mean()


def test_diameters_are_within_their_limits_and_log_normal_in_between(plans):
    diameters = np.array([2 * m.radius for plan in plans for m in plan])
    assert DIAMETERS_MM[0] <= diameters.min() <= diameters.max() <= DIAMETERS_MM[1]
    assert diameters.max() > 30
    assert 8 < np.median(diameters) < 10
    logs = np.log(diameters)
    assert 0.45 < logs.std() < 0.7
    assert abs(((logs - logs.mean()) ** 3).mean()) / logs.std() ** 3 < 0.4


def test_metastases_keep_clear_of_each_other(plans):
    for plan in plans:
        for i, one in enumerate(plan):
            for other in plan[:i]:
                apart = np.linalg.norm(one.centre - other.centre)
                assert apart >= one.radius + other.radius + GAP_MM


def test_sites_have_their_shares(plans):
    sites = [m.site for plan in plans for m in plan]
    for site, share in SITES.items():
        assert sites.count(site) / len(sites) == pytest.approx(share, abs=0.04)


def test_the_metastases_of_one_patient_share_a_character(plans):
    """Uptake varies less within patients than between them; rings come together."""
    several = [plan for plan in plans if len(plan) >= 4]
    within = np.mean([np.var([np.log(m.uptake) for m in plan]) for plan in several])
    between = np.var([np.mean([np.log(m.uptake) for m in plan]) for plan in several])
    assert 0.003 < within < between
    shares = []
    for plan in several:
        large = [m.rim is not None for m in plan if m.radius > 5]
        shares += [np.mean(large)] if len(large) >= 3 else []
    assert np.mean((np.array(shares) < 0.4) | (np.array(shares) > 0.6)) > 0.75


def test_where_there_is_no_room_a_metastasis_is_left_out():
    rng = np.random.default_rng(0)
    one_place = {site: np.array([[80.0, 120.0, 100.0]]) for site in SITES}
    placed = place(rng, draw_character(rng), np.array([9.0, 4.0, 2.0]), one_place, [])
    assert [m.radius for m in placed] == [9.0]


def test_large_metastases_push_tissue_apart_and_never_the_skull(plans):
    plan = max(plans, key=lambda p: sum(m.shift > 0 for m in p))
    push = displacement(plan)
    assert push is not None
    mass = max(plan, key=lambda m: m.shift)
    steps = np.linspace(0, 50, 51, dtype=np.float32)
    ray = np.repeat(mass.centre.astype(np.float32)[:, None], 51, axis=1)
    ray[2] += steps * np.sign(119.5 - mass.centre[2])  # towards the other side of the head
    away = np.abs(displacement([mass])(ray.reshape(3, 51, 1, 1))[2, :, 0, 0])
    assert 0.8 * mass.shift < away.max() <= 1.01 * mass.shift
    assert (np.diff(steps - away) > 0).all()  # what lies further out stays further out
    skull = np.array([155.0, 119, 119], np.float32).reshape(3, 1, 1, 1)
    assert np.abs(push(skull)).max() == 0
    position = np.random.default_rng(0).uniform(40, 120, (3, 5, 1, 1)).astype(np.float32)
    parts = [displacement([m])(position) for m in plan]
    np.testing.assert_allclose(push(position), sum(parts), atol=1e-5)
    assert displacement([]) is None


# ------------------------------------------------------------------ growth


def test_every_planned_metastasis_grows_where_it_was_planned(drawn):
    for subject in drawn.values():
        assert len(subject.metastases) >= 1
        start = np.array([s.start for s in subject.anatomy.box])
        for plan in subject.metastases:
            window = window_about(subject.anatomy, plan.centre, 1.5 * plan.radius + 4)
            mask = lesion({n: m[window] for n, m in subject.tumour.masks.items()})
            corner = start + [w.start for w in window]
            away = np.linalg.norm(np.argwhere(mask) + corner - plan.centre, axis=1)
            inner = away < 0.5 * plan.radius + 0.6
            assert inner.any()
            sphere = 4 / 3 * np.pi * plan.radius**3
            assert 0.3 * sphere < (away < 1.5 * plan.radius + 1).sum() < 2.2 * sphere + 8


def test_a_metastasis_is_one_piece(drawn):
    subject = drawn[SEVERAL]
    for plan in subject.metastases:
        window = window_about(subject.anatomy, plan.centre, 1.5 * plan.radius + 4)
        grown = grow_metastasis(plan, part_of(subject.anatomy, window))
        assert ndimage.label(lesion(grown.masks))[1] == 1
        np.testing.assert_array_equal(grown.core > 0.5, lesion(grown.masks))
    crumbs = np.zeros((5, 5, 5), bool)
    crumbs[0, 0, 0] = crumbs[3, 3, 3] = crumbs[3, 3, 4] = True
    assert np.argwhere(largest_part(crumbs)).tolist() == [[3, 3, 3], [3, 3, 4]]


def test_rings_have_a_dead_middle_and_a_living_rim(drawn):
    subject = drawn[SEVERAL]
    rng = np.random.default_rng(0)
    where = max(subject.metastases, key=lambda m: m.radius).centre
    character = draw_character(rng)
    plan = draw_metastasis(rng, character, "deep", where, 9.0)
    window = window_about(subject.anatomy, where, 18.0)
    part = part_of(subject.anatomy, window)
    ring = grow_metastasis(replace(plan, rim=2.5), part)
    solid = grow_metastasis(replace(plan, rim=None), part)
    assert ring.masks["necrosis"].sum() > 150
    assert solid.masks["necrosis"].sum() == 0
    np.testing.assert_array_equal(lesion(ring.masks), lesion(solid.masks))
    depth = ndimage.distance_transform_edt(lesion(ring.masks))
    necrosis, enhancing = (depth[ring.masks[name]] for name in ("necrosis", "enhancing"))
    assert np.median(necrosis) > np.median(enhancing) + 1.5
    assert np.percentile(enhancing, 90) < 5


def test_oedema_only_where_it_was_planned(drawn):
    subject = drawn[SEVERAL]
    assert any(m.oedema for m in subject.metastases)
    dry = [replace(m, oedema=False) for m in subject.metastases]
    tumour = grow_metastases(np.random.default_rng(0), 2.0, dry, subject.anatomy)
    assert not tumour.masks["oedema"].any()
    assert not tumour.swelling.any()
    np.testing.assert_array_equal(lesion(tumour.masks), lesion(subject.tumour.masks))
    oedema = subject.tumour.masks["oedema"]
    assert oedema.sum() > 500
    places = np.argwhere(oedema) + [s.start for s in subject.anatomy.box]
    swollen = [m.centre for m in subject.metastases if m.oedema]
    away = np.min([np.linalg.norm(places - centre, axis=1) for centre in swollen], axis=0)
    assert np.percentile(away, 95) < 35


def test_a_part_of_the_anatomy_is_the_anatomy_there(drawn):
    anatomy = drawn[FEW].anatomy
    centre = np.array([75.0, 119.0, 110.0])
    part = part_of(anatomy, window_about(anatomy, centre, 6))
    assert part.white.shape == (13, 13, 13)
    np.testing.assert_array_equal(
        part.white, in_volume(anatomy.white, anatomy)[69:82, 113:126, 104:117]
    )
    assert part.box == (slice(69, 82), slice(113, 126), slice(104, 117))
    corner = window_about(anatomy, np.array([s.start for s in anatomy.box]), 3)
    assert [s.start for s in corner] == [0, 0, 0]


# ------------------------------------------------------------------ subjects


def test_volumes_and_tissues_are_as_promised(simulated, normal):
    for subject in (*simulated.values(), normal):
        assert subject.volume.dtype == np.int16
        assert subject.volume.shape == SHAPE
        brain = subject.volume > 0
        assert 1.0e6 < brain.sum() < 2.0e6
        assert set(subject.tissues) == {"necrosis", "oedema", "non_enhancing", "enhancing"}
        assert {mask.dtype for mask in subject.tissues.values()} == {np.dtype(bool)}
        assert sum(mask.astype(int) for mask in subject.tissues.values()).max() <= 1
        assert not any((mask & ~brain).any() for mask in subject.tissues.values())
    assert not any(mask.any() for mask in normal.tissues.values())
    assert normal.patient == f"normal_{SEVERAL + 1:03d}"
    assert simulated[FEW].patient == f"metastases_{FEW + 1:03d}"


def test_lesions_enhance_and_the_same_places_of_a_normal_brain_do_not(drawn, simulated, normal):
    """Median over the enhancing voxels, as a share above the same image's white matter."""

    def contrast(volume: np.ndarray, where: np.ndarray, white: float) -> float:
        inside = volume[where & (volume > 0)]
        return float(np.median(inside)) / white - 1

    bright = np.percentile(normal.volume[normal.volume > 0], 60)
    for index, subject in simulated.items():
        body = drawn[index]
        clear = body.tumour.core + body.tumour.swelling + body.anatomy.vein + body.anatomy.dura
        pure = (body.anatomy.white > 0.95) & (clear < 0.02) & (body.anatomy.depth > 3)
        white = float(np.median(subject.volume[in_volume(pure, body.anatomy)]))
        enhancing = subject.tissues["enhancing"]
        assert contrast(subject.volume, enhancing, white) > 0.15, index
        assert contrast(normal.volume, enhancing, bright) < 0.05


def test_necrosis_is_dark_and_without_the_agent_nothing_shines(drawn):
    subject = drawn[SEVERAL]
    necrosis, enhancing = (subject.tumour.masks[n] for n in ("necrosis", "enhancing"))
    dead = necrosis & (subject.tumour.dead > 0.9)
    with_agent = render(stream(SEVERAL, SEED, "metastases", 4), subject)
    without = render(stream(SEVERAL, SEED, "metastases", 4), replace(subject, contrast=0.0))
    assert np.median(with_agent[dead]) < 0.7 * np.median(with_agent[enhancing])
    assert np.median(without[enhancing]) < 0.8 * np.median(with_agent[enhancing])
    assert np.median(with_agent[dead]) == pytest.approx(np.median(without[dead]), rel=0.05)


def test_normal_brains_have_vessels_as_bright_as_lesions(drawn, simulated, normal):
    """Confounders: bright spots of a few pixels, in every normal slice of the middle."""
    white = np.percentile(normal.volume[normal.volume > 0], 60)
    for z in range(55, 110, 5):
        spots, count = ndimage.label(normal.volume[z] > 1.3 * white)
        sizes = np.bincount(spots.ravel(), minlength=2)[1:]
        assert ((sizes >= 3) & (sizes <= 60)).sum() >= 5, (z, count)


def test_added_vessels_lie_in_or_beside_sulci_and_are_thin(drawn):
    anatomy = drawn[FEW].anatomy
    vessel = sulcal_vessels(np.random.default_rng(3), anatomy) > 0.5
    assert 1000 < vessel.sum() < 0.02 * anatomy.brain.sum()
    near = ndimage.gaussian_filter(anatomy.csf, 1.0)
    assert near[vessel].min() > 0.15
    assert (anatomy.depth[vessel] > 1).all()
    inner = np.array([ndimage.distance_transform_edt(section).max() for section in vessel])
    assert inner.max() < 5


def test_the_same_request_gives_the_same_voxels(simulated):
    again = simulate_metastases(FEW, SEED, "metastases")
    np.testing.assert_array_equal(again.volume, simulated[FEW].volume)
    for name, mask in again.tissues.items():
        np.testing.assert_array_equal(mask, simulated[FEW].tissues[name])
    assert again.description == simulated[FEW].description


def test_groups_indices_and_seeds_are_other_people(drawn, simulated, normal):
    assert not np.array_equal(simulated[SEVERAL].volume > 0, normal.volume > 0)
    first = {
        stream(index, seed, group, purpose).random()
        for index in (0, 1, 2)
        for seed in (0, 1, 2)
        for group in ("metastases", "normal")
        for purpose in (1, 3, 4, 5)
    }
    assert len(first) == 3 * 3 * 2 * 4
    keys = [(seed, index, k) for seed in (0, 1) for index in (0, 1) for k in range(5)]
    glioma = {np.random.default_rng(key).random() for key in keys}
    assert not first & glioma


def test_both_groups_are_scanned_on_all_scanners():
    for group in ("metastases", "normal"):
        drawn = {int(stream(i, SEED, group, 1).integers(SCANNERS)) for i in range(60)}
        assert drawn == set(range(SCANNERS))


def test_subjects_describe_themselves_in_json(simulated, normal):
    for subject in (*simulated.values(), normal):
        text = json.loads(json.dumps(subject.description, allow_nan=False))
        assert text["voxels"] == {n: int(m.sum()) for n, m in subject.tissues.items()}
    assert normal.description["metastases"] == []
    for each in simulated[SEVERAL].description["metastases"]:
        assert DIAMETERS_MM[0] <= each["diameter_mm"] <= DIAMETERS_MM[1]
        assert lesion(simulated[SEVERAL].tissues)[tuple(each["centre_zyx"])]


@pytest.mark.parametrize(
    ("index", "seed", "group", "word"),
    [(0, 0, "glioma", "group"), (-1, 0, "normal", "index"), (0, -1, "normal", "seed")],
)
def test_impossible_requests_are_one_line(index, seed, group, word):
    with pytest.raises(PathoganError, match=word) as caught:
        simulate_metastases(index, seed, group)
    assert "\n" not in str(caught.value)
