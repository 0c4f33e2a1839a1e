"""Each method's configuration, as the notebook's parameters make it; see `configuring.made`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pathogan_core.errors import PathoganError
from pathogan_core.experiments.configuring import made
from pathogan_core.gans.cpggan import CPGGANConfig

if TYPE_CHECKING:  # which builds all of these when it is made
    from pathogan_core.experiments.chapter5.parameters import Parameters

# Fields of a configuration, and the parameter that each is.
_CPGGAN = {
    "image_size": "image_size",
    "width": "gan_width",
    "latent": "gan_latent",
    "batch_sizes": "gan_batches",
    "learning_rate": "gan_rate",
    "stable_images": "stable_images",
    "fade_images": "fade_images",
    "condition_channels": "condition_channels",
    "entrance": "entrance",
    "outside": "outside",
    "label_flips": "label_flips",
    "flipped": "flipped",
    "mismatch_weight": "mismatch_weight",
    "bf16": "bf16",
}


def cpggan(p: Parameters) -> CPGGANConfig:
    """Of both CPGGANs, without and with normal subjects."""
    config = made(CPGGANConfig, p, _CPGGAN)
    if p.gan_images < (grown := config.growth.boundaries[-1]):
        raise PathoganError(
            f"is {p.gan_images}, but the last level has faded in only at {grown}",
            where="gan_images",
            remedy="give more, or shorten stable_images and fade_images",
        )
    return config


def check(p: Parameters) -> None:
    """Make all of them.

    Raises:
        PathoganError: one of them cannot be; names the parameter.
    """
    cpggan(p)
