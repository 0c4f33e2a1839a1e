"""The simulated brain MRI cohort: signals, anatomy, tumours, files."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from pathogan_core.cohorts import brain_formats, brain_simulation
from pathogan_core.cohorts.brain_anatomy import smooth_minimum
from pathogan_core.cohorts.brain_patient import (
    DrawnPatient,
    SimulatedPatient,
    draw_grade,
    draw_patient,
    ideal_image,
    in_volume,
    render,
    simulate_patient,
)
from pathogan_core.cohorts.brain_signal import (
    SEQUENCES,
    TISSUES,
    Tissue,
    inversion_recovery,
    nulling_time,
    spin_echo,
    spoiled_gradient_echo,
)
from pathogan_core.cohorts.brain_template import ORIGIN, RandomField, load_template, mirror
from pathogan_core.cohorts.brain_tumours import plan_glioma
from pathogan_core.errors import PathoganError

SEED = 1
TISSUE_NAMES = {"necrosis", "oedema", "non_enhancing", "enhancing"}

times = st.floats(50, 5000)
tissues = st.builds(Tissue, st.floats(200, 4500), st.floats(30, 2000), st.floats(0.3, 1))


@pytest.fixture(scope="module")
def drawn() -> tuple[DrawnPatient, DrawnPatient]:
    return draw_patient(0, SEED), draw_patient(1, SEED)


@pytest.fixture(scope="module")
def images(drawn) -> dict[str, np.ndarray]:
    """Patient 0's images on its box, made as `simulate_patient` makes them."""
    return render(np.random.default_rng([SEED, 0, 4]), drawn[0])


# ------------------------------------------------------------------ signal equations


@given(tissues, times, st.floats(5, 200))
def test_spin_echo_recovers_and_decays_by_halves(tissue: Tissue, repetition: float, echo: float):
    half_recovered = spin_echo(tissue, tissue.t1 * np.log(2), 0)
    assert half_recovered == pytest.approx(tissue.density / 2)
    assert spin_echo(tissue, 1e9, 0) == pytest.approx(tissue.density)
    later = spin_echo(tissue, repetition, echo + tissue.t2 * np.log(2))
    assert later == pytest.approx(spin_echo(tissue, repetition, echo) / 2)


@given(tissues, st.floats(5, 60), st.floats(5, 85))
def test_gradient_echo_is_the_fixed_point_of_repeated_pulses(tissue, repetition, flip):
    along = 1.0
    angle, e1 = np.deg2rad(flip), np.exp(-repetition / tissue.t1)
    for _ in range(20000):
        before = along
        along = 1 - (1 - along * np.cos(angle)) * e1
        if abs(along - before) < 1e-14:
            break
    expected = tissue.density * along * np.sin(angle)
    assert spoiled_gradient_echo(tissue, repetition, 0, flip) == pytest.approx(expected, rel=1e-6)


@given(tissues, st.floats(6000, 12000), st.floats(100, 3000))
def test_inversion_recovery_follows_the_magnetisation(tissue, repetition, inversion):
    along = 1 - np.exp(-(repetition - inversion) / tissue.t1)  # recovered since the last readout
    along = 1 - (1 + along) * np.exp(-inversion / tissue.t1)  # inverted, then recovering
    expected = tissue.density * abs(along)
    found = inversion_recovery(tissue, repetition, 0, inversion)
    assert found == pytest.approx(expected, abs=1e-9)


@given(tissues, st.floats(6000, 12000))
def test_nothing_is_left_at_the_nulling_time(tissue, repetition):
    inversion = nulling_time(tissue, repetition)
    assert inversion_recovery(tissue, repetition, 0, inversion) == pytest.approx(0, abs=1e-9)


@given(tissues, st.floats(0, 3), st.floats(0.1, 3))
def test_contrast_agent_adds_relaxation_rates(tissue, first, second):
    both = tissue.enhanced(first + second)
    assert both.t1 == pytest.approx(tissue.enhanced(first).enhanced(second).t1)
    assert both.t1 < tissue.enhanced(first).t1
    assert both.t2 == tissue.t2


# ------------------------------------------------------------------ building blocks


@given(st.floats(-20, 20), st.floats(-20, 20), st.floats(0.1, 2))
def test_smooth_minimum_is_below_both_and_exact_far_apart(a, b, width):
    found = float(smooth_minimum(np.float64(a), np.float64(b), width))
    assert found <= min(a, b) + 1e-9
    assert found >= min(a, b) - width
    assert found == pytest.approx(float(smooth_minimum(np.float64(b), np.float64(a), width)))
    if abs(a - b) > 2 * width:
        assert found == pytest.approx(min(a, b))


def test_random_field_is_standardised_smooth_and_repeatable():
    field = RandomField(np.random.default_rng(3), (60, 60, 60), 5.0)
    values = field.everywhere()
    assert values.shape == (60, 60, 60)
    assert 0.6 < values.std() < 1.4
    assert np.abs(np.diff(values, axis=0)).max() < 1.0
    again = RandomField(np.random.default_rng(3), (60, 60, 60), 5.0).everywhere()
    np.testing.assert_array_equal(values, again)
    points = np.array([[10, 20], [30, 5], [7, 41]], np.float32)
    np.testing.assert_allclose(field.at(points), values[[10, 20], [30, 5], [7, 41]], atol=1e-4)


def test_template_is_mirrored_about_its_midline():
    template = load_template()
    np.testing.assert_array_equal(template.grey, template.grey[:, :, ::-1])
    assert template.grey.shape[2] == 1 - 2 * int(ORIGIN[2])
    assert mirror(np.arange(3).reshape(1, 1, 3)).ravel().tolist() == [2, 1, 0, 1, 2]
    assert load_template() is template


# ------------------------------------------------------------------ one patient


def pure(drawn: DrawnPatient, tissue: np.ndarray) -> np.ndarray:
    """Voxels filled by one healthy tissue, with nothing of the tumour and no vessel in them."""
    anatomy, glioma = drawn.anatomy, drawn.glioma
    other = glioma.core + glioma.swelling + anatomy.vein + anatomy.artery + anatomy.choroid
    other = other + anatomy.dura + anatomy.deep
    return (tissue > 0.95) & (other < 0.02) & anatomy.brain & (anatomy.depth > 2)


def test_sequences_show_tissues_in_the_right_order(drawn, images):
    patient = drawn[0]
    median = {}
    for name in ("csf", "grey", "white"):
        where = pure(patient, getattr(patient.anatomy, name))
        assert where.sum() > 1000
        median[name] = {s: float(np.median(images[s][where])) for s in SEQUENCES}
    csf, grey, white = median["csf"], median["grey"], median["white"]
    for sequence in ("t1", "t1c"):
        assert white[sequence] > 1.05 * grey[sequence] > 1.3 * csf[sequence]
    assert csf["t2"] > 1.3 * grey["t2"] > 1.3 * white["t2"]
    assert csf["flair"] < 0.4 * min(grey["flair"], white["flair"])
    oedema = patient.glioma.masks["oedema"] & (patient.glioma.swelling > 0.7)
    assert np.median(images["flair"][oedema]) > 1.2 * white["flair"]
    assert np.median(images["t1"][oedema]) < white["t1"]


@pytest.mark.parametrize("field", [1.5, 3.0])
def test_relaxation_times_are_ordered_as_in_the_literature(field):
    tissue = TISSUES[field]
    assert tissue["white"].t1 < tissue["grey"].t1 < tissue["csf"].t1
    assert tissue["white"].t2 < tissue["grey"].t2 < tissue["oedema"].t2 < tissue["csf"].t2
    assert tissue["white"].density < tissue["grey"].density < tissue["csf"].density


def test_contrast_agent_changes_t1c_only(drawn):
    patient = drawn[0]
    parts = (patient.anatomy, patient.glioma, patient.scanner)
    for sequence in ("t1", "t2", "flair"):
        np.testing.assert_array_equal(
            ideal_image(sequence, *parts), ideal_image(sequence, *parts, contrast=0.0)
        )
    without, given_agent = (ideal_image("t1c", *parts, contrast=c) for c in (0.0, 1.0))
    np.testing.assert_array_equal(without, ideal_image("t1", *parts))
    gain = given_agent - without
    anatomy, glioma = patient.anatomy, patient.glioma
    vessels = anatomy.vein + anatomy.artery + anatomy.choroid + anatomy.dura
    untouched = (vessels < 1e-6) & (glioma.uptake < 1e-6)
    assert untouched.sum() > 500_000
    assert np.abs(gain[untouched]).max() < 1e-5
    reference = patient.scanner.signal("t1", TISSUES[patient.scanner.field]["white"])
    assert np.median(gain[glioma.masks["enhancing"]]) > 0.2 * reference
    assert (gain[glioma.masks["enhancing"]] > 0).mean() > 0.99
    assert (gain[anatomy.artery > 0.9] > 0.2 * reference).mean() > 0.95


def test_images_share_one_brain_mask_and_use_int16(drawn, images):
    for image in images.values():
        assert image.dtype == np.int16
        np.testing.assert_array_equal(image > 0, drawn[0].anatomy.brain)
        assert not (image < 0).any()


def test_brain_is_whole_and_inside_the_volume(drawn):
    for patient in drawn:
        brain = in_volume(patient.anatomy.brain, patient.anatomy)
        assert brain.shape == (155, 240, 240)
        assert 1.0e6 < brain.sum() < 2.0e6
        assert not brain[:, [0, -1]].any()
        assert not brain[:, :, [0, -1]].any()
        fractions = patient.anatomy.csf + patient.anatomy.grey + patient.anatomy.white
        np.testing.assert_allclose(fractions[patient.anatomy.brain], 1, atol=0.02)


def test_tissue_masks_are_disjoint_and_lie_in_the_brain(drawn):
    for patient in drawn:
        masks = patient.glioma.masks
        assert set(masks) == TISSUE_NAMES
        assert sum(mask.astype(int) for mask in masks.values()).max() == 1
        assert not any((mask & ~patient.anatomy.brain).any() for mask in masks.values())
        assert masks["oedema"].sum() > 100
        if patient.grade == "HGG":
            assert masks["enhancing"].sum() > 100


def test_oedema_prefers_white_matter(drawn):
    for patient in drawn:
        near = ndimage.binary_dilation(patient.glioma.masks["oedema"], iterations=4)
        near &= patient.anatomy.brain & (patient.glioma.core < 0.01)
        oedema = patient.glioma.masks["oedema"]
        assert patient.anatomy.white[oedema].mean() > 1.3 * patient.anatomy.white[near].mean()


def test_tumours_push_tissue_outward_and_never_the_skull():
    template = load_template()
    plan = plan_glioma(np.random.default_rng(5), template, "HGG")
    steps = np.linspace(2, 60, 30, dtype=np.float32)
    ray = plan.centre.reshape(3, 1, 1, 1).astype(np.float32).repeat(30, 1)
    ray[0, :, 0, 0] += steps
    shift = plan.push(ray)[0, :, 0, 0]
    assert (shift >= 0).all()
    assert 0 < shift.max() <= plan.shift * 1.01
    assert (np.diff(steps - shift) > 0).all()  # order along the ray is kept: no tissue folds over
    outside = np.array([155.0, 119, 119], np.float32).reshape(3, 1, 1, 1)
    assert np.abs(plan.push(outside)).max() == 0


def test_low_grade_tumours_hardly_enhance_and_grades_mix():
    grades = [draw_grade(index, SEED) for index in range(400)]
    assert 0.7 < grades.count("HGG") / 400 < 0.9
    patient = draw_patient(grades.index("LGG"), SEED)
    masks = patient.glioma.masks
    core = sum(int(masks[name].sum()) for name in ("necrosis", "non_enhancing", "enhancing"))
    assert masks["non_enhancing"].sum() > 0.5 * core


# ------------------------------------------------------------------ between patients


def fluid_map(patient: DrawnPatient) -> np.ndarray:
    """Where CSF is, blurred, every 2 mm, in a part that holds the cerebrum."""
    anatomy = patient.anatomy
    full = in_volume((anatomy.csf * anatomy.brain).astype(np.float32), anatomy)
    return ndimage.gaussian_filter(full, 1.0)[::2, ::2, ::2][20:70, 15:110, 20:100]


def warped(image: np.ndarray, shift: np.ndarray) -> np.ndarray:
    where = np.indices(image.shape, dtype=np.float32) + shift
    return ndimage.map_coordinates(image, where, order=1, mode="nearest")


def likeness_after_registration(fixed: np.ndarray, moving: np.ndarray) -> float:
    """Correlation once Thirion's demons, with a smooth shift, have done what they can."""
    shift = np.zeros((3, *fixed.shape), np.float32)
    slope = np.stack(np.gradient(fixed))
    steepness = (slope * slope).sum(0)
    for _ in range(40):
        difference = fixed - warped(moving, shift)
        step = difference * slope / (steepness + difference * difference + 1e-3)
        shift = np.stack([ndimage.gaussian_filter(a, 1.5) for a in shift + step])
    return float(np.corrcoef(fixed.ravel(), warped(moving, shift).ravel())[0, 1])


def test_two_patients_differ_by_more_than_a_smooth_warp(drawn):
    """Registration that undoes a warp as strong as the simulator's does not make them alike.

    The first patient's fluid map, warped by a random field of the simulator's own amplitudes, is
    brought back onto the original; the second patient's, by the same procedure, is not: its sulci
    are other sulci.
    """
    first, second = map(fluid_map, drawn)
    rng = np.random.default_rng(0)
    shift = np.stack(
        [
            1.5 * RandomField(rng, first.shape, 11).everywhere()
            + 0.7 * RandomField(rng, first.shape, 4).everywhere()
            for _ in range(3)
        ]
    )
    only_warped = likeness_after_registration(first, warped(first, shift))
    other_patient = likeness_after_registration(first, second)
    assert only_warped > 0.75
    assert other_patient < 0.6


def test_the_halves_of_one_brain_differ(drawn):
    first = fluid_map(drawn[0])
    assert np.corrcoef(first.ravel(), first[:, :, ::-1].ravel())[0, 1] < 0.8


# ------------------------------------------------------------------ files


@settings(deadline=None, max_examples=20)
@given(
    st.tuples(*[st.integers(1, 7)] * 3), st.integers(0, 99), st.sampled_from([".mha", ".nii.gz"])
)
def test_files_read_back_by_an_independent_reader(tmp_path_factory, shape, seed, ending):
    import SimpleITK as sitk

    rng = np.random.default_rng(seed)
    volume = rng.integers(-(2**15), 2**15, shape, dtype=np.int16)
    path = tmp_path_factory.mktemp("files") / f"volume{ending}"
    brain_formats.write_volume(path, volume)
    image = sitk.ReadImage(str(path))
    assert image.GetPixelID() == sitk.sitkInt16
    assert image.GetSpacing() == (1, 1, 1)
    assert image.GetDirection() == (1, 0, 0, 0, 1, 0, 0, 0, 1)  # left, posterior, superior
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), volume)


def fake_patient(index: int, seed: int) -> SimulatedPatient:
    """A tiny patient with every tissue, cheap to make, a function of (seed, index)."""
    rng = np.random.default_rng([seed, index])
    volumes = {s: rng.integers(0, 900, (4, 6, 5), dtype=np.int16) for s in SEQUENCES}
    places = rng.integers(0, 5, (4, 6, 5))
    masks = {name: places == n for n, name in enumerate(sorted(TISSUE_NAMES), 1)}
    return SimulatedPatient(f"simulated_{index}", draw_grade(index, seed), volumes, masks, {})


@pytest.fixture
def fakes(monkeypatch) -> list[int]:
    """Replace the simulation by a cheap one; the list records which patients were made."""
    made: list[int] = []

    def simulate(index: int, seed: int) -> SimulatedPatient:
        made.append(index)
        return fake_patient(index, seed)

    monkeypatch.setattr(brain_simulation, "simulate_patient", simulate)
    return made


def contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    ("layout", "numbers", "names"),
    [
        ("2016", {"necrosis": 1, "oedema": 2, "non_enhancing": 3, "enhancing": 4},
         ("VSD.Brain.XX.O.MR_T1c.", "VSD.Brain.XX.O.MR_T1.", ".MR_T2.", ".MR_Flair.", ".OT.")),
        ("2020", {"necrosis": 1, "oedema": 2, "non_enhancing": 1, "enhancing": 4},
         ("_t1ce.nii.gz", "_t1.nii.gz", "_t2.nii.gz", "_flair.nii.gz", "_seg.nii.gz")),
        ("2023", {"necrosis": 1, "oedema": 2, "non_enhancing": 1, "enhancing": 3},
         ("-t1c.nii.gz", "-t1n.nii.gz", "-t2w.nii.gz", "-t2f.nii.gz", "-seg.nii.gz")),
    ],
)  # fmt: skip
def test_each_layout_holds_images_and_labels(tmp_path, fakes, layout, numbers, names):
    import SimpleITK as sitk

    brain_simulation.simulate_cohort(tmp_path, 4, 7, layout, workers=1)
    patient = fake_patient(2, 7)
    paths = brain_formats.case_paths(layout, 2, patient.grade).files
    for key, part in zip(("t1c", "t1", "t2", "flair", "segmentation"), names, strict=True):
        assert part in paths[key].name
        image = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / paths[key])))
        if key != "segmentation":
            np.testing.assert_array_equal(image, patient.volumes[key])
            continue
        for name, number in numbers.items():
            same = [n for n, other in numbers.items() if other == number]
            merged = np.logical_or.reduce([patient.tissues[n] for n in same])
            np.testing.assert_array_equal(image == number, merged, err_msg=name)
    mark = json.loads((tmp_path / "simulated.json").read_text())
    assert (mark["source"], mark["patients"], mark["layout"]) == ("simulated", 4, layout)
    if layout == "2020":
        rows = (tmp_path / "name_mapping.csv").read_text().splitlines()
        assert rows[0] == "Grade,BraTS_2020_subject_ID"
        assert rows[3] == f"{patient.grade},BraTS20_Training_003"
    if layout == "2016":
        assert paths["t1"].parts[0] == patient.grade


def test_an_interrupted_cohort_is_completed_identically(tmp_path, fakes, monkeypatch):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    brain_simulation.simulate_cohort(whole, 4, 3, "2016", workers=1)
    fakes.clear()

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        brain_simulation.simulate_cohort(broken, 4, 3, "2016", workers=1, progress=stop)
    assert not (broken / "simulated.json").exists()  # not yet a cohort
    assert (broken / "simulating.json").exists()
    seen: list[tuple[int, int]] = []
    brain_simulation.simulate_cohort(
        broken, 4, 3, "2016", workers=1, progress=lambda *at: seen.append(at)
    )
    assert fakes == [0, 1, 2, 3]  # no finished patient was made twice
    assert seen == [(2, 4), (3, 4), (4, 4)]
    assert contents(broken) == contents(whole)
    brain_simulation.simulate_cohort(broken, 4, 3, "2016", workers=1)
    assert fakes == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("change", "word"),
    [({"patients": 3}, "patients"), ({"seed": 9}, "seed"), ({"layout": "2020"}, "layout")],
)
def test_another_recipe_is_refused(tmp_path, fakes, change, word):
    recipe = {"patients": 2, "seed": 3, "layout": "2016"}
    brain_simulation.simulate_cohort(tmp_path, **recipe, workers=1)
    before = contents(tmp_path)
    with pytest.raises(PathoganError, match=f"another recipe .*{word}"):
        brain_simulation.simulate_cohort(tmp_path, **{**recipe, **change}, workers=1)
    assert contents(tmp_path) == before


def test_a_folder_with_other_files_is_left_alone(tmp_path, fakes):
    (tmp_path / "real.nii.gz").write_bytes(b"precious")
    with pytest.raises(PathoganError, match="no simulated cohort"):
        brain_simulation.simulate_cohort(tmp_path, 2, 3, "2016", workers=1)
    assert contents(tmp_path) == {"real.nii.gz": b"precious"}
    with pytest.raises(PathoganError, match="not a folder"):
        brain_simulation.simulate_cohort(tmp_path / "real.nii.gz", 2, 3, "2016", workers=1)


@pytest.mark.parametrize(
    "wrong", [{"patients": 0}, {"patients": True}, {"seed": -1}, {"layout": "2015"}, {"workers": 0}]
)
def test_impossible_requests_are_refused_before_anything_is_written(tmp_path, fakes, wrong):
    request = {"patients": 1, "seed": 0, "layout": "2016", "workers": 1, **wrong}
    with pytest.raises(PathoganError, match=next(iter(wrong))):
        brain_simulation.simulate_cohort(tmp_path / "new", **request)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
def test_a_full_or_read_only_disk_gives_one_line_and_leaves_no_half_file(
    tmp_path, fakes, monkeypatch, code
):
    calls = 0
    sync = os.fsync

    def failing(handle: int) -> None:
        nonlocal calls
        calls += 1
        if calls > 4:
            raise OSError(code, os.strerror(code))
        sync(handle)

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(PathoganError, match="cannot be written") as caught:
        brain_simulation.simulate_cohort(tmp_path, 2, 3, "2023", workers=1)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.rglob("*.partial"))
    assert not (tmp_path / "simulated.json").exists()
    monkeypatch.setattr(os, "fsync", sync)
    brain_simulation.simulate_cohort(tmp_path, 2, 3, "2023", workers=1)
    assert (tmp_path / "simulated.json").exists()


def test_worker_processes_write_the_voxels_that_this_process_simulates(tmp_path, drawn, images):
    """Same (seed, index), same voxels: in another process, order and cohort size; and the whole way
    from simulation to file."""
    import SimpleITK as sitk

    brain_simulation.simulate_cohort(tmp_path, 2, SEED, "2016", workers=2)
    read = {}
    for index in (0, 1):
        paths = brain_formats.case_paths("2016", index, drawn[index].grade).files
        read[index] = {
            key: sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / path)))
            for key, path in paths.items()
        }
    for sequence in SEQUENCES:
        np.testing.assert_array_equal(
            read[0][sequence], in_volume(images[sequence], drawn[0].anatomy)
        )
        assert not np.array_equal(read[0][sequence], read[1][sequence])
    labels = read[0]["segmentation"]
    for name, number in brain_formats.LABELS["2016"].items():
        mask = in_volume(drawn[0].glioma.masks[name], drawn[0].anatomy)
        np.testing.assert_array_equal(labels == number, mask)


def test_a_patient_describes_itself_in_json(monkeypatch, drawn, images):
    from pathogan_core.cohorts import brain_patient

    monkeypatch.setattr(brain_patient, "draw_patient", lambda index, seed: drawn[index])
    monkeypatch.setattr(brain_patient, "render", lambda rng, patient: images)
    patient = simulate_patient(0, SEED)
    text = json.loads(json.dumps(patient.description, allow_nan=False))
    assert text["tumour"]["grade"] == patient.grade == drawn[0].grade
    assert set(patient.volumes) == set(SEQUENCES)
    assert {v.shape for v in patient.volumes.values()} == {(155, 240, 240)}
    for name, mask in patient.tissues.items():
        assert mask.dtype == bool
        assert text["voxels"][name] == int(mask.sum())
    assert (text["tumour"]["centre_zyx"][2] > 119) == (text["tumour"]["side"] == "left")
