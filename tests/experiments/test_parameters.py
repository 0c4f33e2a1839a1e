"""What a notebook may be told."""

from __future__ import annotations

import math

import pytest

from pathogan_core.errors import PathoganError
from pathogan_core.experiments.chapter3 import Parameters


def test_known_names_are_taken_and_the_rest_of_a_namespace_is_not():
    namespace = {"size": 32, "models": ["wgan"], "In": [], "_i1": "", "math": math, "P": Parameters}
    parameters = Parameters.from_notebook(namespace)
    assert (parameters.size, parameters.models) == (32, ("wgan",))
    assert Parameters.from_notebook({}) == Parameters()


@pytest.mark.parametrize(
    ("namespace", "line"),
    [
        ({"step_dcgan": 3}, "step_dcgan: is not a parameter.*did you mean steps_dcgan"),
        ({"models": "['wgan']"}, "models: .*use -y"),
        ({"learning_rate_wgan": "1e-4"}, "learning_rate_wgan: .*1.0e-4"),
        ({"patients": 2.5}, "patients: is 2.5"),
        ({"bf16": 1}, "bf16: is 1"),
        ({"models": ["vae"]}, "models: 'vae' is unknown"),
        ({"sequence": "pd"}, "sequence: 'pd' is unknown; choose from t1, t1c"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(namespace, line):
    with pytest.raises(PathoganError, match=line):
        Parameters.from_notebook(namespace)


def test_an_integer_serves_where_a_float_is_expected():
    assert Parameters.from_notebook({"learning_rate_dcgan": 1}).learning_rate_dcgan == 1.0
