"""What is drawn of the distribution measures is what the records say."""

import pytest

from pathogan_core.evaluation.catalogue import SEQUENCE_LABELS
from pathogan_core.evaluation.features import SEQUENCES
from pathogan_core.figures.fidelity import measures_beside_floors, sequence_shares


def metric(value, interval=None):
    return {"value": value, "n": 1000, "interval": interval}


RUNS = {
    "DCGAN T1c 64": {
        "kid": metric(0.5, [0.4, 0.7]),
        "kid_floor": metric(0.1, [0.05, 0.2]),
        "recall": metric(0.3),
        "recall_floor": metric(0.8, [0.7, 0.9]),
    },
    "WGAN T1c 64": {},
}


def trace(figure, kind, panel):
    return [t for t in figure.data if t.type == kind][panel]


def test_marks_whiskers_and_bands_are_the_records():
    figure = measures_beside_floors(RUNS, ["kid", "recall"])
    marks = trace(figure, "scatter", 0)
    assert list(marks.y) == ["DCGAN T1c 64"]  # the unmeasured run has a row and no mark
    assert list(marks.x) == [0.5]
    assert marks.error_x.array[0] == pytest.approx(0.2)
    assert marks.error_x.arrayminus[0] == pytest.approx(0.1)
    band = trace(figure, "bar", 0)
    assert (band.base[0], band.base[0] + band.x[0]) == pytest.approx((0.05, 0.2))
    without = trace(figure, "scatter", 1)
    assert (without.error_x.array[0], without.error_x.arrayminus[0]) == (0, 0)
    assert list(figure.layout.yaxis.categoryarray) == ["WGAN T1c 64", "DCGAN T1c 64"]


def test_panels_say_which_way_is_better_and_the_words_say_the_numbers():
    figure = measures_beside_floors(RUNS, ["kid", "recall"])
    titles = [note.text for note in figure.layout.annotations]
    assert titles == ["KID (← better)", "Recall (better →)"]
    assert "DCGAN T1c 64 0.5 (real images 0.1)" in figure.layout.meta["alt"]


def test_shares_add_up_and_the_first_bar_is_real_images():
    shares = {"t1": 0.4, "t1c": 0.3, "t2": 0.2, "flair": 0.1}
    metrics = {f"sequence_{name}_fake": metric(value) for name, value in shares.items()}
    metrics |= {f"sequence_{name}_real": metric(0.25) for name in shares}
    figure = sequence_shares({"WGAN Concat 64": metrics})
    assert [list(bar.y) for bar in figure.data] == [["real, held out", "WGAN Concat 64"]] * 4
    assert [bar.x[0] for bar in figure.data] == pytest.approx([25] * 4)
    assert [bar.x[1] for bar in figure.data] == pytest.approx([40, 30, 20, 10])
    assert [bar.name for bar in figure.data] == ["T1", "T1c", "T2", "FLAIR"]
    assert tuple(SEQUENCE_LABELS) == SEQUENCES  # or a share would be missing
