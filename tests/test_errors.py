"""A mistake of the user is told in one line, in a notebook too."""

from IPython.core.interactiveshell import InteractiveShell

from pathogan_core.errors import PathoganError
from pathogan_core.training.loop import Interrupted


def shown_below_a_cell(capsys, source: str) -> str:
    shell = InteractiveShell(colors="nocolor")
    shell.run_cell(source)
    return capsys.readouterr().out


def test_a_line_names_place_problem_and_remedy_and_nothing_breaks_it():
    error = PathoganError("is\n none", where="a.csv", remedy="take  another")
    assert str(error) == "a.csv: is none; take another"


def test_a_notebook_shows_the_line_and_no_traceback(capsys):
    told = shown_below_a_cell(
        capsys,
        "from pathogan_core.errors import PathoganError\n"
        "raise PathoganError('is unknown', where='size', remedy='choose 64')",
    )
    assert told.strip() == "PathoganError: size: is unknown; choose 64"


def test_other_errors_keep_their_traceback(capsys):
    assert "Traceback" in shown_below_a_cell(capsys, "1 / 0")


def test_a_stopped_training_says_how_to_go_on():
    assert issubclass(Interrupted, PathoganError)
