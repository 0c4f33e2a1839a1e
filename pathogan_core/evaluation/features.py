"""The small committed network whose features KID, FID, precision, recall and memorisation use.

Inception features know photographs, not brains, and have to be downloaded. This network instead
learns three things that are known of every prepared slice without anyone annotating it - which
sequence it is, how far from the mid-plane it lies, whether there is tumour in it - so its features
know contrast, anatomy and pathology. It is trained (`scripts/train_feature_network.py`) on
validation patients of a simulated cohort: neither the patients a GAN learns from nor those it is
compared with. Distances in its feature space have a scale of their own and cannot be set beside
published FID or KID values.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.images import Images, area_resize, as_tensor, check_images
from pathogan_core.files import atomic_write, read_json, sha256_of_file, write_json

SEQUENCES = ("t1", "t1c", "t2", "flair")
"""The order of the sequence head's classes."""
INPUT_SIZE = 64
"""Larger images are reduced to this by area: detail below two pixels at 128 px is left to SWD."""
WIDTHS = (16, 32, 64, 96)
FEATURES = 64

COMMITTED_WEIGHTS = Path(__file__).with_name("feature_network.safetensors")
CARD_SCHEMA = 1
RETRAIN = "restore the committed file or run scripts/train_feature_network.py"


class Predictions(NamedTuple):
    """What the network says of N images."""

    sequence: Tensor
    """Logits `[N, 4]` in the order of `SEQUENCES`."""
    eccentricity: Tensor
    """Distance from the mid-plane `[N]`: 0 at the middle slice, 1 at the outermost prepared one."""
    tumour: Tensor
    """Logit `[N]` that the slice shows tumour."""


class FeatureNetwork(nn.Module):
    """Five convolutions, a mean over the image, three linear heads; 85,000 parameters."""

    feature_mean: Tensor
    feature_deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        channels = (1, *WIDTHS)
        blocks = [_block(*pair) for pair in pairwise(channels)]
        self.trunk = nn.Sequential(*blocks, nn.Conv2d(WIDTHS[-1], FEATURES, 1), nn.ReLU())
        self.sequence_head = nn.Linear(FEATURES, len(SEQUENCES))
        self.eccentricity_head = nn.Linear(FEATURES, 1)
        self.tumour_head = nn.Linear(FEATURES, 1)
        # Set after training, so that no feature dominates a distance only by its scale.
        self.register_buffer("feature_mean", torch.zeros(FEATURES))
        self.register_buffer("feature_deviation", torch.ones(FEATURES))

    def pooled(self, images: Tensor) -> Tensor:
        """Raw features `[N, 64]` of images `[N, 1, S, S]` in [-1, 1], S >= 64."""
        return self.trunk(area_resize(images, INPUT_SIZE)).mean((2, 3))

    def standardised(self, pooled: Tensor) -> Tensor:
        """Raw features on the scale of the training images: mean 0, deviation 1 each."""
        return (pooled - self.feature_mean) / self.feature_deviation

    def heads(self, pooled: Tensor) -> Predictions:
        """The three answers from raw features."""
        return Predictions(
            self.sequence_head(pooled),
            self.eccentricity_head(pooled).squeeze(1),
            self.tumour_head(pooled).squeeze(1),
        )

    def forward(self, images: Tensor) -> Predictions:
        """Predictions for images `[N, 1, S, S]` in [-1, 1], S >= 64."""
        return self.heads(self.pooled(images))


def _block(inputs: int, outputs: int) -> nn.Sequential:
    """3x3 convolution and 2x2 max-pooling: half the side, `outputs` channels."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


@dataclass(frozen=True)
class Features:
    """What the network makes of N images.

    `vectors` float64 `[N, 64]`, standardised; `sequences` `[N]`, indices into `SEQUENCES`.
    """

    vectors: NDArray[np.float64]
    sequences: NDArray[np.int64]

    def __getitem__(self, rows: NDArray[np.int64]) -> Features:
        return Features(self.vectors[rows], self.sequences[rows])


@torch.no_grad()
def extract(network: FeatureNetwork, images: Images, *, batch: int = 128) -> Features:
    """Features of uint8 images `[N, S, S]`, S >= 64. The network is put in evaluation mode.

    Raises:
        PathoganError: images of another type or shape, or smaller than the network's input.
    """
    check_images(images, "measured")
    if images.shape[1] < INPUT_SIZE:
        raise PathoganError(
            f"are {images.shape[1]} px, the feature network needs {INPUT_SIZE} px or more",
            where="measured images",
            remedy="measure a set-up of 64 px or more",
        )
    network.eval()
    device = next(network.parameters()).device
    vectors, sequences = [], []
    for start in range(0, len(images), batch):
        pooled = network.pooled(as_tensor(images[start : start + batch]).to(device))
        vectors.append(network.standardised(pooled).double().cpu())
        sequences.append(network.heads(pooled).sequence.argmax(1).cpu())
    return Features(torch.cat(vectors).numpy(), torch.cat(sequences).numpy())


def card_of(weights: Path) -> Path:
    """The JSON card beside a weights file."""
    return weights.with_suffix(".json")


def save_feature_network(
    network: FeatureNetwork, weights: Path, description: dict[str, Any]
) -> None:
    """Write the weights (safetensors), then the card that vouches for their hash.

    `description` goes into the card as it is: how the network was trained, on what, how well it
    answers on patients it has not seen.
    """
    tensors = {name: value.contiguous() for name, value in network.state_dict().items()}
    with atomic_write(weights) as handle:
        handle.write(safetensors.torch.save(tensors))
    card = {"schema": CARD_SCHEMA, "sha256": sha256_of_file(weights), **description}
    write_json(card_of(weights), card)


def load_feature_network(weights: Path = COMMITTED_WEIGHTS) -> FeatureNetwork:
    """The network in evaluation mode, its file checked against the card beside it.

    Raises:
        PathoganError: file or card missing, another hash than the card's, or a content that is not
            this network's tensors. Nothing in the file can execute: pickles are not read.
    """
    if not weights.is_file():
        raise PathoganError("feature network not found", where=weights, remedy=RETRAIN)
    card = read_json(card_of(weights))
    if not isinstance(card, dict) or card.get("schema") != CARD_SCHEMA or "sha256" not in card:
        raise PathoganError(
            "is not a feature network's card", where=card_of(weights), remedy=RETRAIN
        )
    if sha256_of_file(weights) != card["sha256"]:
        raise PathoganError("its SHA-256 is not the one on the card", where=weights, remedy=RETRAIN)
    network = FeatureNetwork()
    try:
        network.load_state_dict(safetensors.torch.load(weights.read_bytes()))
    except (safetensors.SafetensorError, RuntimeError, KeyError) as error:
        raise PathoganError(
            "does not hold the feature network's tensors", where=weights, remedy=RETRAIN
        ) from error
    return network.eval()
