"""What tests of several GAN methods say in the same words."""

from __future__ import annotations

import torch

from pathogan_core.training.batches import DeviceImages
from pathogan_core.training.phases import Program


def every(images: DeviceImages) -> torch.Tensor:
    return images[torch.arange(len(images))]


def weights(trained: Program) -> dict[str, torch.Tensor]:
    return {
        f"{name}.{key}": value.clone()
        for name, module in trained.checkpointed.items()
        for key, value in module.state_dict().items()
    }
