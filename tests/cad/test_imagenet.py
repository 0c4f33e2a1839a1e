"""ImageNet weights: where they are published, and that only the right file is opened."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import pytest
import torch
from torchvision.models import resnet18

from pathogan_core.cad import imagenet
from pathogan_core.cad.imagenet import (
    MissingImageNetWeights,
    load_imagenet_weights,
    published_weights,
)
from pathogan_core.cad.resnet50 import TumourClassifier
from pathogan_core.errors import PathoganError

MODEL, VERSION = "resnet18", "IMAGENET1K_V1"


class Trap:
    """Unpickling it makes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.fixture
def publish(monkeypatch: pytest.MonkeyPatch):
    """Let a file pass for the published one."""

    def as_published(path: Path) -> Path:
        digits = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
        monkeypatch.setattr(
            imagenet, "published_weights", lambda *_: (f"https://example.org/{path.name}", digits)
        )
        return path

    return as_published


def some_weights(path: Path) -> dict[str, torch.Tensor]:
    """A file as torchvision writes it: weights and the last layer of 1,000 classes."""
    tensors = resnet18().state_dict()
    torch.save(tensors, path)
    return tensors


def test_published_files_are_torchvisions() -> None:
    """The digits stand in the names of the files that torchvision has published since 2016."""
    assert published_weights("resnet50", "IMAGENET1K_V1") == (
        "https://download.pytorch.org/models/resnet50-0676ba61.pth",
        "0676ba61",
    )
    assert published_weights("resnet50", "IMAGENET1K_V2")[1] == "11ad3fa6"
    with pytest.raises(PathoganError, match="no IMAGENET1K_V2 for resnet18; choose scratch or"):
        published_weights("resnet18", "IMAGENET1K_V2")


def test_the_right_file_is_loaded_without_its_last_layer(tmp_path: Path, publish) -> None:
    tensors = some_weights(tmp_path / "weights.pth")
    trunk = TumourClassifier(depth=18).trunk
    load_imagenet_weights(trunk, publish(tmp_path / "weights.pth"), MODEL, VERSION)
    loaded = trunk.state_dict()
    assert loaded.keys() == {name for name in tensors if not name.startswith("fc.")}
    assert all(torch.equal(value, tensors[name]) for name, value in loaded.items())


@pytest.mark.parametrize("given", [None, "absent.pth", "."])
def test_a_missing_file_says_how_to_get_it(tmp_path: Path, given: str | None) -> None:
    path = None if given is None else tmp_path / given
    with pytest.raises(MissingImageNetWeights) as caught:
        load_imagenet_weights(TumourClassifier(18).trunk, path, "resnet50", VERSION)
    assert caught.value.problem == "needs ImageNet weights"
    assert "download https://download.pytorch.org/models/resnet50-0676ba61.pth" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_file_is_refused_and_not_opened(tmp_path: Path) -> None:
    path, sprung = tmp_path / "resnet18-f37072fd.pth", tmp_path / "sprung"
    path.write_bytes(pickle.dumps(Trap(sprung)))
    with pytest.raises(PathoganError, match=r"its SHA-256 begins with \w{8}, not f37072fd"):
        load_imagenet_weights(TumourClassifier(18).trunk, path, MODEL, VERSION)
    assert not sprung.exists()
    pickle.loads(path.read_bytes())
    assert sprung.exists()  # the trap works


def test_no_code_runs_even_if_the_digits_fit(tmp_path: Path, publish) -> None:
    path, sprung = tmp_path / "forged.pth", tmp_path / "sprung"
    torch.save(Trap(sprung), path)
    with pytest.raises(PathoganError, match="does not hold the tensors of resnet18"):
        load_imagenet_weights(TumourClassifier(18).trunk, publish(path), MODEL, VERSION)
    assert not sprung.exists()


def test_tensors_of_another_network_are_one_line(tmp_path: Path, publish) -> None:
    some_weights(tmp_path / "weights.pth")
    with pytest.raises(PathoganError, match="does not hold the tensors of resnet50"):
        load_imagenet_weights(
            TumourClassifier(50).trunk, publish(tmp_path / "weights.pth"), "resnet50", VERSION
        )
