"""ImageNet weights of torchvision's residual networks, from a file that the user brings."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import torch
from torch import nn
from torchvision.models import get_model_weights

from pathogan_core.errors import PathoganError
from pathogan_core.files import sha256_of_file


class MissingImageNetWeights(PathoganError):
    """A pre-trained network was asked for and its file is not there; everything else works.

    A grid of arms catches this one and shows ``f"not run: {error.problem}"`` in the arm's place.
    """


def published_weights(model: str, version: str) -> tuple[str, str]:
    """Where torchvision publishes a file of weights, and the first 8 digits of its SHA-256.

    torchvision keeps these digits in the file's name, and checks downloads against them.

    Args:
        model: e.g. ``resnet50``.
        version: e.g. ``IMAGENET1K_V1``.

    Raises:
        PathoganError: torchvision has no such weights.
    """
    versions = {weights.name: weights.url for weights in get_model_weights(model)}
    if version not in versions:
        raise PathoganError(
            f"torchvision has no {version} for {model}",
            where="initial",
            remedy=f"choose scratch or {', '.join(versions)}",
        )
    url = versions[version]
    digits = re.search(r"-([0-9a-f]{8})\.pth$", url)
    assert digits, url
    return url, digits[1]


def published_file(path: Path | None, model: str, version: str) -> Path:
    """`path`, if it is the published file: its hash is compared, and it is not opened.

    Raises:
        MissingImageNetWeights: `path` is None or no file.
        PathoganError: it is another file, or cannot be read.
    """
    _, digits = published_weights(model, version)
    remedy = _how_to_get(model, version)
    if path is None or not path.is_file():
        where = "imagenet_weights" if path is None else path
        raise MissingImageNetWeights("needs ImageNet weights", where=where, remedy=remedy)
    try:
        found = sha256_of_file(path)
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
        raise PathoganError(problem, where=path, remedy="check its permissions") from error
    if not found.startswith(digits):
        problem = f"is not {model} {version}: its SHA-256 begins with {found[:8]}, not {digits}"
        raise PathoganError(problem, where=path, remedy=remedy)
    return path


def load_imagenet_weights(trunk: nn.Module, path: Path | None, model: str, version: str) -> None:
    """Load a published file into `trunk`, a torchvision residual network without its last layer.

    torchvision's files are pickles. The hash is compared before the file is opened, and then only
    tensors are read from it: no code in it can run.

    Raises:
        MissingImageNetWeights: `path` is None or no file.
        PathoganError: the file is another one, or damaged.
    """
    path = published_file(path, model, version)
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
        trunk.load_state_dict({k: v for k, v in tensors.items() if not k.startswith("fc.")})
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, AttributeError) as error:
        problem = f"does not hold the tensors of {model}"
        raise PathoganError(problem, where=path, remedy=_how_to_get(model, version)) from error


def _how_to_get(model: str, version: str) -> str:
    url, _ = published_weights(model, version)
    return f"download {url} and name the file in the parameter imagenet_weights"
