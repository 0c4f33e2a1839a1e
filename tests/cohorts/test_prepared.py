"""What training reads: selections of the arrays, provenance, and refusal of damaged folders."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from pathogan_core.cohorts.cases import SEQUENCES
from pathogan_core.cohorts.prepare import prepare
from pathogan_core.cohorts.prepared import PreparedSlices
from pathogan_core.errors import PathoganError


@pytest.fixture
def prepared(tmp_path, cases, parameters, source) -> PreparedSlices:
    return prepare(cases, tmp_path / "out", source, parameters)


@pytest.mark.parametrize("split", [None, "train", "validation", "test"])
def test_images_patients_and_sequences_agree_row_by_row(prepared, split):
    rows = prepared.table if split is None else prepared.table.query("split == @split")
    for size in (16, 8):
        single = {s: prepared.images(s, size, split) for s in SEQUENCES}
        for sequence, images in single.items():
            on_disk = np.load(prepared.folder / f"{sequence}_{size}.npy")
            assert np.array_equal(images, on_disk[rows.index])
            assert prepared.patients_of(sequence, split).tolist() == rows["patient"].tolist()
            assert set(prepared.sequence_of(sequence, split)) == {sequence}
        pooled = prepared.images("concat", size, split)
        assert np.array_equal(pooled, np.concatenate(list(single.values())))
        for sequence, images in single.items():
            assert np.array_equal(pooled[prepared.sequence_of("concat", split) == sequence], images)
    assert prepared.patients_of("concat", split).tolist() == rows["patient"].tolist() * 4


def test_a_set_of_one_sequence_holds_no_other_and_no_pool(tmp_path, cases, parameters, source):
    chosen = replace(parameters, sequences=("t1c",))
    prepared = prepare(cases, tmp_path / "one", source, chosen)
    whole = prepare(cases, tmp_path / "whole", source, parameters)
    assert prepared.sequences == ("t1c",)
    assert whole.sequences == (*SEQUENCES, "concat")
    assert np.array_equal(prepared.images("t1c", 16), whole.images("t1c", 16))
    assert sorted(path.name for path in prepared.folder.glob("*.npy")) == [
        *("t1c_16.npy", "t1c_8.npy")
    ]
    prepared.verify()
    for name in ("t1", "concat"):
        with pytest.raises(PathoganError, match=f"no sequence '{name}'; choose one of t1c$"):
            prepared.images(name, 16)


@pytest.mark.parametrize("split", [None, "train", "test"])
def test_a_selection_is_a_set_of_its_own_on_the_same_files(prepared, split):
    chosen = (prepared.table["slice"] % 2 == 0).to_numpy()
    even = prepared.select(chosen, {"every": 2})
    inside = chosen if split is None else chosen & (prepared.table["split"] == split).to_numpy()
    for sequence, size in (("t1c", 16), ("concat", 8)):
        times = len(prepared.images(sequence, size)) // len(prepared.table)
        expected = prepared.images(sequence, size)[np.tile(inside, times)]
        assert np.array_equal(even.images(sequence, size, split), expected)
        assert len(even.patients_of(sequence, split)) == len(expected)
        assert even.provenance(sequence, size, split)["images"] == len(expected)
    assert even.table["slice"].tolist() == prepared.table["slice"][chosen].tolist()
    again = even.select((even.table["slice"] == 10).to_numpy(), {"slice": 10})
    ten = (prepared.table["slice"] == 10).to_numpy()
    assert np.array_equal(again.images("t2", 8), prepared.images("t2", 8)[ten])
    again.verify()


def test_a_selection_has_its_own_fingerprint_which_its_meaning_decides(prepared):
    chosen = np.arange(len(prepared.table)) < 5
    made = [
        prepared.select(chosen, {"class": "tumour"}),
        prepared.select(chosen, {"class": "non_tumour"}),
        prepared.select(chosen, {"class": "tumour"}).select(chosen[:5], {"class": "tumour"}),
    ]
    assert len({prepared.fingerprint, *(part.fingerprint for part in made)}) == 4
    assert prepared.select(chosen, {"class": "tumour"}).fingerprint == made[0].fingerprint
    assert made[0].provenance("t1", 8)["content_sha256"] == prepared.info["content_sha256"]


def test_an_empty_selection_is_one_line(prepared):
    with pytest.raises(PathoganError, match="holds no slice with class tumour, every 3; prepare"):
        prepared.select(np.zeros(len(prepared.table), bool), {"class": "tumour", "every": 3})


def test_splits_share_no_patient_and_cover_all_images(prepared):
    people = [set(prepared.patients_of("t1", s)) for s in ("train", "validation", "test")]
    assert sum(map(len, people)) == len(set().union(*people)) == 5
    counts = [len(prepared.images("concat", 8, s)) for s in ("train", "validation", "test")]
    assert sum(counts) == len(prepared.images("concat", 8)) == 4 * 36


def test_images_are_the_callers_own(prepared):
    prepared.images("t1", 8)[:] = 0
    assert prepared.images("t1", 8).any()
    with pytest.raises(ValueError, match="read-only"):
        prepared.memmap("t1", 8)[:] = 0


def test_provenance_is_an_input_of_a_record(prepared):
    entry = prepared.provenance("concat", 16, "train")
    assert set(entry) == {
        *("cohort", "source", "fingerprint", "content_sha256", "manifest_sha256"),
        *("patients", "images"),
    }
    assert entry["images"] == len(prepared.images("concat", 16, "train"))
    assert entry["patients"] == prepared.table.query("split == 'train'")["patient"].nunique()
    assert entry["fingerprint"] == prepared.fingerprint


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (
            lambda p: p.images("t3", 16),
            "no sequence 't3'; choose one of t1, t1c, t2, flair, concat",
        ),
        (lambda p: p.images("t1", 32), "no size 32; choose one of 16, 8"),
        (lambda p: p.images("t1", 16, "dev"), "no split 'dev'; choose one of train, validation"),
        (lambda p: p.provenance("t1", 32), "no size 32"),
        (lambda p: p.patients_of("t3"), "no sequence 't3'"),
    ],
)
def test_what_is_not_held_lists_what_is(prepared, ask, words):
    with pytest.raises(PathoganError, match=words):
        ask(prepared)


def test_damaged_folders_are_refused(prepared):
    folder = prepared.folder
    path = folder / "t2_16.npy"
    whole = path.read_bytes()
    for damaged, words in [
        (whole[:-1], "cannot be read"),
        (whole[:50], "cannot be read"),
        (b"", "cannot be read"),
        ((folder / "t2_8.npy").read_bytes(), "is uint8 36x8x8 instead of uint8 36x16x16"),
    ]:
        path.write_bytes(damaged)
        with pytest.raises(PathoganError, match=words) as caught:
            PreparedSlices.open(folder)
        assert "t2_16.npy" in str(caught.value)
    path.unlink()
    with pytest.raises(PathoganError, match=r"t2_16\.npy"):
        PreparedSlices.open(folder)
    path.write_bytes(whole)
    (folder / "slices.parquet").write_bytes(b"PAR1")
    with pytest.raises(PathoganError, match="cannot be read"):
        PreparedSlices.open(folder)


@pytest.mark.parametrize("text", ["{", "{}", '{"slices": 36}', "[]"])
def test_a_damaged_description_is_one_line(prepared, text):
    (prepared.folder / "prepared.json").write_text(text)
    with pytest.raises(PathoganError):
        PreparedSlices.open(prepared.folder)


def test_no_folder_and_an_empty_folder(tmp_path):
    for folder in (tmp_path / "none", tmp_path):
        with pytest.raises(PathoganError, match="holds no prepared slices"):
            PreparedSlices.open(folder)


def test_verify_sees_one_changed_pixel(prepared):
    prepared.verify()
    array = np.load(prepared.folder / "t1_8.npy", mmap_mode="r+")
    array[3, 2, 1] ^= 1
    array.flush()
    with pytest.raises(PathoganError, match="has changed"):
        prepared.verify()


@pytest.mark.parametrize("module", ["prepared", "prepare", "simulated", "slice_classes"])
def test_a_bare_server_needs_no_imaging_library(module):
    program = f"""
import sys
import pathogan_core.cohorts.{module}
print(*({{"SimpleITK", "pydantic", "torch", "nilearn", "plotly"}} & set(sys.modules)))
"""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout.strip() == ""
