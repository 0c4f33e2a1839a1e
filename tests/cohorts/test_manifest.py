"""The manifests in the repository, and mistakes in one."""

from __future__ import annotations

import copy
import re
from collections import Counter

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pathogan_core.cohorts.manifest import (
    load_manifest,
    manifest_names,
    manifest_path,
    read_manifest,
)
from pathogan_core.cohorts.prepare_parameters import PreparationParameters
from pathogan_core.cohorts.splits import SECTION5_TRAIN_ONLY, assign_splits
from pathogan_core.errors import PathoganError

CONTENTS = {name: yaml.safe_load(manifest_path(name).read_text()) for name in manifest_names()}
GLIOMAS, METASTASES = "brats2016", "brain_metastases"


def places(value: object, at: tuple = ()) -> list[tuple]:
    """Every path in a nested mapping or list."""
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    else:
        return [at]
    return [at, *(place for key, part in inner for place in places(part, (*at, key)))]


SECTION3, SECTION4, SECTION5 = (("preparations", f"section{n}") for n in (3, 4, 5))
SOURCES = [("sources", name) for name in CONTENTS[METASTASES]["sources"]]
OPTIONAL = {
    GLIOMAS: [
        ("access", "notes"),
        ("expected", "cases", "LGG"),
        (*SECTION4, "images", "frame"),
        (*SECTION4, "expected", "classes"),
    ],
    METASTASES: [
        ("access", "notes"),
        (*SECTION5, "expected", "boxes"),
        *[(*source, "layout") for source in SOURCES],
    ],
}
# May be missing, but not of the wrong kind.
REMOVABLE = {
    GLIOMAS: [
        SECTION3,
        SECTION4,
        (*SECTION4, "split", "alternatives"),
        (*SECTION4, "split", "alternatives", "printed"),
    ],
    METASTASES: [
        ("sources",),
        *SOURCES,
        (*SECTION5, "images", "lesion_tissues"),
        (*SECTION5, "split", "train_only"),
    ],
}
PLACES = [(name, place) for name, content in CONTENTS.items() for place in places(content) if place]


def changed(place: tuple, value: object, name: str = GLIOMAS, *, remove: bool = False) -> dict:
    content = copy.deepcopy(CONTENTS[name])
    part = content
    for key in place[:-1]:
        part = part[key]
    if remove:
        del part[place[-1]]
    else:
        part[place[-1]] = value
    return content


def refusal(tmp_path_factory, content: object, name: str = GLIOMAS) -> str:
    path = tmp_path_factory.mktemp("manifest") / f"{name}.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    with pytest.raises(PathoganError) as caught:
        read_manifest(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
    assert caught.value.remedy
    return line


def test_the_cohort_of_gliomas_carries_the_thesis_counts():
    assert manifest_names() == [METASTASES, GLIOMAS]
    manifest = load_manifest(GLIOMAS)
    assert manifest.expected.cases == {"HGG": 220, "LGG": 54}
    section3, section4 = (manifest.preparation(f"section{n}") for n in (3, 4))
    assert section3.expected.slices_per_sequence == 15_400 == 220 * 70
    assert section4.expected.slices_per_sequence == 22_220 == 220 * 101
    printed = section4.expected.classes.rows()
    assert [(row.patients, row.tumour, row.non_tumour) for row in printed.values()] == [
        *((154, 4_679, 3_750), (44, 750, 608), (22, 1_232, 1_013))
    ]


def test_the_cohort_with_metastases_carries_the_thesis_counts():
    manifest = load_manifest(METASTASES)
    assert manifest.expected.cases == {"metastases": 180, "normal": 193}
    section5 = manifest.preparation()
    assert section5.expected.slices_per_sequence == 46_998 == (180 + 193) * 126
    printed = section5.expected.boxes.rows()
    assert [(row.patients, row.images, row.boxes) for row in printed.values()] == [
        *((126, 2_813, 5_963), (18, 337, 616), (36, 947, 3_094))
    ]
    people = [f"patient_{i}" for i in range(180)]
    drawn = assign_splits(people, manifest.parameters().split, 0)
    assert Counter(drawn.values()) == {split: row.patients for split, row in printed.items()}
    assert tuple(section5.split.train_only) == SECTION5_TRAIN_ONLY


def test_the_printed_split_cannot_hold_the_printed_images_and_the_default_can():
    """Thesis section 4.2.2: more test images than its 22 test patients have slices."""
    section4 = load_manifest("brats2016").preparation("section4")
    printed = section4.expected.classes.rows()
    images = {split: row.tumour + row.non_tumour for split, row in printed.items()}
    people = [f"patient_{i}" for i in range(220)]

    def room(split: str | None) -> dict[str, int]:
        fractions = load_manifest("brats2016").parameters("section4", split).split
        patients = Counter(assign_splits(people, fractions, 0).values())
        return {name: 101 * count for name, count in patients.items()}

    assert {name: row.patients for name, row in printed.items()} == {
        name: slices // 101 for name, slices in room("printed").items()
    }
    assert [name for name in images if images[name] > room("printed")[name]] == ["test"]
    assert all(images[name] <= room(None)[name] for name in images)


def test_the_librarys_defaults_are_the_manifests():
    manifest = load_manifest("brats2016")
    assert manifest.parameters() == manifest.parameters("section3") == PreparationParameters()
    assert manifest.parameters("section4") == PreparationParameters.section4()
    assert manifest.parameters("section4", "printed") == PreparationParameters.section4("printed")
    assert load_manifest(METASTASES).parameters() == PreparationParameters.section5()


def test_an_unknown_preparation_or_alternative_lists_the_valid_ones():
    manifest = load_manifest("brats2016")
    with pytest.raises(PathoganError, match="no preparation 'section5'; choose one of section3, s"):
        manifest.parameters("section5")
    with pytest.raises(PathoganError, match="is 'exact'; choose one of printed"):
        manifest.parameters("section4", "exact")
    with pytest.raises(PathoganError, match="none: it has no alternatives"):
        manifest.parameters("section3", "printed")


def test_the_first_preparation_is_the_default(tmp_path):
    path = tmp_path / "brats2016.yaml"
    path.write_text(yaml.safe_dump(changed(SECTION3, None, remove=True)))
    assert read_manifest(path).parameters() == PreparationParameters.section4()


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(PLACES), st.sampled_from([None, {"x": 1}, [[]], -1.5]))
def test_a_value_of_the_wrong_kind_names_its_field(tmp_path_factory, where, value):
    name, place = where
    if place in OPTIONAL[name] and value is None:
        return
    line = refusal(tmp_path_factory, changed(place, value, name), name)
    assert str(place[0]) in line


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([(name, place) for name, place in PLACES if isinstance(place[-1], str)]))
def test_a_missing_or_misspelt_field_is_named(tmp_path_factory, where):
    name, place = where
    if place in OPTIONAL[name] + REMOVABLE[name]:
        return
    line = refusal(tmp_path_factory, changed(place, None, name, remove=True), name)
    assert place[0] in line
    misspelt = (*place[:-1], f"{place[-1]}x")
    line = refusal(tmp_path_factory, changed(misspelt, "anything", name), name)
    assert f"{place[-1]}x" in line


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        ((*SECTION3, "split", "fractions", "train"), 0.8, "section3.split.fractions: .*sum to 1.1"),
        ((*SECTION3, "selection", "last_slice"), 60, "selection: .*slice 60 is before first_slice"),
        ((*SECTION3, "selection", "last_slice"), 240, "section3.selection.last_slice: is 240"),
        ((*SECTION4, "selection", "last_slice"), 155, "section4.selection.last_slice: is 155"),
        ((*SECTION3, "selection", "first_slice"), 81, "sequence is 15400, but .* gives 15180"),
        ((*SECTION3, "selection", "sequences"), ["t2", "t1"], "section3.selection.sequences"),
        ((*SECTION4, "selection", "plane"), "coronal", "section4.selection.plane"),
        ((*SECTION4, "images", "frame"), 500, "section4.images.frame: is 500"),
        (
            (*SECTION4, "split", "alternatives", "printed", "test"),
            0.2,
            "alternatives.printed: .*sum to 1.1",
        ),
        (
            (*SECTION4, "expected", "classes", "train", "tumour"),
            20_000,
            "section4.expected: classes hold 27353 images, but the selection gives 22220",
        ),
        (("preparations",), {}, "preparations"),
        (("layouts",), ["2016", "2011"], "layouts: 2011 is none of 2016"),
        ((*SECTION3, "images", "sizes"), [64, 64], "section3.images.sizes"),
        ((*SECTION3, "images", "white_percentile"), 0.0, "white_percentile"),
        (("name",), "brats2015", "make it 'brats2016'"),
        (("provenance", "doi"), "unknown", "provenance.doi"),
    ],
)
def test_contradictions_are_named(tmp_path_factory, place, value, words):
    assert re.search(words, refusal(tmp_path_factory, changed(place, value)))


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (("sequences",), ["t2"], "section5.selection.sequences: the cohort has no t1c"),
        (("sequences",), ["t1c", "t1"], "sequences: must be of t1, t1c, t2, flair, in this order"),
        (("layouts",), ["labelled", "binary"], "sources.*.layout: 2023 is none of labelled, bin"),
        (("sources", "beamster", "layout"), "2016", "sources.beamster.layout: 2016 is none of"),
        (("simulated", "layouts"), ["plain"], "layouts: plain is none of 2016"),
        (("simulated", "simulator"), "lung", "simulated.simulator"),
        ((*SECTION5, "selection", "grades"), ["metastases"], "train_only: the selection has no no"),
        ((*SECTION5, "split", "train_only"), ["metastases", "normal"], "nothing is held out"),
        ((*SECTION5, "split", "train_only"), ["healthy"], "section5.split.train_only.0"),
        ((*SECTION5, "images", "lesion_tissues"), ["vessel"], "images.lesion_tissues: is .*vessel"),
        ((*SECTION5, "images", "frame"), None, "images.lesion_tissues: .* and a frame"),
        (
            (*SECTION5, "expected", "boxes", "train", "images"),
            50_000,
            "section5.expected: boxes hold 51284 images, but the selection gives 46998",
        ),
    ],
)
def test_contradictions_of_the_cohort_with_metastases(tmp_path_factory, place, value, words):
    line = refusal(tmp_path_factory, changed(place, value, METASTASES), METASTASES)
    assert re.search(words, line)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no fields"),
        ("- a\n- b\n", "holds no fields"),
        ("name: [", "not valid YAML"),
        ("name: a\nname: b\n", "key name stands twice"),
    ],
)
def test_broken_files_are_one_line(tmp_path_factory, text, words):
    assert words in refusal(tmp_path_factory, text)


def test_an_unknown_cohort_lists_the_valid_ones():
    with pytest.raises(
        PathoganError, match="is no cohort; choose one of brain_metastases, brats2016"
    ):
        load_manifest("brats2015")
