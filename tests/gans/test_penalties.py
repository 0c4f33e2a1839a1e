"""The gradient penalty against critics whose slope is known."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pathogan_core.gans.penalties import gradient_penalty, slopes


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def convolutional(channels: int = 1) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(channels, 6, 3, 2, 1), nn.LeakyReLU(0.2),
        nn.Conv2d(6, 6, 3, 2, 1), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(24, 1), nn.Flatten(0),
    )  # fmt: skip


def batches(channels: int = 1) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    shape = (4, channels, 8, 8)
    return normal(*shape, seed=1), normal(*shape, seed=2), torch.tensor([0.1, 0.5, 0.7, 0.9])


@pytest.mark.parametrize("shape", [(2,), (1, 8, 8), (3, 4, 4), (1, 4, 4, 4)])
def test_a_linear_critic_has_exactly_its_norms_distance_from_one(shape):
    weight = torch.zeros(shape)
    weight.view(-1)[:2] = torch.tensor([3.0, 4.0])
    real, fake = normal(5, *shape), normal(5, *shape, seed=1)
    penalty = gradient_penalty(lambda x: (x * weight).flatten(1).sum(1), real, fake, torch.rand(5))
    assert penalty.tolist() == [(5 - 1) ** 2] * 5


def test_a_quadratic_critic_shows_the_point_that_is_penalised():
    """f(x) = a |x|^2 / 2 has slope a |x|: the penalty and its derivative by a are known."""
    a = torch.tensor(0.7, requires_grad=True)
    real, fake, mix = batches()
    penalty = gradient_penalty(lambda x: a * x.square().flatten(1).sum(1) / 2, real, fake, mix)
    points = torch.stack([m * r + (1 - m) * f for r, f, m in zip(real, fake, mix, strict=True)])
    radius = points.flatten(1).norm(dim=1)
    torch.testing.assert_close(penalty, (0.7 * radius - 1) ** 2)
    penalty.sum().backward()
    torch.testing.assert_close(a.grad, (2 * (0.7 * radius - 1) * radius).sum())


def test_a_samples_penalty_is_its_own():
    critic, (real, fake, mix) = convolutional(), batches()
    whole = gradient_penalty(critic, real, fake, mix)
    for i in range(4):
        alone = gradient_penalty(critic, real[[i]], fake[[i]], mix[[i]])
        torch.testing.assert_close(alone[0], whole[i])
    assert len(set(whole.tolist())) == 4


@pytest.mark.parametrize("channels", [1, 3])
def test_it_equals_double_backward_in_value_and_in_weight_gradients(channels):
    critic, (real, fake, mix) = convolutional(channels), batches(channels)
    penalty = gradient_penalty(critic, real, fake, mix)
    ours = torch.autograd.grad(penalty.mean(), list(critic.parameters()), allow_unused=True)
    points = torch.lerp(fake, real, mix[:, None, None, None]).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
    expected = (gradient.flatten(1).norm(dim=1) - 1).square()
    theirs = torch.autograd.grad(expected.mean(), list(critic.parameters()), allow_unused=True)
    torch.testing.assert_close(penalty, expected)
    for one, other, parameter in zip(ours, theirs, critic.parameters(), strict=True):
        # A piecewise linear critic's slope does not depend on a bias.
        zero = torch.zeros_like(parameter)
        torch.testing.assert_close(*(zero if g is None else g for g in (one, other)))
        assert parameter.ndim == 1 or one.abs().max() > 0


def test_a_critic_without_slope_is_penalised_with_one_and_keeps_finite_gradients():
    critic = nn.Sequential(nn.Conv2d(1, 2, 8), nn.Flatten(), nn.Linear(2, 1), nn.Flatten(0))
    nn.init.zeros_(critic[0].weight)
    real, fake, mix = batches()
    penalty = gradient_penalty(critic, real, fake, mix)
    torch.testing.assert_close(penalty, torch.ones(4), atol=1e-5, rtol=0)
    penalty.sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in critic.parameters())


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_it_works_inside_a_compiled_region(backend):
    critic, (real, fake, mix) = convolutional(), batches()

    def loss(real, fake, mix):
        return critic(fake).mean() + 10 * gradient_penalty(critic, real, fake, mix).mean()

    results = []
    for function in (loss, torch.compile(loss, fullgraph=True, backend=backend)):
        critic.zero_grad()
        value = function(real, fake, mix)
        value.backward()
        results.append((value.detach(), [p.grad.clone() for p in critic.parameters()]))
    torch.testing.assert_close(results[1], results[0])
    assert results[0][1][0].abs().max() > 0


@pytest.mark.parametrize("penalty_first", [True, False])
def test_under_autocast_it_stays_in_fp32_wherever_it_stands(penalty_first):
    """Autocast keeps its bf16 copies of weights: none may outlive the inner gradient."""
    critic, (real, fake, mix) = convolutional(), batches()
    parts = [
        lambda: gradient_penalty(critic, real, fake, mix),
        lambda: critic(fake).float(),
    ]
    gradients, penalties = [], []
    for enabled in (False, True):
        critic.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            made = [part() for part in (parts if penalty_first else parts[::-1])]
        penalties.append(made[0 if penalty_first else 1].detach())
        sum(part.mean() for part in made).backward()
        gradients.append(torch.cat([p.grad.flatten() for p in critic.parameters()]))
    assert penalties[1].dtype == torch.float32
    torch.testing.assert_close(penalties[1], penalties[0], rtol=0.05, atol=0.02)
    assert torch.cosine_similarity(gradients[0], gradients[1], dim=0) > 0.995


def test_slopes_count_what_a_sample_does_to_others():
    """As documented: the gradient of the sum of values, which a comparing critic ties together."""
    points = normal(3, 2)
    found = slopes(lambda x: x.sum(1) + x.sum().expand(len(x)), points)
    torch.testing.assert_close(found, torch.full((3,), 2**0.5 * (1 + 3)))
