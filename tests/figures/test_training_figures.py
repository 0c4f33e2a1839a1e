"""A training curve draws the log, all of it, against what the network has seen."""

from pathogan_core.figures.training import training_curve

LOG = [{"step": s, "images": 16 * s, "D/real": 0.5 + s, "D/fake": 0.5 - s} for s in (1, 2, 3)]


def test_every_tick_of_every_key_is_drawn_against_images_seen():
    names = {"D/real": "of real", "D/fake": "of generated"}
    figure = training_curve(LOG, names, axis="says real", title="DCGAN", alt="Two curves.")
    assert [trace.name for trace in figure.data] == ["of real", "of generated"]
    assert [list(trace.x) for trace in figure.data] == [[16, 32, 48]] * 2
    assert [list(trace.y) for trace in figure.data] == [[1.5, 2.5, 3.5], [-0.5, -1.5, -2.5]]
    assert (figure.layout.title.text, figure.layout.yaxis.title.text) == ("DCGAN", "says real")
