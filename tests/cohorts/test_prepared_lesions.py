"""Lesions through preparation: hand-made masks come out as masks and exact boxes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
from fake_cases import random_brain

from pathogan_core.boxes import drawn
from pathogan_core.cohorts.cases import TISSUES, LoadedCase
from pathogan_core.cohorts.prepare import prepare
from pathogan_core.cohorts.prepare_parameters import LESION_TISSUES, PreparationParameters
from pathogan_core.cohorts.prepared import PreparedSlices
from pathogan_core.cohorts.prepared_lesions import exact_boxes, lesion_masks
from pathogan_core.errors import PathoganError

SHAPE = (12, 20, 24)
FRAME = 32  # rows begin 6 pixels lower, columns 4 pixels further right
DOWN, RIGHT = 6, 4
PARAMETERS = PreparationParameters(
    grades=("metastases", "normal"),
    plane="axial",
    first_slice=2,
    last_slice=7,
    sizes=(32, 16, 12),
    sequences=("t1c",),
    frame=FRAME,
    lesion_tissues=LESION_TISSUES,
    volume_shape=SHAPE,
    split=(1.0, 0.0, 0.0),
)

Cuboid = tuple[str, slice, slice, slice]


@dataclass(frozen=True)
class HandMade:
    """A brain with cuboids of named tissues at given z, y, x."""

    scan: str
    cuboids: tuple[Cuboid, ...] = ()
    grade: str = "metastases"

    @property
    def patient(self) -> str:
        return self.scan

    def load(self) -> LoadedCase:
        volume = random_brain(len(self.scan), SHAPE)[0]["t1c"]
        tissues = {name: np.zeros(SHAPE, bool) for name in TISSUES}
        for tissue, *where in self.cuboids:
            tissues[tissue][tuple(where)] = True
        return LoadedCase({"t1c": volume}, tissues, (1.0, 1.0, 1.0))

    def content_hash(self) -> str:
        return f"{self.scan} {self.cuboids}"


def at(z: int, y: int, x: int, height: int = 1, width: int = 1, depth: int = 1) -> tuple:
    return slice(z, z + depth), slice(y, y + height), slice(x, x + width)


SINGLE = HandMade("a", (("enhancing", *at(4, 5, 7, height=3, width=6, depth=2)),))
# A ring: necrosis in the middle, oedema around, one lesion.
RING = HandMade(
    "b",
    (
        ("oedema", *at(3, 2, 2, height=12, width=12)),
        ("necrosis", *at(3, 6, 6, height=2, width=2)),
        ("enhancing", *at(3, 5, 5, height=1, width=4)),
        ("non_enhancing", *at(3, 8, 5, height=1, width=4)),
    ),
)
# Two voxels that touch by a corner are one lesion; a third, a pixel away, is another.
CORNERS = HandMade(
    "c",
    (("enhancing", *at(2, 9, 9)), ("enhancing", *at(2, 10, 10)), ("enhancing", *at(2, 10, 12))),
)
# One lesion in the volume, two in the slice: boxes are of slices.
ARCH = HandMade(
    "d",
    (
        ("enhancing", *at(5, 4, 4, width=2, height=2)),
        ("enhancing", *at(5, 4, 12, width=2, height=2)),
        ("enhancing", *at(6, 4, 4, width=10, height=2)),
    ),
)
OEDEMA = HandMade("e", (("oedema", *at(3, 5, 5, height=5, width=5)),))
HEALTHY = HandMade("f", grade="normal")
ALL = [SINGLE, RING, CORNERS, ARCH, OEDEMA, HEALTHY]


def framed(*box: int) -> list[float]:
    """A box in pixels of the volume's slice, in pixels of the frame."""
    xmin, ymin, xmax, ymax = box
    return [xmin + RIGHT, ymin + DOWN, xmax + RIGHT, ymax + DOWN]


# (scan, slice): boxes, written down by hand.
TRUTH = {
    ("a", 4): [framed(7, 5, 13, 8)],
    ("a", 5): [framed(7, 5, 13, 8)],
    ("b", 3): [framed(5, 5, 9, 9)],
    ("c", 2): [framed(9, 9, 11, 11), framed(12, 10, 13, 11)],
    ("d", 5): [framed(4, 4, 6, 6), framed(12, 4, 14, 6)],
    ("d", 6): [framed(4, 4, 14, 6)],
}


@pytest.fixture
def prepared(tmp_path, source) -> PreparedSlices:
    return prepare(ALL, tmp_path / "out", source, PARAMETERS)


def by_slice(prepared: PreparedSlices, boxes: list[np.ndarray]) -> dict[tuple[str, int], list]:
    names = zip(prepared.table["scan"], prepared.table["slice"], strict=True)
    return {name: some.tolist() for name, some in zip(names, boxes, strict=True) if len(some)}


def test_boxes_are_tight_around_what_hangs_together_in_a_slice(prepared):
    assert by_slice(prepared, exact_boxes(prepared, FRAME)) == TRUTH
    for boxes in exact_boxes(prepared, FRAME):
        assert (boxes.dtype, boxes.shape[1:]) == (np.float64, (4,))


@pytest.mark.parametrize("size", [16, 12, 100])
def test_boxes_scale_with_the_image(prepared, size):
    scaled = by_slice(prepared, exact_boxes(prepared, size))
    assert set(scaled) == set(TRUTH)
    for name, boxes in TRUTH.items():
        np.testing.assert_allclose(scaled[name], np.array(boxes) * size / FRAME, rtol=1e-12)


def test_masks_are_the_lesion_without_its_oedema(prepared):
    masks = lesion_masks(prepared, FRAME)
    names = list(zip(prepared.table["scan"], prepared.table["slice"], strict=True))
    for case in ALL:
        tissues = case.load().tissues
        lesion = tissues["necrosis"] | tissues["non_enhancing"] | tissues["enhancing"]
        for number in range(2, 8):
            whole = np.zeros((FRAME, FRAME), np.uint8)
            whole[DOWN : DOWN + 20, RIGHT : RIGHT + 24] = 255 * lesion[number]
            np.testing.assert_array_equal(masks[names.index((case.scan, number))], whole)


def test_shrunk_masks_are_the_covered_share_of_each_pixel(prepared):
    """A lesion that is a box covers what the box covers, also where pixels are cut."""
    row = list(zip(prepared.table["scan"], prepared.table["slice"], strict=True)).index(("a", 4))
    for size in (16, 12):
        mask, boxes = lesion_masks(prepared, size)[row], exact_boxes(prepared, size)[row]
        assert mask.dtype == np.uint8
        assert np.abs(mask - 255.0 * drawn(boxes, size)).max() <= 0.51
        assert ((mask > 0) & (mask < 255)).sum() > 0


def test_a_frame_that_cuts_a_lesion_cuts_its_box(tmp_path, source):
    cut = replace(PARAMETERS, frame=12, sizes=(12,))  # rows 4..15, columns 6..17
    prepared = prepare([ARCH], tmp_path / "out", source, cut)
    assert by_slice(prepared, exact_boxes(prepared, 12)) == {
        ("d", 5): [[6.0, 0.0, 8.0, 2.0]],
        ("d", 6): [[0.0, 0.0, 8.0, 2.0]],
    }


def test_what_makes_up_a_lesion_is_a_choice(tmp_path, source, prepared):
    chosen = replace(PARAMETERS, lesion_tissues=("oedema",))
    other = prepare(ALL, tmp_path / "oedema", source, chosen)
    assert by_slice(other, exact_boxes(other, FRAME)) == {
        ("b", 3): [framed(2, 2, 14, 14)],
        ("e", 3): [framed(5, 5, 10, 10)],
    }
    assert other.fingerprint != prepared.fingerprint


def test_a_split_and_a_selection_keep_each_rows_boxes(tmp_path, source):
    splits = dict(zip("abcdef", ["train", "test", "train", "test", "test", "train"], strict=True))
    prepared = prepare(ALL, tmp_path / "out", source, PARAMETERS, splits=splits)
    every, masks = exact_boxes(prepared, 16), lesion_masks(prepared, 16)
    rows = prepared.rows_of("test")
    assert len(rows) == 3 * 6
    for one, row in zip(exact_boxes(prepared, 16, "test"), rows, strict=True):
        np.testing.assert_array_equal(one, every[row])
    odd = (prepared.table["slice"] % 2 == 1).to_numpy(bool)
    chosen = prepared.select(odd, {"slices": "odd"})
    for split in ("train", "test", None):
        wanted = [
            row
            for row in np.flatnonzero(odd)
            if split in (None, splits[prepared.table["scan"][row]])
        ]
        boxes = exact_boxes(chosen, 16, split)
        assert len(boxes) == len(wanted) > 0
        for one, row in zip(boxes, wanted, strict=True):
            np.testing.assert_array_equal(one, every[row])
        np.testing.assert_array_equal(lesion_masks(chosen, 16, split), masks[wanted])
        images = chosen.images("t1c", 16, split)
        np.testing.assert_array_equal(images, prepared.images("t1c", 16)[wanted])


def test_an_interrupted_preparation_ends_in_the_same_boxes(tmp_path, source, prepared):
    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(ALL, tmp_path / "again", source, PARAMETERS, progress=stop)
    again = prepare(ALL, tmp_path / "again", source, PARAMETERS)
    assert again.info == prepared.info
    assert by_slice(again, exact_boxes(again, FRAME)) == TRUTH


def test_no_lesion_at_all_is_no_box_in_any_image(tmp_path, source):
    prepared = prepare([OEDEMA, HEALTHY], tmp_path / "out", source, PARAMETERS)
    boxes = exact_boxes(prepared, 16)
    assert [each.shape for each in boxes] == [(0, 4)] * 12
    assert not lesion_masks(prepared, 16).any()
    prepared.verify()


def test_missing_or_damaged_boxes_are_one_line(prepared):
    path = prepared.folder / "boxes.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:50])
    with pytest.raises(PathoganError, match="cannot be read") as caught:
        exact_boxes(prepared, 16)
    assert "\n" not in str(caught.value)
    path.unlink()
    with pytest.raises(PathoganError) as caught:
        exact_boxes(prepared, 16)
    assert str(caught.value) == (f"{path}: is not there; prepare the slices with lesion_tissues")


def test_without_lesion_tissues_nothing_is_kept(tmp_path, source):
    plain = replace(PARAMETERS, lesion_tissues=())
    prepared = prepare(ALL, tmp_path / "out", source, plain)
    assert not list((tmp_path / "out").glob("lesion*"))
    assert "lesion_tissues" not in prepared.info["parameters"]
    with pytest.raises(PathoganError, match=r"boxes\.parquet: is not there; prepare the slices wi"):
        exact_boxes(prepared, 16)
    with pytest.raises(PathoganError, match="holds no sequence 'lesion'; choose one of t1c"):
        lesion_masks(prepared, 16)


@pytest.mark.parametrize("change", ["moved", "dropped", "other row", "gone", "mask"])
def test_verify_notices_a_changed_box_or_mask(prepared, change):
    prepared.verify()
    path = prepared.folder / "boxes.parquet"
    table = pd.read_parquet(path)
    if change == "moved":
        table.loc[0, "xmax"] += 1
    elif change == "dropped":
        table = table[:-1]
    elif change == "other row":
        table.loc[0, "row"] += 1
    if change == "gone":
        path.unlink()
    elif change == "mask":
        array = np.load(prepared.folder / "lesion_16.npy", mmap_mode="r+")
        array[0, 0, 0] ^= 1
        array.flush()
    else:
        table.to_parquet(path, index=False)
    with pytest.raises(PathoganError, match="has changed since it was prepared"):
        PreparedSlices.open(prepared.folder).verify()


def test_boxes_need_square_pixels_and_known_tissues():
    for wrong in ({"frame": None}, {"lesion_tissues": ("vessel",)}):
        with pytest.raises(PathoganError, match="lesion_tissues"):
            replace(PARAMETERS, **wrong)
