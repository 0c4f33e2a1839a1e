"""Each method's configuration, as the notebook's parameters make it; see `configuring.made`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pathogan_core.cad.anchors import Anchors
from pathogan_core.cad.yolov3 import COCO_ANCHORS, YOLOv3Config
from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.embedding import TSNEConfig
from pathogan_core.experiments.configuring import made
from pathogan_core.gans.cpggan import CPGGANConfig
from pathogan_core.gans.pix2pix import Pix2PixConfig

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
_PIX2PIX = {
    "image_size": "image_size",
    "width": "i2i_width",
    "levels": "i2i_levels",
    "noise_channels": "i2i_noise",
    "normalisation": "i2i_normalisation",
    "critic_width": "gan_width",
    "learning_rate": "gan_rate",
    "outside": "outside",
    "mismatch_weight": "mismatch_weight",
    "l1_weight": "i2i_l1_weight",
    "bf16": "bf16",
}
_DETECTOR = {
    "batch_size": "detector_batch",
    "learning_rate": "detector_rate",
    "loss": "detector_loss",
    "train_sizes": "detector_sizes",
    "test_size": "detector_test_size",
    "most_candidates": "detector_candidates",
    "select_from": "select_from",
    "validate_every": "validate_every",
    "width": "detector_width",
    "depth": "detector_depth",
    "bf16": "bf16",
}
_TSNE = {"perplexity": "perplexity", "seed": "seed"}


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


def pix2pix(p: Parameters) -> Pix2PixConfig:
    """Of the image-to-image GAN: its critic and batch are those of CPGGAN's last level."""
    return made(partial(Pix2PixConfig, batch_size=p.gan_batches[-1]), p, _PIX2PIX)


def detector(p: Parameters, anchors: Anchors = COCO_ANCHORS) -> YOLOv3Config:
    """Of every arm but for the anchors, which are an arm's own."""
    config = made(partial(YOLOv3Config, anchors=anchors), p, _DETECTOR)
    if p.select_from > p.detector_steps:
        raise PathoganError(
            f"is {p.select_from}, but training ends at step {p.detector_steps}",
            where="select_from",
            remedy="give less, or raise detector_steps",
        )
    return config


def tsne(p: Parameters) -> TSNEConfig:
    """Of the map of lesions."""
    return made(TSNEConfig, p, _TSNE)


def check(p: Parameters) -> None:
    """Make all of them.

    Raises:
        PathoganError: one of them cannot be; names the parameter.
    """
    cpggan(p)
    pix2pix(p)
    detector(p)
    tsne(p)
