"""ResNet-50 as thesis section 4.2.4 states it; trained as ResNet-18 on small images here."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from pathogan_core.cad import resnet50
from pathogan_core.cad.image_sets import ImageSet, Mixture
from pathogan_core.cad.imagenet import MissingImageNetWeights
from pathogan_core.cad.resnet50 import ResNetConfig, TumourClassifier, initialise, predict
from pathogan_core.errors import PathoganError
from pathogan_core.training.distribution import Distribution
from pathogan_core.training.log import read_log
from pathogan_core.training.loop import LOG, Interrupted, LoopOptions, train
from pathogan_core.training.phases import Program, Turn
from pathogan_core.training.randomness import generator_for

SIDE = 32
TICKS = LoopOptions(tick_steps=2)


def small(**changes) -> ResNetConfig:
    return ResNetConfig(**{"depth": 18, "batch_size": 8, "epoch_steps": 3, **changes})


def tumours(n: int, seed: int, **options) -> ImageSet:
    """Noise; every second image has a bright disc somewhere."""
    rng = np.random.default_rng(seed)
    images, labels = rng.integers(0, 90, (n, SIDE, SIDE)), np.arange(n) % 2
    y, x = np.mgrid[:SIDE, :SIDE]
    for i in np.flatnonzero(labels):
        row, column = rng.integers(8, SIDE - 8, 2)
        images[i, (y - row) ** 2 + (x - column) ** 2 < 25] += 120
    return ImageSet("tumours", images.astype(np.uint8), labels, **options)


def program(config: ResNetConfig, seed: int = 0, **options) -> Program:
    training = Mixture([tumours(24, 1, augmented=True)])
    return resnet50.program(config, training, tumours(16, 2), seed, **options)


def tensors(built: Program) -> dict[str, torch.Tensor]:
    return {
        f"{name}.{key}": value.clone()
        for name, module in built.checkpointed.items()
        for key, value in module.state_dict().items()
    }


def test_the_trunk_is_torchvisions_resnet_50_with_the_thesis_head() -> None:
    network = TumourClassifier()
    trunk = torchvision.models.resnet50()
    expected = {k: v.shape for k, v in trunk.state_dict().items() if not k.startswith("fc.")}
    assert {k: v.shape for k, v in network.trunk.state_dict().items()} == expected
    assert network.features == 2048
    head = {k: tuple(v.shape) for k, v in network.named_parameters() if not k.startswith("trunk.")}
    assert head == {"dense.weight": (1, 2048), "norm.weight": (1,), "norm.bias": (1,)}
    assert isinstance(network.norm, nn.BatchNorm1d)
    assert ResNetConfig().dropout == network.dropout == 0.5


def test_head_is_dropout_then_dense_then_batch_norm() -> None:
    """Features are known: the logit is the normalised weighted sum of those that are kept."""
    network = TumourClassifier(depth=18)
    initialise(network, 0)
    features = torch.rand(6, 512, generator=torch.Generator().manual_seed(0))
    network.trunk = nn.Module()
    network.trunk.forward = lambda rgb: features  # type: ignore[method-assign]
    with torch.no_grad():
        network.norm.weight.fill_(1.7)
        network.norm.bias.fill_(-0.4)
    uniform = torch.rand(6, 512, generator=torch.Generator().manual_seed(1))
    logits = network(torch.zeros(6, 1, SIDE, SIDE), uniform)
    kept = torch.where(uniform >= 0.5, 2 * features, torch.zeros(()))
    sums = (kept * network.dense.weight[0]).sum(1)
    normal = (sums - sums.mean()) / (sums.var(unbiased=False) + 1e-5).sqrt()
    torch.testing.assert_close(logits, 1.7 * normal - 0.4, atol=1e-5, rtol=1e-5)


def test_dropout_keeps_its_share_and_its_mean() -> None:
    network = TumourClassifier(depth=18, dropout=0.3).eval()
    network.trunk = nn.Module()
    network.trunk.forward = lambda rgb: torch.ones(400, 512)  # type: ignore[method-assign]
    with torch.no_grad():
        network.dense.weight.fill_(1 / 512)
    uniform = torch.rand(400, 512, generator=torch.Generator().manual_seed(1))
    means = network(torch.zeros(400, 1, SIDE, SIDE), uniform) * (1 + 1e-5) ** 0.5
    torch.testing.assert_close(means * 0.7, (uniform >= 0.3).float().mean(1))
    assert means.mean().item() == pytest.approx(1, abs=0.01)


def test_equal_images_have_equal_logits_and_others_do_not_matter() -> None:
    network = TumourClassifier(depth=18)
    initialise(network, 0)
    pictures = tumours(10, 3).images
    pictures[7] = pictures[0]
    scores = predict(network, pictures)
    assert scores[7] == scores[0]
    assert len(set(scores)) == 9
    np.testing.assert_allclose(predict(network, pictures, batch=3), scores, atol=1e-6)
    assert network.training


def test_one_channel_repeated_equals_one_with_the_kernels_added_up() -> None:
    """The same features, where the standardised input has no border effect: with mean 0."""
    network = TumourClassifier(depth=18).eval()
    initialise(network, 0)
    network.mean.zero_()
    pictures = torch.rand(2, 1, SIDE, SIDE) * 2 - 1
    expected = network(pictures)
    first = network.trunk.conv1
    summed = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
    summed.weight = nn.Parameter((first.weight / network.deviation).sum(1, keepdim=True))
    network.trunk.conv1 = summed
    network.deviation = torch.ones(1, 1, 1)
    network.mean = torch.zeros(1, 1, 1)
    torch.testing.assert_close(network(pictures), expected, atol=1e-5, rtol=1e-4)


def test_the_input_is_standardised_as_imagenets() -> None:
    seen = []
    network = TumourClassifier(depth=18).eval()
    network.trunk.conv1.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network(torch.full((1, 1, SIDE, SIDE), -1.0))
    expected = -torch.tensor([0.485 / 0.229, 0.456 / 0.224, 0.406 / 0.225])
    torch.testing.assert_close(seen[0][0, :, 5, 5], expected)


def test_schedules_are_the_thesis() -> None:
    scratch, tuned = ResNetConfig.of_thesis("scratch"), ResNetConfig.of_thesis("IMAGENET1K_V1")
    epoch = scratch.steps_per_epoch(8429)
    assert epoch == 88  # 8,429 images in batches of 96
    assert scratch.steps_per_epoch(8429 + 200_000) == 2172
    assert small().steps_per_epoch(8429) == 3
    rates = [scratch.learning_rate_at(step, epoch) for step in (0, 88 * 20 - 1, 88 * 20, 88 * 40)]
    assert rates == pytest.approx([1e-2, 1e-2, 1e-3, 1e-4])
    rates = [tuned.learning_rate_at(step, epoch) for step in (0, 88 * 5 - 1, 88 * 5, 88 * 10)]
    assert rates == pytest.approx([1e-2, 1e-2, 5e-3, 2.5e-3])
    assert scratch == ResNetConfig()
    assert (tuned.batch_size, tuned.patience_epochs, tuned.momentum) == (96, 20, 0.0)


def test_weights_move_by_plain_gradient_descent(tmp_path: Path) -> None:
    config = small(decay=0.5, decay_epochs=1, epoch_steps=1, patience_epochs=0)
    trained, copy = program(config), program(config)
    train(trained, tmp_path, steps=2, seed=4)
    for step, rate in ((0, 1e-2), (1, 5e-3)):
        turn = Turn(step, 0, 0, generator_for(4, "T", step, 0), Distribution())
        network = copy.modules["classifier"]
        network.zero_grad()
        copy.phases[0].loss(turn)[0].backward()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(parameter.grad, alpha=-rate)
    for name, value in copy.modules["classifier"].state_dict().items():
        torch.testing.assert_close(trained.modules["classifier"].state_dict()[name], value)


def test_loss_is_the_binary_cross_entropy_and_every_parameter_learns() -> None:
    config = small()
    built = program(config)
    network = built.modules["classifier"]
    turn = Turn(0, 0, 0, generator_for(0, "T"), Distribution())
    loss, scalars = built.phases[0].loss(turn)
    again = Turn(0, 0, 0, generator_for(0, "T"), Distribution())
    mixture = Mixture([tumours(24, 1, augmented=True)])
    images, labels = mixture.draw(again, 8, config.augmentation)
    with torch.no_grad():
        p = network(images, again.rand(8, 512)).double().sigmoid()
    expected = -(labels * p.log() + (1 - labels) * (1 - p).log()).mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert scalars["accuracy"].item() == ((p >= 0.5) == labels).double().mean().item()
    loss.backward()
    assert all((p.grad != 0).any() for p in network.parameters())


def test_it_learns_what_a_tumour_is(tmp_path: Path) -> None:
    built = program(small(learning_rate=0.05, epoch_steps=10, patience_epochs=0))
    before = F.binary_cross_entropy(
        torch.from_numpy(predict(built.modules["classifier"], tumours(40, 9).images)),
        torch.from_numpy(tumours(40, 9).labels.astype(float)),
    )
    train(built, tmp_path, steps=40, seed=0)
    unseen = tumours(40, 9)
    scores = predict(resnet50.tested(small(), built), unseen.images)
    after = F.binary_cross_entropy(
        torch.from_numpy(scores), torch.from_numpy(unseen.labels.astype(float))
    )
    assert after < before
    assert scores[unseen.labels == 1].mean() > scores[unseen.labels == 0].mean() + 0.2


@pytest.mark.parametrize(("stop_at", "momentum"), [(1, 0.0), (2, 0.0), (3, 0.9)])
def test_interrupted_run_equals_uninterrupted_bit_for_bit(
    tmp_path: Path, stop_at: int, momentum: float
) -> None:
    """With dropout, augmentation, batch norm's running statistics and a falling learning rate."""
    config = small(momentum=momentum, decay_epochs=1)
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


def test_dropout_differs_from_step_to_step_and_not_by_global_state() -> None:
    network = TumourClassifier(depth=18)
    initialise(network, 0)
    images = torch.zeros(8, 1, SIDE, SIDE) + torch.arange(8).view(8, 1, 1, 1) / 8

    def logits(step: int) -> torch.Tensor:
        turn = Turn(step, 0, 0, generator_for(0, "T", step, 0), Distribution())
        return network(images, turn.rand(8, 512))

    first, second = logits(0), logits(1)
    torch.manual_seed(1)
    assert torch.equal(logits(0), first)
    assert not torch.equal(first, second)


def test_tested_weights_are_the_best_or_the_last(tmp_path: Path) -> None:
    built = program(small())
    train(built, tmp_path, steps=6, seed=0)
    assert built.selection is not None
    assert resnet50.tested(small(), built) is built.selection.module
    assert resnet50.tested(small(tested="last"), built) is built.modules["classifier"]


def test_validation_loss_is_that_of_the_predictions(tmp_path: Path) -> None:
    built = program(small())
    train(built, tmp_path, steps=3, seed=0)
    held_out = tumours(16, 2)
    p = predict(built.modules["classifier"], held_out.images)
    expected = -np.log(np.where(held_out.labels == 1, p, 1 - p)).mean()
    last = read_log(tmp_path / LOG)[-1]
    assert last["V/loss"] == pytest.approx(expected, rel=1e-5)
    assert last["V/accuracy"] == pytest.approx(np.mean((p >= 0.5) == held_out.labels))


def test_initial_weights_are_a_function_of_the_seed() -> None:
    torch.manual_seed(3)
    first = tensors(program(small(), seed=1))
    torch.manual_seed(4)
    again, other = tensors(program(small(), seed=1)), tensors(program(small(), seed=2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    drawn = [name for name in first if first[name].ndim > 1]
    assert len(drawn) == 2 * 21  # 20 convolutions and the dense layer, and their best copies
    assert not any(torch.equal(first[name], other[name]) for name in drawn)


def test_pretrained_weights_are_asked_for_and_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small(initial="IMAGENET1K_V1")
    with pytest.raises(MissingImageNetWeights, match=r"download .*resnet18-f37072fd\.pth"):
        program(config)
    given = {}
    monkeypatch.setattr(
        resnet50, "load_imagenet_weights",
        lambda trunk, *arguments: given.update({"trunk": trunk, "arguments": arguments}),
    )  # fmt: skip
    built = program(config, imagenet_weights=tmp_path / "file.pth")
    assert given["trunk"] is built.modules["classifier"].trunk
    assert given["arguments"] == (tmp_path / "file.pth", "resnet18", "IMAGENET1K_V1")


def test_bf16_keeps_head_and_loss_in_fp32(tmp_path: Path) -> None:
    network = TumourClassifier(depth=18)
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(torch.rand(4, 1, SIDE, SIDE), torch.rand(4, 512))
    assert logits.dtype == torch.float32
    train(program(small(bf16=True)), tmp_path, steps=1, seed=0)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"depth": 34}, "depth: is 34; choose 18 or 50"),
        ({"initial": "imagenet"}, "initial: torchvision has no imagenet for resnet50"),
        ({"initial": "IMAGENET1K_V2", "depth": 18}, "no IMAGENET1K_V2 for resnet18"),
        ({"batch_size": 1}, "batch_size: is 1; give 2 or more"),
        ({"patience_epochs": -1}, "patience_epochs: is -1"),
        ({"tested": "first"}, "tested: is 'first'"),
        ({"dropout": 1.0}, "dropout: is 1.0"),
    ],
)
def test_impossible_configurations_are_one_line(changes: dict, line: str) -> None:
    with pytest.raises(PathoganError, match=line):
        ResNetConfig(**changes)


def test_images_that_do_not_fit_are_one_line() -> None:
    tiny = ImageSet("tiny", np.zeros((4, 16, 16), np.uint8), np.arange(4) % 2)
    with pytest.raises(PathoganError, match="arm: has images of 16 px"):
        resnet50.program(small(), Mixture([tiny]), tiny, 0)
    with pytest.raises(PathoganError, match="images of 16 px, those to learn from have 32 px"):
        resnet50.program(small(), Mixture([tumours(4, 0)]), tiny, 0)


def test_several_processes_are_refused(tmp_path: Path) -> None:
    built = program(small())
    with pytest.raises(PathoganError, match="trains in one process"):
        built.phases[0].loss(Turn(0, 0, 0, generator_for(0), Distribution(0, 2)))
