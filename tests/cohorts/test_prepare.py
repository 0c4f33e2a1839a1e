"""Preparation: what is written, streaming, resuming, refusing, and disks that fill."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fake_cases import SHAPE, FakeCase

from pathogan_core.cohorts import prepare_store
from pathogan_core.cohorts.cases import TISSUES
from pathogan_core.cohorts.prepare import prepare
from pathogan_core.cohorts.prepare_parameters import PreparationParameters
from pathogan_core.cohorts.prepared import PreparedSlices
from pathogan_core.cohorts.slices import fit_frame, normalise_intensity, resize_area
from pathogan_core.errors import PathoganError

HGG_SCANS = ["a_1", "a_2", "b_1", "c_1", "d_1", "e_1"]


def content(folder: Path) -> dict[str, bytes]:
    """Every visible file of a prepared folder."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if not p.name.startswith(".")}


def test_rows_are_patients_by_name_and_slices_by_number(tmp_path, cases, parameters, source):
    table = prepare(cases, tmp_path / "out", source, parameters).table
    assert table["scan"].tolist() == [scan for scan in HGG_SCANS for _ in range(6)]
    assert table["slice"].tolist() == [*range(8, 14)] * 6
    assert (table["patient"] == table["scan"].str[0]).all()
    assert set(table["grade"]) == {"HGG"}
    assert table.groupby("patient")["split"].nunique().eq(1).all()


def shown(volume: np.ndarray, plane: str, number: int) -> np.ndarray:
    """A slice as it is looked at, spelt out pixel by pixel axis."""
    return volume[number] if plane == "axial" else volume[::-1, :, number]


class LopsidedCase(FakeCase):
    """Lacks a corner of its brain, so that no two slices are alike in any direction."""

    def load(self):
        loaded = super().load()
        for volume in loaded.volumes.values():
            volume[11:, 9:, :11] = 0
        return loaded


def test_images_and_columns_are_those_of_the_named_slice(tmp_path, cases, any_set, source):
    cases[3] = LopsidedCase("c_1", "c", seed=3)
    prepared = prepare(cases, tmp_path / "out", source, any_set)
    loaded = cases[3].load()
    rows = np.flatnonzero(prepared.table["scan"] == "c_1")
    for size in (16, 8):
        for sequence in any_set.sequences:
            scaled = normalise_intensity(loaded.volumes[sequence], any_set.white_percentile)
            for row, number in zip(rows, range(8, 14), strict=True):
                image = shown(scaled, any_set.plane, number)
                if any_set.frame:
                    image = np.pad(image, [((any_set.frame - n) // 2,) * 2 for n in image.shape])
                difference = prepared.images(sequence, size)[row] - resize_area(image[None], size)
                assert np.abs(difference).max() <= 0.51
    for row, number in zip(rows, range(8, 14), strict=True):
        told = prepared.table.loc[row]
        for tissue in TISSUES:
            labelled = shown(loaded.tissues[tissue], any_set.plane, number)
            assert told[f"{tissue}_voxels"] == np.count_nonzero(labelled)
        brain = shown(loaded.volumes["t1"], any_set.plane, number) != 0
        assert told["brain_fraction"] == np.mean(brain)


def test_order_of_cases_and_number_of_workers_do_not_matter(tmp_path, cases, any_set, source):
    prepare(cases, tmp_path / "one", source, any_set)
    random.Random(0).shuffle(cases)
    prepare(iter(cases), tmp_path / "two", source, any_set, workers=2)
    assert content(tmp_path / "one") == content(tmp_path / "two")
    assert "prepared.json" in content(tmp_path / "one")
    assert not {"preparing.json", "journal.jsonl"} & set(content(tmp_path / "one"))


def test_another_voxel_parameter_or_split_is_another_fingerprint(
    tmp_path, cases, parameters, source
):
    variants = [
        (cases, parameters),
        ([replace(cases[0], seed=99), *cases[1:]], parameters),
        (cases, replace(parameters, split_seed=1)),
        (cases, replace(parameters, white_percentile=99.0)),
        (cases[1:], parameters),
        (cases, replace(parameters, plane="axial")),
        (cases, replace(parameters, frame=24)),
        (cases, replace(parameters, sequences=("t1c",))),
    ]
    made = [
        prepare(variant, tmp_path / str(i), source, chosen)
        for i, (variant, chosen) in enumerate(variants)
    ]
    assert len({prepared.fingerprint for prepared in made}) == len(variants)


class Crash(BaseException):
    """Stands for SIGKILL: nothing in the library expects it."""


def crash_at(monkeypatch: pytest.MonkeyPatch, nth: int, fault: BaseException) -> None:
    """Let the nth write of images stop in its middle."""
    whole, calls = prepare_store.ArrayWriter.write, 0

    def write(self, path, first_row, images):
        nonlocal calls
        calls += 1
        if calls == nth:
            whole(self, path, first_row, images[: len(images) // 2])
            raise fault
        whole(self, path, first_row, images)

    monkeypatch.setattr(prepare_store.ArrayWriter, "write", write)


def test_a_crash_at_any_write_is_resumed_to_the_same_bytes(tmp_path, cases, any_set, source):
    prepare(cases, tmp_path / "whole", source, any_set)
    expected = content(tmp_path / "whole")
    writes = len(any_set.sequences) * len(any_set.sizes)  # of one scan
    for nth in range(1, 6 * writes + 1, max(1, writes - 3)):
        out = tmp_path / f"crash-{nth}"
        with pytest.MonkeyPatch.context() as patch:
            crash_at(patch, nth, Crash())
            with pytest.raises(Crash):
                prepare(cases, out, source, any_set)
        with pytest.raises(PathoganError, match="half-written"):
            PreparedSlices.open(out)
        seen: list[tuple[int, int]] = []
        prepare(cases, out, source, any_set, progress=lambda *told, seen=seen: seen.append(told))
        assert [done for done, _ in seen] == list(
            range((nth - 1) // writes, 7)
        )  # finished scans are not done again
        assert content(out) == expected


def test_a_killed_process_is_resumed_to_the_same_bytes(tmp_path, cases, any_set, source):
    program = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from fake_cases import FakeCase
from pathogan_core.cohorts.prepare import CohortSource, prepare
from pathogan_core.cohorts.prepare_parameters import PreparationParameters
def progress(done, total):
    if done == 3:
        os.kill(os.getpid(), signal.SIGKILL)
source = CohortSource("fake", "0" * 64, {{"cohort": "fake", "source": "simulated"}})
prepare({cases!r}, Path({str(tmp_path / "killed")!r}), source, {any_set!r}, progress=progress)
"""
    run = subprocess.run([sys.executable, "-c", program], check=False, timeout=60)
    assert run.returncode == -signal.SIGKILL
    journal = tmp_path / "killed" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20])  # power went while the last line was written
    prepare(cases, tmp_path / "killed", source, any_set)
    prepare(cases, tmp_path / "whole", source, any_set)
    assert content(tmp_path / "killed") == content(tmp_path / "whole")


def test_a_scan_that_changed_since_the_interruption_is_done_again(tmp_path, cases, any_set, source):
    with pytest.MonkeyPatch.context() as patch:
        writes = len(any_set.sequences) * len(any_set.sizes)
        crash_at(patch, 3 * writes + 2, Crash())
        with pytest.raises(Crash):
            prepare(cases, tmp_path / "out", source, any_set)
    changed = [replace(cases[0], seed=77), *cases[1:]]
    prepare(changed, tmp_path / "out", source, any_set)
    prepare(changed, tmp_path / "fresh", source, any_set)
    assert content(tmp_path / "out") == content(tmp_path / "fresh")


def test_memory_does_not_grow_with_the_cohort(tmp_path, source):
    shape = (48, 48, 48)
    chosen = PreparationParameters(
        first_slice=20, last_slice=27, sizes=(16,), volume_shape=shape, grades=("HGG",)
    )

    def peak(count: int) -> int:
        many = (FakeCase(f"p{i}", f"p{i}", seed=i, shape=shape) for i in range(count))
        tracemalloc.start()
        try:
            prepare(many, tmp_path / f"of-{count}", source, chosen)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(2)  # imports and caches
    volumes_of_one = 4 * 2 * 48**3
    assert peak(24) - peak(4) < volumes_of_one / 4


def test_asking_again_for_the_same_does_nothing(tmp_path, cases, any_set, source):
    first = prepare(cases, tmp_path / "out", source, any_set)
    stamps = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "out").iterdir() if p.suffix}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FakeCase, "load", lambda self: pytest.fail("read again"))
        again = prepare(cases, tmp_path / "out", source, any_set)
    assert again.info == first.info
    after = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "out").iterdir() if p.suffix}
    assert after == stamps


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sizes": (16,)}, r"sizes \[16, 8\], not \[16\]"),
        ({"first_slice": 9}, "first_slice 8, not 9"),
        ({"split_seed": 5}, "split_seed 0, not 5"),
        ({"frame": 32}, "frame None, not 32"),
        ({"sequences": ("t1c",)}, "sequences"),
        ({"plane": "axial"}, r"axis x of LPS.* left, not z of LPS"),
    ],
)
def test_a_cache_of_other_parameters_is_refused(
    tmp_path, cases, parameters, source, change, words, finished
):
    out = tmp_path / "out"
    with pytest.MonkeyPatch.context() as patch:
        if not finished:
            crash_at(patch, 20, Crash())
        with contextlib.suppress(Crash):
            prepare(cases, out, source, parameters)
    before = content(out)
    with pytest.raises(PathoganError, match=words) as caught:
        prepare(cases, out, source, replace(parameters, **change))
    assert "\n" not in str(caught.value)
    assert content(out) == before


@pytest.mark.parametrize("finished", [True, False])
def test_a_parameter_that_only_the_cache_names_is_a_difference(
    tmp_path, cases, parameters, source, finished
):
    """A frame is recorded only where there is one: its absence must not pass for the same."""
    out = tmp_path / "out"
    with pytest.MonkeyPatch.context() as patch:
        if not finished:
            crash_at(patch, 20, Crash())
        with contextlib.suppress(Crash):
            prepare(cases, out, source, replace(parameters, frame=32))
    with pytest.raises(PathoganError, match="was made with frame 32, not None"):
        prepare(cases, out, source, parameters)


def test_a_cache_of_other_scans_is_refused(tmp_path, cases, parameters, source):
    prepare(cases, tmp_path / "out", source, parameters)
    with pytest.raises(PathoganError, match="other scans"):
        prepare(cases[1:], tmp_path / "out", source, parameters)


def test_foreign_and_copied_half_caches_are_refused_and_left_alone(
    tmp_path, cases, parameters, source
):
    out = tmp_path / "out"
    prepare(cases, out, source, parameters)
    (out / "prepared.json").unlink()
    before = content(out)
    for attempt in (
        lambda: prepare(cases, out, source, parameters),
        lambda: PreparedSlices.open(out),
    ):
        with pytest.raises(PathoganError, match="half-written"):
            attempt()
    assert content(out) == before


def names_in(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.rglob("*"))


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_disk_that_fails_at_any_moment(tmp_path, cases, parameters, source, code):
    prepare(cases, tmp_path / "whole", source, parameters)
    expected = content(tmp_path / "whole")
    real = os.fsync
    # 1: the plan. 2-9: the first scan's arrays. 10: its journal line. Then 9 a scan; table; info.
    for nth in (1, 2, 9, 10, 11, 30, 55, 56, 57):
        out = tmp_path / f"full-{nth}"
        calls = 0

        def fsync(handle, nth=nth):
            nonlocal calls
            calls += 1
            if calls >= nth:
                raise OSError(code, os.strerror(code))
            real(handle)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "fsync", fsync)
            with pytest.raises(PathoganError, match=os.strerror(code)) as caught:
                prepare(cases, out, source, parameters)
        assert str(out) in str(caught.value)
        assert "\n" not in str(caught.value)
        if nth < 10:
            assert not out.exists()  # nothing was finished, so nothing stays
        with pytest.raises(PathoganError):
            PreparedSlices.open(out)
        prepare(cases, out, source, parameters)
        assert content(out) == expected


def test_a_file_that_may_not_grow_is_one_line(tmp_path, cases, parameters, source):
    """A limit of the operating system, met by real writes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, hard))
    try:
        with pytest.raises(PathoganError, match=r"cannot be written \(File too large\)"):
            prepare(cases, tmp_path / "out", source, parameters)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not (tmp_path / "out").exists()


def test_an_impossible_folder_is_one_line(tmp_path, cases, parameters, source):
    (tmp_path / "file").write_text("")
    with pytest.raises(PathoganError, match="Not a directory"):
        prepare(cases, tmp_path / "file" / "out", source, parameters)


class BrokenCase(FakeCase):
    """Its T2 holds a NaN."""

    def load(self):
        loaded = super().load()
        t2 = loaded.volumes["t2"].astype(np.float32)
        t2[3, 4, 5] = np.nan
        return replace(loaded, volumes={**loaded.volumes, "t2": t2})


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (BrokenCase("b_1", "b"), "b_1: t2 has voxels that are not finite"),
        (FakeCase("b_1", "b", shape=(20, 28, 25)), "b_1: t1 is 20x28x25 .* instead of 20x28x24"),
    ],
)
def test_a_bad_scan_is_named_and_mended(tmp_path, cases, parameters, source, case, words):
    out = tmp_path / "out"
    with pytest.raises(PathoganError, match=words):
        prepare([case], out, source, parameters)
    assert not out.exists()
    with pytest.raises(PathoganError, match=words):
        prepare([*cases[:2], case, *cases[3:]], out, source, parameters)
    prepare(cases, out, source, parameters)
    prepare(cases, tmp_path / "fresh", source, parameters)
    assert content(out) == content(tmp_path / "fresh")


class LethalCase(FakeCase):
    """Kills the process that loads it, as the system does when memory runs out."""

    def load(self):
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (BrokenCase("b_1", "b"), "b_1: t2 has voxels that are not finite numbers; run"),
        (LethalCase("b_1", "b"), "2 workers: a process was killed"),
    ],
)
def test_faults_in_workers_are_one_line_too(tmp_path, cases, parameters, source, case, words):
    with pytest.raises(PathoganError, match=words):
        prepare([*cases[:2], case, *cases[3:]], tmp_path / "out", source, parameters, workers=2)
    with pytest.raises(PathoganError, match=r"half-written|holds no prepared"):
        PreparedSlices.open(tmp_path / "out")


def test_impossible_requests_leave_nothing_behind(tmp_path, cases, parameters, source):
    out = tmp_path / "out"
    for asked, chosen, words in [
        ([], parameters, "empty"),
        (cases, replace(parameters, grades=("unknown",)), "grades found: HGG, LGG"),
        ([*cases, cases[0]], parameters, "two scans have this name"),
    ]:
        with pytest.raises(PathoganError, match=words):
            prepare(asked, out, source, chosen)
    with pytest.raises(PathoganError, match="patient b has no split"):
        prepare(cases, out, source, parameters, splits={"a": "train"})
    assert not out.exists()


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"first_slice": -1}, "first_slice"),
        ({"last_slice": 240}, "last_slice"),
        ({"first_slice": 100, "last_slice": 99}, "last_slice"),
        ({"sizes": ()}, "sizes"),
        ({"sizes": (64, 64)}, "sizes"),
        ({"sizes": (156,)}, "sizes"),
        ({"white_percentile": 101.0}, "white_percentile"),
        ({"split": (0.5, 0.2, 0.2)}, "split"),
        ({"split": (float("nan"), 0.5, 0.5)}, "split"),
        ({"grades": ()}, "grades"),
        ({"plane": "coronal"}, "plane"),
        ({"plane": "axial", "last_slice": 155}, "last_slice"),
        ({"plane": "axial", "sizes": (241,), "last_slice": 130}, "sizes"),
        ({"frame": 0}, "frame"),
        ({"frame": 481}, "frame"),
        ({"frame": 100}, "sizes"),
        ({"sequences": ()}, "sequences"),
        ({"sequences": ("t1c", "t1")}, "sequences"),
        ({"sequences": ("t1", "t1")}, "sequences"),
        ({"sequences": ("t3",)}, "sequences"),
    ],
)
def test_impossible_parameters_are_named(change, name):
    with pytest.raises(PathoganError, match=f"parameter {name}"):
        PreparationParameters(**change)


def test_section_3_is_recorded_as_it_always_was(tmp_path, cases, parameters, source):
    """Literally: a fingerprint that moves would disown every run trained on these slices."""
    assert PreparationParameters().as_record() == {
        "grades": ["HGG"],
        "first_slice": 80,
        "last_slice": 149,
        "sizes": [128, 64],
        "white_percentile": 99.5,
        "split": [0.7, 0.1, 0.2],
        "split_seed": 0,
        "volume_shape": [155, 240, 240],
        "axis": "x of LPS, growing to the patient's left",
        "shown": "superior up, anterior left",
        "resize": "area",
        "revision": 1,
    }
    prepared = prepare(cases, tmp_path / "out", source, parameters)
    assert prepared.fingerprint == (
        "a7a4d458ce6d5ab1085cbf07a553ab342f38e9227a6287ab1fb8b106fbacfc8c"
    )


def test_section_4_is_axial_t1c_of_the_same_patients():
    chosen = PreparationParameters.section4()
    assert (chosen.plane, chosen.sequences, chosen.slices_per_scan) == ("axial", ("t1c",), 101)
    section3 = PreparationParameters()
    assert (chosen.split, chosen.split_seed) == (section3.split, section3.split_seed)
    record = chosen.as_record()
    assert record["axis"] == "z of LPS, growing to superior"
    assert (record["sequences"], "frame" in record) == (["t1c"], False)
    padded = PreparationParameters.section4("printed", frame=256, sizes=(256,))
    assert padded.as_record()["frame"] == 256
    assert padded.split == (0.7, 0.2, 0.1)
    with pytest.raises(PathoganError, match="choose one of possible, printed"):
        PreparationParameters.section4("exact")


def test_section_4_sizes_are_means_of_whole_blocks_within_powers_of_two():
    """So the GAN's image without its zeros is the classifier's, and neither is resampled."""
    side = PreparationParameters.section4().volume_shape[1]
    image = np.random.default_rng(0).uniform(0, 255, (1, side, side)).astype(np.float32)
    for size in PreparationParameters.section4().sizes:
        block = side // size
        blocks = image.reshape(1, size, block, size, block).mean(axis=(2, 4))
        shrunk = resize_area(image, size)
        assert np.allclose(shrunk, blocks, atol=1e-3)
        frame = 16 * size // 15  # as 256 is to 240
        assert frame.bit_count() == 1
        assert np.array_equal(fit_frame(fit_frame(shrunk, frame), size), shrunk)
        # Shrinking the framed slice is framing the shrunk one: one scale, whichever comes first.
        framed_first = resize_area(fit_frame(image, 256), frame)
        assert np.allclose(framed_first, fit_frame(shrunk, frame), atol=1e-3)


def test_given_splits_are_used_and_recorded(tmp_path, cases, parameters, source):
    given = {name: "test" if name == "a" else "train" for name in "abcde"}
    prepared = prepare(cases, tmp_path / "out", source, parameters, splits=given)
    table = prepared.table.drop_duplicates("patient").set_index("patient")
    assert table["split"].to_dict() == given
    assert prepared.info["parameters"]["split_by"] == "list"


def test_prepared_json_says_what_the_contract_names(tmp_path, cases, parameters, source):
    prepare(cases, tmp_path / "out", source, parameters)
    info = json.loads((tmp_path / "out" / "prepared.json").read_text())
    assert (info["cohort"], info["source"], info["cohort_recipe"]) == (
        "fake",
        "simulated",
        dict(source.recipe),
    )
    assert (info["patients"], info["scans"], info["slices"]) == (5, 6, 36)
    assert info["parameters"]["volume_shape"] == list(SHAPE)
    assert {"manifest_sha256", "fingerprint", "content_sha256", "code_version"} <= set(info)
    table = pd.read_parquet(tmp_path / "out" / "slices.parquet")
    assert list(table.columns) == [
        *("patient", "scan", "grade", "slice", "split", "brain_fraction"),
        *(f"{tissue}_voxels" for tissue in TISSUES),
    ]
