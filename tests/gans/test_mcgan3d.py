"""3D MCGAN: what is pasted where, who sees what, who learns, what flips, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pathogan_core.cohorts import nodule_labels
from pathogan_core.errors import PathoganError
from pathogan_core.gans import mcgan3d, mcgan3d_networks
from pathogan_core.gans.mcgan3d import LabelledVOIs, MCGANConfig
from pathogan_core.gans.mcgan3d_networks import CONDITIONS, centre, condition_planes, pasted
from pathogan_core.training.distribution import Distribution
from pathogan_core.training.log import read_log
from pathogan_core.training.loop import LOG, LoopOptions, train
from pathogan_core.training.phases import Turn
from pathogan_core.training.randomness import generator_for
from pathogan_core.training.volumes import DeviceVolumes, to_hu, windowed

SIZE, COUNT = 32, 12
INSIDE = slice(8, 24)


def small(**changes) -> MCGANConfig:
    settings = {
        "voi_size": SIZE, "width": 2, "levels": 3, "context_width": 2, "nodule_width": 2,
        "batch_size": 4,
    }  # fmt: skip
    return MCGANConfig(**{**settings, **changes})


def training(config: MCGANConfig, count: int = COUNT) -> LabelledVOIs:
    rng = np.random.default_rng(0)
    hu = rng.integers(-1000, 400, (count, *[config.voi_size] * 3)).astype(np.int16)
    labels = torch.from_numpy(rng.integers(0, 3, (count, 2)))
    return LabelledVOIs(DeviceVolumes(hu, config.low_hu, config.high_hu), labels)


def uniform(config: MCGANConfig, count: int, seed: int = 0) -> Tensor:
    return torch.rand(count, config.draws, generator=torch.Generator().manual_seed(seed))


def networks(config: MCGANConfig):
    generator, judges = config.generator(), config.judges()
    for module in (generator, *judges.values()):
        mcgan3d_networks.initialise(module, 0)
    return generator, judges


def turn(seed: int = 3) -> Turn:
    return Turn(0, 0, 0, generator_for(seed), Distribution())


def batch(config: MCGANConfig, count: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    held, rows = training(config), torch.arange(count)
    return uniform(config, count), held.volumes[rows], held.labels[rows]


# ---- The box -------------------------------------------------------------------------------------


def test_voxels_outside_the_box_are_the_vois_own_to_the_bit():
    voi, nodule = torch.randn(2, 1, SIZE, SIZE, SIZE), torch.randn(2, 1, 16, 16, 16)
    whole = pasted(nodule, voi)
    assert torch.equal(whole[:, :, INSIDE, INSIDE, INSIDE], nodule)
    outside = torch.ones(SIZE, SIZE, SIZE, dtype=torch.bool)
    outside[INSIDE, INSIDE, INSIDE] = False
    assert torch.equal(whole[..., outside], voi[..., outside])
    assert torch.equal(centre(whole), nodule)


def test_a_nodule_that_is_not_a_number_stays_in_its_box():
    """A mask that multiplied would carry it everywhere."""
    voi = torch.zeros(1, 1, SIZE, SIZE, SIZE)
    whole = pasted(torch.full((1, 1, 16, 16, 16), torch.nan), voi)
    assert int(whole.isnan().sum()) == 16**3


def test_conditions_are_two_planes_of_one_in_six():
    planes = condition_planes(torch.tensor([[0, 2], [2, 1]]), 4)
    assert planes.shape == (2, CONDITIONS, 4, 4, 4)
    assert planes[:, :, 0, 0, 0].tolist() == [[1, 0, 0, 0, 0, 1], [0, 0, 1, 0, 1, 0]]
    assert torch.equal(planes, planes[:, :, :1, :1, :1].expand_as(planes))


@pytest.mark.parametrize(("constant", "expected"), [(True, 0.0), (False, None)])
def test_the_box_holds_noise_about_zero_or_a_constant(constant, expected):
    config = small(constant_box=constant)
    generator, _ = networks(config)
    drawn, voi, _ = batch(config)
    noisy = generator.noisy(drawn, voi)
    box = centre(noisy)
    if expected is not None:
        assert torch.equal(box, torch.full_like(box, expected))
        return
    assert -0.5 <= float(box.min()) < -0.49
    assert 0.49 < float(box.max()) < 0.5
    assert float(box.mean()) == pytest.approx(0, abs=0.02)
    assert torch.equal(box.flatten(1), drawn[:, : 16**3] - 0.5)
    assert torch.equal(pasted(centre(voi), noisy), voi)


def test_labels_are_numbered_as_the_cohorts_name_them():
    assert mcgan3d_networks.SIZES == nodule_labels.SIZES
    assert mcgan3d_networks.ATTENUATIONS == nodule_labels.ATTENUATIONS


# ---- The generator -------------------------------------------------------------------------------


@pytest.mark.parametrize(("levels", "dropped"), [(1, 2), (2, 2), (3, 0), (3, 1), (3, 2), (3, 9)])
def test_all_draws_are_used_and_each_changes_the_nodule(levels, dropped):
    config = small(levels=levels, dropped=dropped)
    generator, _ = networks(config)
    drawn, voi, labels = batch(config)
    generator(drawn, voi, labels)
    generator.eval()
    made = generator(drawn, voi, labels)
    assert made.shape == (4, 1, 16, 16, 16)
    assert float(made.detach().abs().max()) <= 1
    begin = 0
    for length in generator.drawn:
        changed = drawn.clone()
        changed[:, begin : begin + length] = changed[:, begin : begin + length].flip(1)
        assert not torch.equal(made, generator(changed, voi, labels))
        begin += length
    assert begin == config.draws


def test_what_is_dropped_is_nothing_else_and_the_rest_makes_up_for_it():
    """A share of features is 0 and the others are 1 / (1 - share) as large."""
    config = small(dropout=0.25, dropped=1, levels=2)
    generator, _ = networks(config)
    seen = []
    generator.to_image.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    generator.eval()
    drawn, voi, labels = batch(config)
    generator(drawn, voi, labels)
    generator(torch.cat([drawn[:, : 16**3], torch.ones_like(drawn[:, 16**3 :])], 1), voi, labels)
    features = generator.up[0][1].num_features
    dropped, whole = (x[:, :features] for x in seen)
    kept = (drawn[:, 16**3 :] >= 0.25).reshape(whole.shape)
    assert torch.equal(dropped, whole * kept)
    assert float(kept.float().mean()) == pytest.approx(0.75, abs=0.02)
    generator.drop_when_drawing = False
    generator(drawn, voi, labels)
    torch.testing.assert_close(seen[2][:, :features], whole * 0.75)


@pytest.mark.parametrize("changed", ["size", "attenuation", "surroundings"])
def test_a_nodule_depends_on_its_conditions_and_on_what_is_around_it(changed):
    config = small()
    generator, _ = networks(config)
    drawn, voi, labels = batch(config)
    generator.eval()
    made = generator(drawn, voi, labels)
    others, around = labels.clone(), voi
    if changed == "surroundings":
        around = pasted(centre(voi), voi.roll(1, 0))
    else:
        column = ("size", "attenuation").index(changed)
        others[:, column] = (others[:, column] + 1) % 3
    again = generator(drawn, around, others)
    assert (again != made).flatten(1).any(1).all()


def test_it_does_not_see_the_nodule_that_it_replaces():
    config = small()
    generator, _ = networks(config)
    drawn, voi, labels = batch(config)
    generator.eval()
    other = pasted(torch.full_like(centre(voi), 0.7), voi)
    assert torch.equal(generator(drawn, voi, labels), generator(drawn, other, labels))


def test_only_the_weights_for_a_condition_carry_it():
    config = small()
    generator, judges = networks(config)
    drawn, voi, labels = batch(config)
    with torch.no_grad():
        generator.down[0][0].weight[:, 1:] = 0
        judges["nodule"].layers[0].weight[:, 1:] = 0
    generator.eval()
    others = (labels + 1) % 3
    nodules = generator(drawn, voi, labels)
    assert torch.equal(nodules, generator(drawn, voi, others))
    assert torch.equal(judges["nodule"](nodules, labels), judges["nodule"](nodules, others))


def test_a_nodule_is_drawn_without_regard_to_the_others():
    config = small()
    generator, _ = networks(config)
    drawn, voi, labels = batch(config, 5)
    generator(drawn, voi, labels)  # running statistics
    together = mcgan3d.draw(generator, drawn, voi, labels, batch=2)
    alone = mcgan3d.draw(generator, drawn[3:4], voi[3:4], labels[3:4])
    torch.testing.assert_close(together[3:4], alone)


def test_the_defaults_are_four_convolutions_and_four_deconvolutions_with_normalisation():
    generator = MCGANConfig(width=1).generator()
    assert len(generator.down) == len(generator.up) + 1 == 4
    convolutions = [layer[0] for layer in (*generator.down, *generator.up)]
    assert convolutions[0].in_channels == 7
    assert [c.out_channels for c in convolutions] == [1, 2, 4, 8, 4, 2, 1]
    assert MCGANConfig(width=1).draws == 32**3 + 4 * 8**3 + 2 * 16**3


# ---- Losses --------------------------------------------------------------------------------------


class Recorder(nn.Module):
    """Answers with the mean of what it is shown, and remembers it."""

    def __init__(self, patches: bool):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.patches = patches
        self.shown: list[tuple[Tensor, Tensor]] = []

    def forward(self, shown: Tensor, beside: Tensor) -> Tensor:
        self.shown.append((shown.detach(), beside.detach()))
        means = (shown * self.weight).mean((1, 2, 3, 4))
        return means.view(-1, 1, 1, 1, 1) if self.patches else means


def recorded(config: MCGANConfig):
    generator, _ = networks(config)
    judges = {"context": Recorder(True), "nodule": Recorder(False)}
    found = mcgan3d.losses(config, training(config), generator, judges)
    return found, generator, judges


def test_the_context_is_judged_in_pairs_with_the_same_noisy_voi():
    config = small(label_flips=0.0)
    found, _, judges = recorded(config)
    found["context"](turn())
    (real, beside), (fake, beside_fake) = judges["context"].shown
    assert torch.equal(beside, beside_fake)
    assert torch.equal(pasted(centre(beside), real), beside)  # nothing else differs
    assert torch.equal(pasted(centre(beside), fake), beside)
    assert not torch.equal(real, fake)


def test_the_nodule_is_judged_with_its_own_labels_and_penalised_between():
    config = small(label_flips=0.0)
    found, _, judges = recorded(config)
    found["nodule"](turn())
    (real, told), (fake, told_fake), (between, told_between), (_, own), (_, wrong) = judges[
        "nodule"
    ].shown
    assert real.shape == fake.shape == (4, 1, 16, 16, 16)
    assert torch.equal(told, told_fake)
    assert torch.equal(told, told_between)
    way, gone = (real - fake).flatten(1), (between - fake).flatten(1)
    mix = (gone * way).sum(1) / way.square().sum(1)
    torch.testing.assert_close(gone, mix[:, None] * way)
    assert torch.equal(own, told)
    assert torch.equal(wrong, told.roll(1, 0))


def test_the_generators_loss_is_the_sum_of_its_terms_as_weighted():
    config = small(context_weight=2.0, nodule_weight=3.0, l1_weight=5.0)
    found, *_ = recorded(config)
    loss, told = found["generator"](turn())
    expected = 2 * told["context"] + 3 * told["nodule"] + 5 * told["difference"]
    torch.testing.assert_close(loss, expected)


def test_over_the_whole_voi_the_difference_is_an_eighth():
    told = {}
    for region in ("centre", "voi"):
        found, *_ = recorded(small(l1_over=region))
        told[region] = found["generator"](turn())[1]["difference"]
    torch.testing.assert_close(told["centre"], 8 * told["voi"])


@pytest.mark.parametrize("judge", ["context", "nodule"])
@pytest.mark.parametrize("unit", ["step", "sample"])
def test_flipped_labels_are_those_of_a_loss_with_real_and_fake_exchanged(judge, unit):
    changes = {"penalty_weight": 0.0, "flip_unit": unit, "flipped": (judge,)}
    plain, _ = recorded(small(label_flips=0.0, **changes))[0][judge](turn())
    found, _, judges = recorded(small(label_flips=1.0, **changes))
    flipped, told = found[judge](turn())
    (real, _), (fake, _), *_ = judges[judge].shown
    means = [x.mean((1, 2, 3, 4)) for x in (real, fake)]

    def expected(real: Tensor, fake: Tensor) -> Tensor:
        if judge == "nodule":
            return fake.mean() - real.mean()
        return (real - 1).square().mean() + fake.square().mean()

    torch.testing.assert_close(plain, expected(*means))
    torch.testing.assert_close(flipped, expected(*means[::-1]))
    gap = told["gap"] if judge == "nodule" else told["real"] - told["fake"]
    torch.testing.assert_close(gap, means[0].mean() - means[1].mean())  # of the true labels


@pytest.mark.parametrize(("unit", "values"), [("step", {0, 4}), ("sample", {0, 1, 2, 3, 4})])
def test_a_third_is_flipped_whole_rounds_or_single_vois(unit, values):
    config = small(flip_unit=unit)
    counts = [int(mcgan3d._flips(config, "context", turn(seed)).sum()) for seed in range(150)]
    assert set(counts) == values
    assert np.mean(counts) / 4 == pytest.approx(1 / 3, abs=0.1)
    assert mcgan3d._flips(config, "nodule", turn()) is None


def test_half_the_vois_are_mirrored_along_each_of_two_axes():
    """A volume that tells its axes apart; slices stay in their order."""
    config = small(batch_size=200)
    ramp = np.zeros((SIZE, SIZE, SIZE), np.int16)
    ramp += np.arange(SIZE, dtype=np.int16)[:, None, None]
    ramp[:, -1] += 100
    ramp[:, :, -1] += 300
    held = LabelledVOIs(DeviceVolumes(ramp[None], 0, 431), torch.zeros(1, 2, dtype=torch.int64))
    vois, _ = held.draw(config, turn())
    hu = to_hu(vois, 0, 431)[:, 0]
    down, right = hu[:, 0, 0, 5] > 50, hu[:, 0, 5, 0] > 50
    assert 60 < int(down.sum()) < 140
    assert 60 < int(right.sum()) < 140
    assert 20 < int((down & right).sum()) < 80
    assert torch.equal(hu[:, 3:9, 5, 5], torch.arange(3, 9).expand(200, -1).to(hu.dtype))


# ---- Training ------------------------------------------------------------------------------------


@pytest.mark.parametrize("trains", ["context", "nodule", "generator"])
def test_a_phase_moves_its_own_network_and_no_other(tmp_path, trains):
    config = small()
    program = mcgan3d.program(config, training(config), seed=1)
    state = {name: module.state_dict() for name, module in program.modules.items()}
    before = {name: {k: v.clone() for k, v in own.items()} for name, own in state.items()}
    program.phases[:] = [phase for phase in program.phases if phase.trains == trains]
    train(program, tmp_path, steps=1, seed=1, options=LoopOptions(tick_steps=1))
    for name, module in program.modules.items():
        moved = {k: not torch.equal(before[name][k], v) for k, v in module.named_parameters()}
        assert any(moved.values()) is (name == trains)
        if name == trains and name != "nodule":  # a value's bias cancels in a gap
            assert all(moved.values()), moved


@pytest.mark.parametrize("discriminators", [("context",), ("nodule",)])
def test_one_discriminator_alone_trains(tmp_path, discriminators):
    config = small(discriminators=discriminators)
    program = mcgan3d.program(config, training(config), seed=1)
    assert [phase.trains for phase in program.phases] == [*discriminators, "generator"]
    clock = train(program, tmp_path, steps=2, seed=1, options=LoopOptions(tick_steps=1))
    assert clock.images == 8
    told = read_log(tmp_path / LOG)[-1]
    assert {f"G/{name}" in told for name in discriminators} == {True}
    absent = {"context", "nodule"} - set(discriminators)
    assert not any(f"G/{name}" in told for name in absent)


def test_vois_are_counted_once_a_round(tmp_path):
    config = small(critic_steps=2)
    program = mcgan3d.program(config, training(config), seed=1)
    steps = config.steps(20)
    assert steps == 3
    clock = train(program, tmp_path, steps=steps, seed=1, options=LoopOptions(tick_steps=1))
    assert clock.images == 24


def test_a_run_that_is_cut_ends_as_one_that_is_not(tmp_path):
    config = small(ema_half_life_images=16.0, mismatch_weight=1.0, flip_unit="sample")
    ends = {}
    for name, parts in (("whole", [4]), ("cut", [2, 4])):
        for steps in parts:
            program = mcgan3d.program(config, training(config), seed=2)
            options = LoopOptions(tick_steps=1)
            train(program, tmp_path / name, steps=steps, seed=2, options=options)
        ends[name] = program.checkpointed
    for name, module in ends["whole"].items():
        for key, value in module.state_dict().items():
            assert torch.equal(ends["cut"][name].state_dict()[key], value), f"{name}.{key}"


def test_under_bfloat16_what_is_told_and_what_is_drawn_is_fp32(tmp_path):
    config = small(bf16=True)
    generator, judges = networks(config)
    drawn, voi, labels = batch(config)
    with torch.autocast("cpu", torch.bfloat16):
        nodules = generator(drawn, voi, labels)
        answers = judges["context"](pasted(nodules, voi), generator.noisy(drawn, voi))
        values = judges["nodule"](nodules, labels)
    assert {x.dtype for x in (nodules, answers, values)} == {torch.float32}


def test_the_slope_of_the_nodules_critic_is_that_of_finite_differences():
    config = small()
    _, judges = networks(config)
    judge = judges["nodule"]
    with torch.no_grad():
        for layer in judge.layers:
            layer.weight.mul_(20)  # else rounding is all that moves
    _, voi, labels = batch(config, 2)
    nodules = centre(voi).clone().requires_grad_()
    (gradient,) = torch.autograd.grad(judge(nodules, labels).sum(), nodules)
    step = torch.randn_like(nodules) * 1e-3
    moved = (judge(nodules + step, labels) - judge(nodules - step, labels)).detach()
    expected = 2 * (gradient * step).sum((1, 2, 3, 4))
    torch.testing.assert_close(moved, expected, rtol=0.02, atol=1e-5)


# ---- Hounsfield units ----------------------------------------------------------------------------


def test_hounsfield_units_survive_the_window_and_are_cut_off_beyond_it():
    hu = torch.tensor([-2000, -1000, -999, -37, 0, 399, 400, 3000], dtype=torch.int16)
    again = to_hu(windowed(hu, -1000, 400), -1000, 400)
    assert again.tolist() == [-1000, -1000, -999, -37, 0, 399, 400, 400]
    assert windowed(torch.tensor([-1000, -300, 400]), -1000, 400).tolist() == [-1, 0, 1]


@pytest.mark.parametrize("wrong", [np.zeros((2, 4, 4, 4), np.uint8), np.zeros((4, 4, 4), np.int16)])
def test_volumes_of_another_kind_are_refused(wrong):
    with pytest.raises(ValueError, match="expected int16"):
        DeviceVolumes(wrong, -1000, 400)


# ---- What is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("voi_size", 48), ("voi_size", 16), ("levels", 5), ("levels", 0), ("width", 0),
        ("dropout", 1.0), ("dropout", -0.1), ("label_flips", 1.5), ("high_hu", -1000.0),
        ("l1_over", "all"), ("flip_unit", "batch"), ("flipped", ("generator",)),
        ("discriminators", ()), ("discriminators", ("voi",)), ("l1_weight", -1.0),
        ("batch_size", 0), ("critic_steps", 0), ("mismatch_weight", -1.0),
    ],
)  # fmt: skip
def test_a_configuration_that_cannot_be_is_refused_by_name(name, value):
    with pytest.raises(PathoganError) as caught:
        small(**{name: value})
    assert name in str(caught.value)


def _other(labels: Tensor, size: int = SIZE) -> LabelledVOIs:
    hu = np.zeros((COUNT, size, size, size), np.int16)
    return LabelledVOIs(DeviceVolumes(hu, -1000, 400), labels)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: _other(torch.zeros(COUNT, 2, dtype=torch.int64), 64), "have shape 64 x 64 x 64"),
        (lambda: _other(torch.zeros(COUNT, dtype=torch.int64)), "are 12 for 12 VOIs"),
        (lambda: _other(torch.full((COUNT, 2), 3)), "reach from 3 to 3"),
    ],
)
def test_training_data_that_do_not_fit_are_one_line(
    made: Callable[[], LabelledVOIs], message: str
) -> None:
    with pytest.raises(PathoganError, match=message):
        mcgan3d.program(small(), made(), seed=0)


def test_a_configuration_survives_json():
    config = small(discriminators=("nodule",), flipped=("context", "nodule"))
    assert MCGANConfig(**json.loads(json.dumps(asdict(config)))) == config
