"""What a notebook may be told."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from pathogan_core.errors import PathoganError
from pathogan_core.experiments.chapter3 import Parameters, prepared_slices


def test_known_names_are_taken_and_the_rest_of_a_namespace_is_not():
    namespace = {
        "size": 128,
        "models": ["wgan"],
        "In": [],
        "_i1": "",
        "math": math,
        "P": Parameters,
    }
    parameters = Parameters.from_notebook(namespace)
    assert (parameters.size, parameters.models) == (128, ("wgan",))
    assert Parameters.from_notebook({}) == Parameters()


@pytest.mark.parametrize(
    ("namespace", "line"),
    [
        ({"step_dcgan": 3}, "step_dcgan: is not a parameter.*did you mean steps_dcgan"),
        ({"models": "['wgan']"}, "models: .*give a list, e.g. .*use -y"),
        ({"learning_rate_wgan": "1e-4"}, "learning_rate_wgan: .*1.0e-4"),
        ({"patients": 2.5}, "patients: is 2.5"),
        ({"bf16": 1}, "bf16: is 1"),
        ({"learning_rate_wgan": math.nan}, "learning_rate_wgan: is nan; give a finite number"),
        ({"learning_rate_dcgan": -math.inf}, "learning_rate_dcgan: is -inf; give a finite number"),
        ({"learning_rate_dcgan": 10**400}, "learning_rate_dcgan: is inf; give a finite number"),
        ({"models": ["wgan", 3]}, "models: is 3 .*give a str, e.g. 'dcgan'"),
        ({"models": ("wgan", None)}, "models: is None .*give a str"),
        ({"models": ["vae"]}, "models: 'vae' is unknown"),
        ({"models": []}, "models: is empty; name dcgan"),
        ({"steps_wgan": 0}, "steps_wgan: is 0; give more than 0"),
        ({"learning_rate_dcgan": -1.0}, "learning_rate_dcgan: is -1.0"),
        ({"sequence": "pd"}, "sequence: 'pd' is unknown; choose from t1, t1c"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(namespace, line):
    with pytest.raises(PathoganError, match=line):
        Parameters.from_notebook(namespace)


def test_an_integer_serves_where_a_float_is_expected():
    assert Parameters.from_notebook({"learning_rate_dcgan": 1}).learning_rate_dcgan == 1.0


def test_a_relative_folder_lies_in_the_project_wherever_the_notebook_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("PATHOGAN_HOME", str(tmp_path / "project"))
    monkeypatch.chdir(tmp_path)
    for given, meant in [
        ("data/mine", tmp_path / "project" / "data" / "mine"),
        (str(tmp_path / "elsewhere"), tmp_path / "elsewhere"),
    ]:
        with pytest.raises(PathoganError) as refused:
            prepared_slices(replace(Parameters(), prepared=given))
        assert refused.value.where == meant
