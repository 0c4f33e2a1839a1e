"""Run under torchrun: train a small DCGAN (batch norm included) and save rank 0's weights."""

import sys
from pathlib import Path

import numpy as np

from pathogan_core.gans import dcgan
from pathogan_core.training.batches import DeviceImages
from pathogan_core.training.checkpoint import save_tensors
from pathogan_core.training.distribution import Distribution
from pathogan_core.training.loop import train

if __name__ == "__main__":
    folder, objective = Path(sys.argv[1]), sys.argv[2]
    distribution = Distribution.from_environment()
    images = np.random.default_rng(0).integers(0, 256, (20, 16, 16), np.uint8)
    config = dcgan.DCGANConfig(
        objective, image_size=16, width=4, batch_size=8, latent=6,
        learning_rate=1e-4, warmup_steps=1, warmup_critic_steps=3, critic_steps=2, burst_every=0,
    )  # fmt: skip
    program = dcgan.program(config, DeviceImages(images), 3, distribution=distribution)
    train(program, folder, steps=4, seed=3, distribution=distribution)
    if distribution.is_first:
        tensors = {
            f"{name}.{key}": value
            for name, module in program.modules.items()
            for key, value in module.state_dict().items()
        }
        save_tensors(folder / "weights.safetensors", tensors, {})
