"""The manifests in the repository, and mistakes in one."""

from __future__ import annotations

import copy
import re

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
from pathogan_core.errors import PathoganError

CONTENT = yaml.safe_load(manifest_path("brats2016").read_text())


def places(value: object, at: tuple = ()) -> list[tuple]:
    """Every path in a nested mapping or list."""
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    else:
        return [at]
    return [at, *(place for key, part in inner for place in places(part, (*at, key)))]


OPTIONAL = [("access", "notes"), ("expected", "cases", "LGG")]
PLACES = [place for place in places(CONTENT) if place]


def changed(place: tuple, value: object, *, remove: bool = False) -> dict:
    content = copy.deepcopy(CONTENT)
    part = content
    for key in place[:-1]:
        part = part[key]
    if remove:
        del part[place[-1]]
    else:
        part[place[-1]] = value
    return content


def refusal(tmp_path_factory, content: object) -> str:
    path = tmp_path_factory.mktemp("manifest") / "brats2016.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    with pytest.raises(PathoganError) as caught:
        read_manifest(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
    assert caught.value.remedy
    return line


def test_every_manifest_is_valid_and_carries_the_thesis_counts():
    assert manifest_names() == ["brats2016"]
    manifest = load_manifest("brats2016")
    assert manifest.expected.cases == {"HGG": 220, "LGG": 54}
    assert manifest.expected.slices_per_sequence == 15_400 == 220 * 70


def test_the_librarys_defaults_are_the_manifests():
    assert load_manifest("brats2016").parameters() == PreparationParameters()


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(PLACES), st.sampled_from([None, {"x": 1}, [[]], -1.5]))
def test_a_value_of_the_wrong_kind_names_its_field(tmp_path_factory, place, value):
    if place in OPTIONAL and value is None:
        return
    line = refusal(tmp_path_factory, changed(place, value))
    assert str(place[0]) in line


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([p for p in PLACES if isinstance(p[-1], str)]))
def test_a_missing_or_misspelt_field_is_named(tmp_path_factory, place):
    if place in OPTIONAL:
        return
    assert place[0] in refusal(tmp_path_factory, changed(place, None, remove=True))
    misspelt = (*place[:-1], f"{place[-1]}x")
    line = refusal(tmp_path_factory, changed(misspelt, "anything"))
    assert f"{place[-1]}x" in line


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (("split", "fractions", "train"), 0.8, "split.fractions: .*sum to 1.1"),
        (("selection", "last_slice"), 60, "selection: .*last_slice 60 is before first_slice 80"),
        (("selection", "last_slice"), 240, "last_slice"),
        (("selection", "first_slice"), 81, "slices_per_sequence is 15400, but .* gives 15180"),
        (("layouts",), ["2016", "2011"], "layouts: 2011 is none of 2016"),
        (("preparation", "sizes"), [64, 64], "sizes"),
        (("preparation", "white_percentile"), 0.0, "white_percentile"),
        (("name",), "brats2015", "make it 'brats2016'"),
        (("provenance", "doi"), "unknown", "provenance.doi"),
    ],
)
def test_contradictions_are_named(tmp_path_factory, place, value, words):
    assert re.search(words, refusal(tmp_path_factory, changed(place, value)))


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
    with pytest.raises(PathoganError, match="brats2015: is no cohort; choose one of brats2016"):
        load_manifest("brats2015")
