from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.features import (
    COMMITTED_WEIGHTS,
    FEATURES,
    SEQUENCES,
    FeatureNetwork,
    card_of,
    extract,
    load_feature_network,
    save_feature_network,
)
from pathogan_core.evaluation.images import as_tensor


@pytest.fixture
def weights(tmp_path: Path, untrained_network: FeatureNetwork) -> Path:
    path = tmp_path / "network.safetensors"
    save_feature_network(untrained_network, path, {"seed": 0})
    return path


def vouch_for(path: Path, content: bytes) -> None:
    """Put `content` in the place of the weights, with a card that names its true hash."""
    path.write_bytes(content)
    card = {"schema": 1, "sha256": hashlib.sha256(content).hexdigest()}
    card_of(path).write_text(json.dumps(card))


def test_saved_weights_give_the_same_features(weights, untrained_network, make_images) -> None:
    images = make_images(5, seed=0)
    loaded = extract(load_feature_network(weights), images)
    np.testing.assert_array_equal(loaded.vectors, extract(untrained_network, images).vectors)
    assert json.loads(card_of(weights).read_text())["seed"] == 0


def test_features_do_not_depend_on_batch_or_company(untrained_network, make_images) -> None:
    images = make_images(9, seed=0)
    together = extract(untrained_network, images)
    assert together.vectors.shape == (9, FEATURES)
    assert set(together.sequences) <= set(range(len(SEQUENCES)))
    apart = extract(untrained_network, images[4:5], batch=1)
    np.testing.assert_allclose(apart.vectors, together.vectors[4:5], atol=1e-5)


def test_a_larger_image_is_measured_as_its_area_mean(untrained_network, make_images) -> None:
    small = make_images(3, seed=0)
    doubled = small.repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_allclose(
        extract(untrained_network, doubled).vectors,
        extract(untrained_network, small).vectors,
        atol=1e-5,
    )


def test_standardisation_moves_vectors_and_leaves_answers(untrained_network, make_images) -> None:
    images = make_images(6, seed=0)
    network = FeatureNetwork()
    network.load_state_dict(untrained_network.state_dict())
    network.feature_mean.fill_(0.5)
    network.feature_deviation.fill_(4.0)
    before, after = extract(untrained_network, images), extract(network, images)
    np.testing.assert_allclose(after.vectors, (before.vectors - 0.5) / 4, atol=1e-6)
    np.testing.assert_array_equal(after.sequences, before.sequences)


@pytest.mark.parametrize("head", ["sequence", "eccentricity", "tumour"])
def test_every_head_teaches_the_shared_trunk(make_images, head: str) -> None:
    network = FeatureNetwork()
    answer = getattr(network(as_tensor(make_images(4, seed=0))), head)
    answer.square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in network.trunk.parameters())


def test_too_small_images_are_refused(untrained_network, make_images) -> None:
    with pytest.raises(PathoganError, match="32 px, the feature network needs 64"):
        extract(untrained_network, make_images(2, seed=0, size=32))


def test_missing_file_or_card(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(PathoganError, match="not found"):
        load_feature_network(tmp_path / "none.safetensors")
    card_of(weights).unlink()
    with pytest.raises(PathoganError, match="json"):
        load_feature_network(weights)


def test_one_flipped_bit_is_noticed(weights: Path) -> None:
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(PathoganError, match="SHA-256"):
        load_feature_network(weights)


class Bomb:
    """Touches a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("save", [pickle.dump, torch.save])
def test_a_pickle_is_refused_and_does_not_run(weights: Path, tmp_path: Path, save) -> None:
    fuse, hidden = tmp_path / "fuse", tmp_path / "hidden"
    with hidden.open("wb") as handle:
        save(Bomb(fuse), handle)
    vouch_for(weights, hidden.read_bytes())
    with pytest.raises(PathoganError, match="tensors"):
        load_feature_network(weights)
    assert not fuse.exists()


def test_tensors_of_another_network_are_refused(weights: Path) -> None:
    save_feature_network(torch.nn.Linear(2, 2), weights, {})  # type: ignore[arg-type]
    with pytest.raises(PathoganError, match="tensors"):
        load_feature_network(weights)


@pytest.mark.parametrize("card", ["{}", "[]", '{"schema": 99, "sha256": ""}', "not json"])
def test_a_senseless_card_is_refused(weights: Path, card: str) -> None:
    card_of(weights).write_text(card)
    with pytest.raises(PathoganError, match=r"network\.json"):
        load_feature_network(weights)


def test_the_committed_network_is_whole_small_and_of_simulated_patients() -> None:
    if not COMMITTED_WEIGHTS.exists():
        pytest.skip("no committed weights yet: run scripts/train_feature_network.py")
    network = load_feature_network()
    assert not network.training
    assert COMMITTED_WEIGHTS.stat().st_size < 600_000
    trained_on = json.loads(card_of(COMMITTED_WEIGHTS).read_text())["trained_on"]
    assert trained_on["source"] == "simulated"
    assert trained_on["split"] == "validation"
