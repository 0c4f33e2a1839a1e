"""YOLOv3 as thesis section 5.2.3 states it; trained at an eighth of its width on squares here."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pathogan_core.boxes import iou
from pathogan_core.cad import yolov3
from pathogan_core.cad.anchor_grid import AnchorGrid
from pathogan_core.cad.box_augmentation import BoxAugmentation
from pathogan_core.cad.boxed_images import BoxedBatch, BoxedImages, BoxedMixture
from pathogan_core.cad.detections import Detections
from pathogan_core.cad.yolov3 import YOLOv3Config, objective, predict
from pathogan_core.cad.yolov3_networks import YOLOv3
from pathogan_core.errors import PathoganError
from pathogan_core.training.distribution import Distribution
from pathogan_core.training.log import read_log
from pathogan_core.training.loop import LOG, Interrupted, LoopOptions, train
from pathogan_core.training.phases import Program, Turn
from pathogan_core.training.randomness import generator_for

SIDE = 64
ANCHORS = tuple((float(k), float(k)) for k in (6, 10, 16, 24, 32, 40, 48, 56, 64))
TICKS = LoopOptions(tick_steps=2)


def small(**changes) -> YOLOv3Config:
    options = {
        "batch_size": 8, "learning_rate": 5.0e-3, "train_sizes": (SIDE,), "test_size": SIDE,
        "anchors": ANCHORS, "select_from": 0, "validate_every": 3, "width": 0.125, "depth": 0.1,
    }  # fmt: skip
    return YOLOv3Config(**{**options, **changes})


def squares(n: int, seed: int) -> BoxedImages:
    """Noise with one bright rectangle; every fourth image has none."""
    rng = np.random.default_rng(seed)
    images, boxes, rows = rng.integers(0, 60, (n, SIDE, SIDE)), [], []
    for row in range(n):
        if row % 4 == 3:
            continue
        width, height = rng.integers(12, 21, 2)
        x, y = rng.integers(0, SIDE - width + 1), rng.integers(0, SIDE - height + 1)
        images[row, y : y + height, x : x + width] += 150
        boxes.append([x, y, x + width, y + height])
        rows.append(row)
    return BoxedImages("squares", images.astype(np.uint8), np.array(boxes, float), np.array(rows))


def found_first(truth: BoxedImages) -> Callable[[list[Detections]], float]:
    """Share of boxes that overlap the best detection of their image by a half."""

    def sensitivity(found: list[Detections]) -> float:
        best = [found[row].boxes[:1] for row in truth.rows]
        pairs = zip(best, truth.boxes, strict=True)
        return float(np.mean([len(b) > 0 and iou(b, box)[0, 0] >= 0.5 for b, box in pairs]))

    return sensitivity


def program(config: YOLOv3Config, seed: int = 0) -> Program:
    training, held_out = BoxedMixture([squares(64, 1)]), squares(16, 2)
    return yolov3.program(config, training, held_out.images, found_first(held_out), seed)


def turn(step: int = 0, distribution: Distribution | None = None) -> Turn:
    return Turn(step, 0, 0, generator_for(0, "T", step, 0), distribution or Distribution())


def batch_of(*boxes: list[list[float]], size: int = SIDE) -> BoxedBatch:
    """Black images with these boxes."""
    most = max(1, *map(len, boxes))
    padded = [[*some, *[[0.0] * 4] * (most - len(some))] for some in boxes]
    present = [[k < len(some) for k in range(most)] for some in boxes]
    images = torch.full((len(boxes), 1, size, size), -1.0)
    return BoxedBatch(images, torch.tensor(padded), torch.tensor(present))


def tensors(built: Program) -> dict[str, Tensor]:
    return {
        f"{name}.{key}": value.clone()
        for name, module in built.checkpointed.items()
        for key, value in module.state_dict().items()
    }


class Saying(nn.Module):
    """A network that says the same of every image of a batch."""

    def __init__(self, raw: Tensor):
        super().__init__()
        self.raw = nn.Parameter(raw)

    def forward(self, images: Tensor) -> Tensor:
        return self.raw.expand(len(images), -1, -1)


# The network.


def test_with_80_classes_it_has_the_published_networks_parameters() -> None:
    """61,949,149 with three colours; 75 convolutions in its authors' configuration."""
    with torch.device("meta"):
        network = YOLOv3(classes=80)
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 75
    assert sum(p.numel() for p in network.parameters()) + 2 * 32 * 9 == 61_949_149
    with torch.device("meta"):
        one_class = YOLOv3()
    fewer = 80 * 3 * (256 + 512 + 1024 + 3)
    assert sum(p.numel() for p in one_class.parameters()) + 2 * 32 * 9 == 61_949_149 - fewer


def test_predictions_lie_where_the_grid_says() -> None:
    """Value v of anchor a in (row, column), of each head, is written as such by the last layer."""
    network = YOLOv3(0.125, 0.1).eval()
    for number, head in enumerate(network.heads):
        cells = SIDE // 8 >> number
        places = torch.arange(cells)[:, None] * 100 + torch.arange(cells) * 10_000
        head.last = Drawing(places, head.last.conv.out_channels)
        with torch.no_grad():
            head.predict.weight.zero_()[:, 0] = 1
            head.predict.bias.copy_(torch.arange(15) + 1_000_000 * number)
    with torch.no_grad():
        raw = network(torch.zeros(2, 1, SIDE, SIDE))
    boxes = AnchorGrid(SIDE, ANCHORS).decode(torch.zeros_like(raw))
    centres, shapes = (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
    anchor = (shapes[..., :1] == torch.tensor(ANCHORS)[:, 0]).long().argmax(-1)
    level = anchor // 3
    column, row = (centres / (8 * 2**level)[..., None]).long().unbind(-1)
    first = row * 100 + column * 10_000 + 5 * (anchor % 3) + 1_000_000 * level
    assert torch.equal(raw.long(), first[..., None] + torch.arange(5))


class Drawing(nn.Module):
    """Features that are the same for all images: these in the first channel, 0 in the others."""

    def __init__(self, places: Tensor, channels: int):
        super().__init__()
        self.places, self.channels = places.float(), channels

    def forward(self, x: Tensor) -> Tensor:
        others = torch.zeros(self.channels - 1, *self.places.shape)
        return torch.cat([self.places[None], others]).expand(len(x), -1, -1, -1)


def test_gradient_reaches_every_parameter_of_all_heads() -> None:
    network = YOLOv3(0.125, 0.1)
    yolov3.initialise(network, 0)
    images = torch.rand(4, 1, SIDE, SIDE) * 2 - 1
    some = [[[2.0, 2, 8, 8]], [[8.0, 8, 40, 40]], [[0.0, 0, 60, 60]], []]
    batch = replace(batch_of(*some), images=images)
    loss, terms = objective(small(), network(images), batch)
    assert min(terms.values()) > 0
    loss.backward()
    for name, parameter in network.named_parameters():
        assert (parameter.grad != 0).any(), name
    for term in ("centre", "size", "object"):  # each level's anchors answer for one of the boxes
        raw = network(images).detach().requires_grad_()
        objective(small(), raw, batch)[1][term].backward()
        levels = raw.grad.abs().sum((0, 2)).split([192, 48, 12])
        assert all((level > 0).sum() == 1 for level in levels), term


# The objective.

BOX = [10.0, 22, 30, 34]
"""Centre (20, 28), 20 x 12: best anchor 16 x 16, in cell (2, 3) of 8 pixels, half-way in both."""


def zeros(count: int = 1) -> Tensor:
    return torch.zeros(count, len(AnchorGrid(SIDE, ANCHORS)), 5)


def anchor_boxes() -> np.ndarray:
    """What zeros decode to, written out once more."""
    boxes = []
    for level, stride in enumerate((8, 16, 32)):
        for y in np.arange(stride / 2, SIDE, stride):
            for x in np.arange(stride / 2, SIDE, stride):
                for size in [w for w, _ in ANCHORS][3 * level : 3 * level + 3]:
                    boxes.append([x - size / 2, y - size / 2, x + size / 2, y + size / 2])
    return np.array(boxes)


@pytest.mark.parametrize("ignore", [0.3, 0.5, 0.7])
@pytest.mark.parametrize("kind", ["squared", "bce"])
def test_losses_in_closed_form_on_a_grid_of_zeros(kind: str, ignore: float) -> None:
    box = [11.0, 22, 31, 34]  # an eighth of a cell further to the right
    config = small(loss=kind, ignore_iou=ignore)
    loss, terms = objective(config, zeros(), batch_of([box]))
    # The sigmoid of 0 is 1/2, on each of the axes as well.
    one = {"squared": 0.25, "bce": math.log(2)}[kind]
    across = {"squared": 0.125**2, "bce": math.log(2)}[kind]  # should be 5/8
    down = {"squared": 0.0, "bce": math.log(2)}[kind]  # should be 1/2
    overlap = iou(anchor_boxes(), [box])[:, 0]
    answers = 3 * (3 * 8 + 2) + 2
    punished = (overlap <= ignore).sum() - (overlap[answers] <= ignore)
    expected = {
        "centre": across + down,
        "size": math.log(20 / 16) ** 2 + math.log(12 / 16) ** 2,
        "object": one,
        "empty": punished * one,
    }
    assert {k: v.item() for k, v in terms.items()} == pytest.approx(expected, rel=1e-5)
    total = 2 * expected["centre"] + 2 * expected["size"] + expected["object"] + expected["empty"]
    assert loss.item() == pytest.approx(total, rel=1e-5)


def test_thresholds_decide_how_many_are_punished() -> None:
    """The case above is none where all thresholds mean the same."""
    overlap = iou(anchor_boxes(), [[11.0, 22, 31, 34]])[:, 0]
    assert len({(overlap <= ignore).sum() for ignore in (0.3, 0.5, 0.7)}) >= 2


@pytest.mark.parametrize("kind", ["squared", "bce"])
def test_the_weights_are_those_of_their_terms(kind: str) -> None:
    weights = {"centre": 3.0, "size": 5.0, "object": 7.0, "empty": 11.0}
    config = small(loss=kind, **{f"{name}_weight": value for name, value in weights.items()})
    loss, terms = objective(config, zeros() + 0.3, batch_of([BOX]))
    assert loss.item() == pytest.approx(sum(weights[k] * v.item() for k, v in terms.items()))


def test_squared_errors_fade_where_a_sigmoid_is_sure_and_cross_entropy_does_not() -> None:
    """Of a prediction that is surely wrong: 2 s^2 (1 - s) against s, at s near 1."""
    slopes = {}
    for kind in ("squared", "bce"):
        raw = zeros()
        raw[..., 4] = 8.0
        raw.requires_grad_()
        objective(small(loss=kind), raw, batch_of([]))[0].backward()
        slopes[kind] = raw.grad[0, 0, 4].item()
    sure = torch.tensor(8.0).sigmoid().item()
    assert slopes["squared"] == pytest.approx(2 * sure**2 * (1 - sure), rel=1e-3)
    assert slopes["bce"] == pytest.approx(sure, rel=1e-5)


@pytest.mark.parametrize("kind", ["squared", "bce"])
def test_an_empty_image_only_says_that_nothing_is_there(kind: str) -> None:
    raw = torch.randn(1, zeros().shape[1], 5, generator=torch.Generator().manual_seed(0))
    raw.requires_grad_()
    loss, terms = objective(small(loss=kind), raw, batch_of([]))
    s = raw[..., 4].sigmoid().detach()
    expected = {"squared": s.square(), "bce": -(1 - s).log()}[kind].sum().item()
    assert terms["empty"].item() == loss.item() == pytest.approx(expected, rel=1e-5)
    assert [terms[name].item() for name in ("centre", "size", "object")] == [0, 0, 0]
    loss.backward()
    assert not raw.grad[..., :4].any()
    assert (raw.grad[..., 4] > 0).all()


def test_empty_images_beside_others_stay_finite() -> None:
    """The logarithm of a box that is not there is infinite, and must not reach the gradient."""
    raw = zeros(3).requires_grad_()
    loss, _ = objective(small(), raw, batch_of([BOX, [1.0, 1, 9, 9]], [], [BOX]))
    loss.backward()
    assert loss.isfinite()
    assert raw.grad.isfinite().all()


def test_the_loss_is_the_mean_over_images() -> None:
    raw = torch.randn(3, zeros().shape[1], 5, generator=torch.Generator().manual_seed(0))
    sets = [[BOX], [], [[1.0, 1, 9, 9], [30.0, 30, 62, 60]]]
    alone = [
        objective(small(), part[None], batch_of(boxes))[0].item()
        for part, boxes in zip(raw, sets, strict=True)
    ]
    loss, _ = objective(small(), raw, batch_of(*sets))
    assert loss.item() == pytest.approx(np.mean(alone), rel=1e-5)


def test_of_two_boxes_with_one_prediction_the_first_has_it() -> None:
    near = [11.0, 23, 30, 34]
    raw = torch.randn(1, zeros().shape[1], 5, generator=torch.Generator().manual_seed(0))
    config = small(ignore_iou=1.0)
    both, terms = objective(config, raw, batch_of([BOX, near]))
    alone, alone_terms = objective(config, raw, batch_of([BOX]))
    assert both.item() == pytest.approx(alone.item(), rel=1e-6)
    other, _ = objective(config, raw, batch_of([near]))
    assert other.item() != pytest.approx(alone.item(), rel=1e-6)
    assert terms.keys() == alone_terms.keys()


def test_a_prediction_that_overlaps_a_box_is_not_punished_unless_it_answers() -> None:
    grid = AnchorGrid(SIDE, ANCHORS)
    box = torch.tensor([BOX])
    answers = grid.responsible(box).item()
    beside = torch.tensor([answers + 3])  # its neighbour to the right cannot quite reach the centre
    within, logarithms = grid.encode(box, beside)
    assert within[0, 0] < 0
    raw = zeros()
    raw[0, beside, :4] = torch.cat([torch.tensor([[-9.0, 0.0]]), logarithms], 1)
    overlap = iou(grid.decode(raw)[0, beside].numpy(), [BOX])[0, 0]
    assert 0.6 < overlap < 0.7
    for ignore, punished in ((overlap - 0.01, False), (overlap + 0.01, True)):
        said = raw.clone().requires_grad_()
        objective(small(ignore_iou=float(ignore)), said, batch_of([BOX]))[0].backward()
        assert (said.grad[0, beside, 4] != 0).item() is punished
        assert not said.grad[0, beside, :4].any()  # and its box is free either way
        assert said.grad[0, answers, 4] < 0


def test_what_is_said_as_it_should_be_costs_nothing() -> None:
    boxes = torch.tensor([BOX, [1.0, 1, 9, 9], [20.0, 5, 60, 55]])
    raw = answering(boxes, SIDE)
    loss, _ = objective(small(), raw, batch_of(boxes.tolist()))
    assert loss.item() == pytest.approx(0, abs=1e-6)


def answering(boxes: Tensor, size: int, logit: float = 20.0) -> Tensor:
    """Predictions from which these boxes come out, the first with the highest score."""
    grid = AnchorGrid(size, ANCHORS)
    number = grid.responsible(boxes)
    within, logarithms = grid.encode(boxes, number)
    raw = torch.zeros(1, len(grid), 5)
    raw[..., 4] = -20
    scores = logit - torch.arange(len(boxes))[:, None].float()
    raw[0, number] = torch.cat([within.logit(), logarithms, scores], 1)
    return raw


# Detecting.


@pytest.mark.parametrize(("side", "size"), [(64, 160), (256, 608), (240, 416), (160, 64)])
def test_boxes_come_back_in_pixels_of_the_given_image(side: int, size: int) -> None:
    truth = np.array([[0.1, 0.2, 0.3, 0.35], [0.5, 0.5, 0.95, 0.9], [0.0, 0.8, 0.1, 1.0]]) * side
    network = Saying(answering(torch.tensor(truth * size / side).float(), size, logit=8.0))
    found = predict(network, np.zeros((3, side, side), np.uint8), small(test_size=size), batch=2)
    assert len(found) == 3
    for one in found:
        np.testing.assert_allclose(one.boxes, truth, atol=1e-3)
        assert (one.scores > 0.99).all()


def test_boxes_end_at_the_image() -> None:
    raw = torch.zeros(1, len(AnchorGrid(SIDE, ANCHORS)), 5)
    raw[..., 2:4] = 4.0
    raw[0, 0, :4] = torch.tensor([0, 0, 200.0, -200.0])  # beyond any number, and no area
    config = small(suppress_iou=1.0)
    (found,) = predict(Saying(raw), np.zeros((1, SIDE, SIDE), np.uint8), config)
    assert np.isfinite(found.boxes).all()
    assert ((found.boxes >= 0) & (found.boxes <= SIDE)).all()
    assert (found.boxes[:, 2:] > found.boxes[:, :2]).all()


def test_an_image_s_detections_are_its_own() -> None:
    network = YOLOv3(0.125, 0.1)
    yolov3.initialise(network, 0)
    images, config = squares(5, 3).images, small(score_threshold=0.4)
    whole = predict(network, images, config)
    for batch in (1, 2):
        for one, other in zip(whole, predict(network, images, config, batch), strict=True):
            np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)
            np.testing.assert_allclose(one.boxes, other.boxes, atol=1e-2)
    assert network.training
    assert predict(network, images[:0], config) == []
    assert all((np.diff(one.scores) <= 0).all() for one in whole)


# Training.


@pytest.mark.parametrize("kind", ["squared", "bce"])
def test_it_learns_what_a_square_is(kind: str, tmp_path: Path) -> None:
    config = small(loss=kind, validate_every=1000, augmentation=BoxAugmentation(gain=0.1))
    built = program(config)
    train(built, tmp_path, steps=130, seed=0, options=LoopOptions(tick_steps=13))
    lines = read_log(tmp_path / LOG)
    assert lines[-1]["T/loss"] < lines[0]["T/loss"] / 10
    unseen = squares(40, 9)
    found = predict(built.modules["detector"], unseen.images, config)
    assert found_first(unseen)(found) >= 0.5  # by chance: 0.02
    best = np.array([one.scores.max(initial=0) for one in found])
    with_square = np.isin(np.arange(40), unseen.rows)
    assert np.median(best[with_square]) > 3 * np.median(best[~with_square])


@pytest.mark.parametrize("stop_at", [1, 2, 3])
def test_interrupted_run_equals_uninterrupted_bit_for_bit(tmp_path: Path, stop_at: int) -> None:
    """With augmentation, a size of each step, Adam's moments, validation and running statistics."""
    config = small(train_sizes=(32, 64, 96), score_threshold=0.3)
    whole, halves, rest = program(config), program(config), program(config)
    train(whole, tmp_path / "whole", steps=5, seed=5, options=TICKS)
    phase = halves.phases[0]

    def stop_then(turn: Turn):
        if turn.step == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)
        return phase.loss(turn)

    halves.phases[0] = replace(phase, loss=stop_then)
    with pytest.raises(Interrupted):
        train(halves, tmp_path / "halves", steps=5, seed=5, options=TICKS)
    torch.manual_seed(99)  # global state plays no part
    train(rest, tmp_path / "halves", steps=5, seed=5, options=TICKS)
    one, two = tensors(whole), tensors(rest)
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    first, second = (
        [{k: v for k, v in line.items() if k != "seconds"} for line in read_log(folder / LOG)]
        for folder in (tmp_path / "whole", tmp_path / "halves")
    )
    assert first == second


def test_the_size_is_the_steps_and_all_come_up() -> None:
    config = small(train_sizes=(32, 64, 96))
    sizes = [yolov3.step_size(config, turn(step)) for step in range(300)]
    assert sizes == [yolov3.step_size(config, turn(step)) for step in range(300)]
    assert all(sizes.count(size) > 70 for size in (32, 64, 96))
    assert yolov3.step_size(config, turn(7, Distribution(1, 2))) == sizes[7]


def test_images_and_boxes_are_resized_alike() -> None:
    seen = {}

    class Spy(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            seen["images"] = images
            return answering(torch.tensor([[0.0, 0, 192, 192]]), 192).expand(len(images), -1, -1)

    whole = BoxedImages(
        "whole", np.full((1, SIDE, SIDE), 255, np.uint8), np.array([[0.0, 0, 64, 64]]), np.zeros(1)
    )
    still = BoxAugmentation(False, False, 0, 0, 0, 0)
    config = small(train_sizes=(192,), batch_size=2, augmentation=still)
    loss, _ = yolov3.detection_loss(config, BoxedMixture([whole]), Spy())(turn())
    assert seen["images"].shape == (2, 1, 192, 192)
    assert loss.item() == pytest.approx(0, abs=1e-6)


def test_weights_of_the_best_validation_are_kept_within_the_window(tmp_path: Path) -> None:
    """Sensitivities come from a list; steps 3 and 6 are before the window."""
    given = iter([0.2, 0.6, 0.6, 0.5])
    config = small(select_from=7)
    built = yolov3.program(
        config, BoxedMixture([squares(8, 1)]), squares(2, 2).images, lambda found: next(given), 0
    )
    kept, module = {}, built.modules["detector"]
    phase = built.phases[0]

    def noting(turn: Turn):
        kept[turn.step] = module.heads[0].predict.bias.detach().clone()
        return phase.loss(turn)

    built.phases[0] = replace(phase, loss=noting)
    train(built, tmp_path, steps=16, seed=0)
    missed = {
        line["step"]: line["V/missed"] for line in read_log(tmp_path / LOG) if "V/missed" in line
    }
    assert missed == pytest.approx({9: 0.8, 12: 0.4, 15: 0.4, 16: 0.5})
    assert torch.equal(built.best("detector").heads[0].predict.bias, kept[12])


def test_initial_weights_are_a_function_of_the_seed() -> None:
    torch.manual_seed(3)
    first = tensors(program(small(), seed=1))
    torch.manual_seed(4)
    again, other = tensors(program(small(), seed=1)), tensors(program(small(), seed=2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    drawn = [name for name in first if first[name].ndim > 1]
    assert not any(torch.equal(first[name], other[name]) for name in drawn)


def test_bf16_keeps_predictions_in_fp32(tmp_path: Path) -> None:
    network = YOLOv3(0.125, 0.1)
    with torch.autocast("cpu", torch.bfloat16):
        raw = network(torch.rand(2, 1, SIDE, SIDE))
    assert raw.dtype == torch.float32
    train(program(small(bf16=True)), tmp_path, steps=1, seed=0)


# The configuration.


def test_defaults_are_the_thesis() -> None:
    config = YOLOv3Config()
    assert (config.batch_size, config.learning_rate, config.loss) == (64, 1e-3, "squared")
    assert (config.test_size, config.score_threshold, config.select_from) == (608, 0.001, 96_000)
    assert 416 in config.train_sizes
    assert (config.width, config.depth) == (1, 1)


def test_a_configuration_survives_json() -> None:
    config = small(train_sizes=(64, 96))
    lists = {
        **asdict(config),
        "train_sizes": [64, 96],
        "anchors": [list(pair) for pair in ANCHORS],
        "augmentation": config.augmentation,
    }
    assert YOLOv3Config(**lists) == config
    assert hash(YOLOv3Config(**lists)) == hash(config)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"loss": "giou"}, "loss: is 'giou'; choose squared or bce"),
        ({"train_sizes": (416, 400)}, "train_sizes: is 416, 400; give multiples of 32"),
        ({"train_sizes": ()}, "train_sizes: is empty"),
        ({"test_size": 0}, "test_size: is 0"),
        ({"anchors": ANCHORS[:8]}, "anchors: are 8 pairs; give 9"),
        ({"anchors": ANCHORS[::-1]}, "anchors: are not in order"),
        ({"anchors": ((0.0, 5.0), *ANCHORS[1:])}, "anchors: are not in order"),
        ({"ignore_iou": 1.5}, "ignore_iou: is 1.5; give 0 to 1"),
        ({"score_threshold": -0.1}, "score_threshold: is -0.1"),
        ({"suppress_iou": float("nan")}, "suppress_iou: is nan"),
        ({"batch_size": 1}, "batch_size: is 1; give 2 or more"),
        ({"validate_every": 0}, "validate_every: is 0"),
        ({"select_from": -1}, "select_from: is -1; give 0 or more"),
        ({"width": 0.0}, "width: is 0.0; give more than 0"),
        ({"depth": -1.0}, "depth: is -1.0"),
    ],
)
def test_impossible_configurations_are_one_line(changes: dict, line: str) -> None:
    with pytest.raises(PathoganError, match=line):
        YOLOv3Config(**changes)


def test_several_processes_are_refused() -> None:
    with pytest.raises(PathoganError, match="trains in one process"):
        program(small()).phases[0].loss(turn(0, Distribution(0, 2)))
