"""The reader: every layout, every orientation, named tissues."""

from __future__ import annotations

import json
import shutil
import tempfile
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from brats_writer import STRAIGHT, Orientation, write_case
from fake_cases import random_brain
from hypothesis import given, settings
from hypothesis import strategies as st

from pathogan_core.cohorts.brats import find_cases
from pathogan_core.cohorts.brats_layouts import GLIOMAS, LAYOUTS, name_scan
from pathogan_core.cohorts.cases import SEQUENCES, TISSUES
from pathogan_core.errors import PathoganError

# Written down from the releases' descriptions, independently of `brats_layouts`.
TISSUE_OF_LABEL = {
    "2016": {1: "necrosis", 2: "oedema", 3: "non_enhancing", 4: "enhancing"},
    "2020": {1: "necrosis", 2: "oedema", 4: "enhancing"},
    "2023": {1: "necrosis", 2: "oedema", 3: "enhancing"},
    "decathlon": {1: "oedema", 2: "non_enhancing", 3: "enhancing"},
}
NAMES = {
    "2016": "brats_tcia_pat153_0181",
    "2020": "BraTS20_Training_007",
    "2023": "BraTS-GLI-00005-001",
    "decathlon": "BRATS_001",
}

orientations = st.builds(
    Orientation,
    order=st.sampled_from(list(permutations(range(3)))),
    signs=st.sampled_from(list(product((1, -1), repeat=3))),
    spacing=st.tuples(*[st.sampled_from((0.5, 1.0, 1.25, 3.0))] * 3),
    origin=st.tuples(*[st.integers(-200, 200).map(float)] * 3),
)


@settings(max_examples=60, deadline=None)
@given(
    layout=st.sampled_from(list(TISSUE_OF_LABEL)),
    orientation=orientations,
    shape=st.tuples(*[st.integers(2, 7)] * 3),
    dtype=st.sampled_from([np.int16, np.uint16, np.float32]),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_layout_in_every_orientation_is_read_to_the_same_lps_array(
    layout, orientation, shape, dtype, seed
):
    rng = np.random.default_rng(seed)
    volumes = {name: rng.integers(0, 1000, shape).astype(dtype) for name in SEQUENCES}
    for volume in volumes.values():
        volume.flat[:2] = 1, 2
    values = [0, *TISSUE_OF_LABEL[layout]]
    labels = rng.choice(values, shape).astype(np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        write_case(Path(folder), layout, NAMES[layout], "HGG", volumes, labels, orientation)
        (case,) = find_cases(folder)
        loaded = case.load()
    assert case.layout == layout
    for name in SEQUENCES:
        assert np.array_equal(loaded.volumes[name], volumes[name])
    assert set(loaded.tissues) == set(TISSUES)
    for tissue in TISSUES:
        numbers = [n for n, named in TISSUE_OF_LABEL[layout].items() if named == tissue]
        assert np.array_equal(loaded.tissues[tissue], np.isin(labels, numbers))
    assert loaded.spacing == pytest.approx(orientation.spacing[::-1])


def test_layouts_name_what_the_releases_name():
    assert {name: dict(LAYOUTS[name].labels) for name in GLIOMAS.layouts} == TISSUE_OF_LABEL


@pytest.mark.parametrize(
    ("name", "scan", "patient"),
    [
        ("brats_tcia_pat153_0181", "brats_tcia_pat153_0181", "brats_tcia_pat153"),
        ("brats_2013_pat0013_1", "HGG_brats_2013_pat0013_1", "HGG_brats_2013_pat0013"),
        ("0013", "HGG_0013", "HGG_0013"),
        ("Brats18_TCIA_100_1", "Brats18_TCIA_100_1", "Brats18_TCIA_100"),
        ("Brats17_CBICA_AAB_1", "Brats17_CBICA_AAB_1", "Brats17_CBICA_AAB"),
        ("BraTS20_Training_007", "BraTS20_Training_007", "BraTS20_Training_007"),
        ("BraTS2021_00495", "BraTS2021_00495", "BraTS2021_00495"),
        ("BraTS-GLI-00005-001", "BraTS-GLI-00005-001", "BraTS-GLI-00005"),
        ("BRATS_001", "BRATS_001", "BRATS_001"),
        ("anything else", "anything else", "anything else"),
    ],
)
def test_follow_up_examinations_belong_to_one_patient(name, scan, patient):
    assert name_scan(name, "HGG") == (scan, patient)


def write(root: Path, layout: str, name: str, grade: str = "", seed: int = 0) -> dict[str, Path]:
    volumes, labels = random_brain(seed, (4, 5, 6))
    labels[~np.isin(labels, list(TISSUE_OF_LABEL[layout]))] = 0
    return write_case(root, layout, name, grade, volumes, labels)


def test_grades_come_from_folders(tmp_path):
    write(tmp_path / "BRATS2015_Training", "2016", "brats_2013_pat0001_1", "HGG")
    write(tmp_path / "BRATS2015_Training", "2016", "brats_2013_pat0001_1", "LGG", seed=1)
    write(tmp_path / "Image_Data", "2016", "0001", "HG", seed=2)
    found = {case.scan: (case.patient, case.grade) for case in find_cases(tmp_path)}
    assert found == {
        "HGG_0001": ("HGG_0001", "HGG"),
        "HGG_brats_2013_pat0001_1": ("HGG_brats_2013_pat0001", "HGG"),
        "LGG_brats_2013_pat0001_1": ("LGG_brats_2013_pat0001", "LGG"),
    }
    (alone,) = find_cases(tmp_path / "BRATS2015_Training" / "LGG")
    assert alone.grade == "LGG"


def test_grades_come_from_name_mapping_where_folders_are_silent(tmp_path):
    for i in range(1, 4):
        write(tmp_path / "Data", "2020", f"BraTS20_Training_00{i}", seed=i)
    (tmp_path / "Data" / "name_mapping.csv").write_text(
        "Grade,BraTS_2019_subject_ID,BraTS_2020_subject_ID\n"
        "HGG,NA,BraTS20_Training_001\nLGG,x,BraTS20_Training_002\n"
    )
    assert [case.grade for case in find_cases(tmp_path)] == ["HGG", "LGG", "unknown"]


def test_the_misnamed_segmentation_of_brats_2020_is_found(tmp_path):
    files = write(tmp_path, "2020", "BraTS20_Training_355")
    files["seg"].rename(files["seg"].with_name("W39_1998.09.19_Segm.nii.gz"))
    (case,) = find_cases(tmp_path)
    assert case.load().tissues["enhancing"].any()


@pytest.mark.parametrize(
    "stem", ["VSD.Brain.XX.O.OT", "VSD.Brain_3more.XX.XX.OT", "VSD.Brain_more"]
)
def test_segmentation_folders_of_every_spelling(tmp_path, stem):
    files = write(tmp_path, "2016", "brats_tcia_pat101_0001", "HGG")
    target = files["seg"].parents[1] / f"{stem}.6560"
    target.mkdir(exist_ok=True)
    shutil.move(files["seg"], target / f"{stem}.6560.mha")
    shutil.rmtree(files["seg"].parent)
    (target / "licence.txt").write_text("kept beside the image in the release")
    (case,) = find_cases(tmp_path)
    assert case.load().tissues["non_enhancing"].any()


def test_uncompressed_nifti_is_read(tmp_path):
    files = write(tmp_path, "2020", "BraTS20_Training_001")
    for path in files.values():
        sitk.WriteImage(sitk.ReadImage(str(path)), str(path).removesuffix(".gz"))
        path.unlink()
    (case,) = find_cases(tmp_path)
    assert np.array_equal(case.load().volumes["t2"], random_brain(0, (4, 5, 6))[0]["t2"])


def test_decathlon_channels_follow_its_own_description(tmp_path):
    write(tmp_path, "decathlon", "BRATS_001")
    path = tmp_path / "dataset.json"
    path.write_text(json.dumps({"modality": {"0": "T2w", "1": "t1gd", "2": "T1w", "3": "FLAIR"}}))
    volumes = random_brain(0, (4, 5, 6))[0]
    loaded = find_cases(tmp_path)[0].load().volumes
    assert np.array_equal(loaded["t2"], volumes["flair"])
    assert np.array_equal(loaded["t1c"], volumes["t1"])
    path.write_text(json.dumps({"modality": {"0": "CT"}}))
    with pytest.raises(PathoganError, match="does not name the channels"):
        find_cases(tmp_path)


def test_content_hash_follows_bytes_not_places(tmp_path):
    files = write(tmp_path / "a", "2020", "BraTS20_Training_001")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    (one,), (two,) = find_cases(tmp_path / "a"), find_cases(tmp_path / "b")
    assert one.content_hash() == two.content_hash()
    shutil.copy(files["t1"], files["t2"])
    assert one.content_hash() != two.content_hash()


def test_a_real_scan_comes_out_in_lps():
    path = Path(__file__).resolve().parents[2].parent / "shared" / "real" / "MR_Gd.nii.gz"
    if not path.is_file():
        pytest.skip("the real scan is not beside this checkout")
    from pathogan_core.cohorts.image_files import read_image, to_lps

    array, spacing = to_lps(read_image(path))
    image = sitk.ReadImage(str(path))
    assert array.ndim == 3
    assert sorted(spacing) == pytest.approx(sorted(image.GetSpacing()))
    # The voxel that lies furthest left, posterior and superior must end every axis.
    inner = tuple(n - 1 for n in image.GetSize())
    corners = [
        tuple(n * bit for n, bit in zip(inner, bits, strict=True))
        for bits in product((0, 1), repeat=3)
    ]
    furthest = max(corners, key=lambda index: sum(image.TransformIndexToPhysicalPoint(index)))
    for step in range(3):
        # One voxel inward along an axis of the file is one inward along the matching LPS axis.
        moved = list(furthest)
        moved[step] -= 1 if furthest[step] else -1
        delta = np.subtract(
            image.TransformIndexToPhysicalPoint(moved),
            image.TransformIndexToPhysicalPoint(furthest),
        )
        place = [-1, -1, -1]
        place[2 - int(np.abs(delta).argmax())] = -2
        assert array[tuple(place)] == image[tuple(moved)]


def test_two_grids_differ_by_name(tmp_path):
    files = write(tmp_path, "2020", "BraTS20_Training_001")
    (case,) = find_cases(tmp_path)
    volume = random_brain(0, (4, 5, 6))[0]["t1c"]
    for wrong, words in [
        (Orientation(spacing=(1, 1, 2)), "spacing"),
        (Orientation(origin=(0, 5, 0)), "origin"),
        (Orientation(signs=(1, -1, 1)), "direction"),
    ]:
        sitk.WriteImage(wrong.image(volume), str(files["t1c"]))
        with pytest.raises(PathoganError, match=f"_t1ce.nii.gz: has {words}"):
            case.load()
    sitk.WriteImage(STRAIGHT.image(volume[1:]), str(files["t1c"]))
    with pytest.raises(PathoganError, match=r"shape 6x5x3 instead of 6x5x4"):
        case.load()
