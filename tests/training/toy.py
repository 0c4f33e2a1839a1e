"""A two-network program small enough to train hundreds of times, with every feature of the loop."""

from __future__ import annotations

import torch
from torch import nn

from pathogan_core.training.ema import MovingAverage
from pathogan_core.training.phases import Phase, Program
from pathogan_core.training.randomness import generator_for


def toy_program(batch_size: int = 4) -> Program:
    """A critic and a generator of a few weights; the critic steps twice a round."""
    generator, critic = nn.Linear(3, 2), nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
    for number, module in enumerate((generator, critic)):
        for name, parameter in module.named_parameters():
            nn.init.normal_(parameter, generator=generator_for(number, name))

    def critic_loss(turn):
        real, fake = turn.randn(batch_size, 2) + 3, generator(turn.randn(batch_size, 3)).detach()
        gap = critic(real).mean() - critic(fake).mean()
        return -gap + 0.1 * critic(real).square().mean(), {"gap": gap}

    def generator_loss(turn):
        return -critic(generator(turn.randn(batch_size, 3))).mean(), {}

    phases = [
        Phase("D", "critic", torch.optim.Adam(critic.parameters(), 0.01), critic_loss,
              times=lambda step: 2, images=batch_size),
        Phase("G", "generator", torch.optim.RMSprop(generator.parameters(), 0.01), generator_loss),
    ]  # fmt: skip
    return Program(
        {"generator": generator, "critic": critic},
        phases,
        {"generator": MovingAverage(generator, 100)},
    )


def weights(program: Program) -> dict[str, torch.Tensor]:
    """All tensors of the program's modules and averages, copied."""
    return {
        f"{name}.{key}": value.clone()
        for name, module in program.checkpointed.items()
        for key, value in module.state_dict().items()
    }
