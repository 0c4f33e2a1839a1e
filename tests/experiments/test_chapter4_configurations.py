"""Chapter 4's configurations: every parameter arrives where it belongs, under its own name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tiny_chapter4 import TINY, told

from pathogan_core.cad.resnet50 import ResNetConfig
from pathogan_core.errors import PathoganError
from pathogan_core.evaluation.discarding import DiscardingConfig
from pathogan_core.evaluation.embedding import TSNEConfig
from pathogan_core.experiments.chapter4 import configurations
from pathogan_core.gans.munit import MUNITConfig
from pathogan_core.gans.pggan import PGGANConfig
from pathogan_core.gans.simgan import SimGANConfig

P = replace(
    TINY,
    gan_size=128,
    classifier_size=64,
    pggan_width=24,
    pggan_latent=11,
    pggan_batches=(16, 8),
    crop_pixels=2,
    clusters=5,
    components=6,
    odd_quantile=0.7,
    odd_tumour=(1, 2),
    odd_non_tumour=(3,),
    munit_width=6,
    munit_discriminator_width=10,
    munit_rate=0.5,
    munit_layers=2,
    munit_scales=1,
    munit_batch=3,
    munit_halve_every=77,
    simgan_width=8,
    simgan_batch=4,
    simgan_rate=0.25,
    simgan_halve_at=66,
    simgan_refiner_warmup=12,
    simgan_discriminator_warmup=13,
    simgan_history=14,
    depth=50,
    classifier_batch=9,
    classifier_rate=0.125,
    epoch_steps=15,
    patience=16,
    perplexity=17.5,
    seed=18,
    bf16=True,
)
"""Every value is another one, and not the default."""


def test_every_parameter_arrives_at_its_method() -> None:
    assert configurations.pggan(P) == PGGANConfig(
        image_size=128, width=24, latent=11, batch_sizes=(16, 8), crop_pixels=2, bf16=True
    )
    assert configurations.munit(P) == MUNITConfig(
        image_size=64, width=6, discriminator_width=10, discriminator_layers=2, scales=1,
        batch_size=3, learning_rate=0.5, halve_every=77, bf16=True,
    )  # fmt: skip
    assert configurations.simgan(P) == SimGANConfig(
        image_size=64, width=8, batch_size=4, learning_rate=0.25, halve_at=66, refiner_warmup=12,
        discriminator_warmup=13, history=14, bf16=True,
    )  # fmt: skip
    shared = {"components": 6, "clusters": 5, "quantile": 0.7, "seed": 18}
    assert configurations.discarding(P, "tumour") == DiscardingConfig(odd=(1, 2), **shared)
    assert configurations.discarding(P, "non_tumour") == DiscardingConfig(odd=(3,), **shared)
    assert configurations.tsne(P) == TSNEConfig(perplexity=17.5, seed=18)


@pytest.mark.parametrize(
    ("training", "schedule"),
    [
        ("scratch", {"initial": "scratch", "decay": 0.1, "decay_epochs": 20}),
        ("pretrained", {"initial": "IMAGENET1K_V1", "decay": 0.5, "decay_epochs": 5}),
    ],
)
def test_a_training_is_initial_weights_and_a_schedule(training: str, schedule: dict) -> None:
    assert configurations.classifier(P, training) == ResNetConfig(
        depth=50, batch_size=9, learning_rate=0.125, epoch_steps=15, patience_epochs=16, bf16=True,
        **schedule,
    )  # fmt: skip


def test_what_is_refused_is_named_in_the_notebooks_words() -> None:
    with pytest.raises(PathoganError) as refused:
        replace(P, munit_layers=6, munit_scales=2)
    assert told(refused) == (
        "classifier_size: 64 px cannot be halved so often by a discriminator; "
        "use 128 or more, fewer munit_scales or fewer munit_layers"
    )


def test_the_file_of_weights_lies_in_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATHOGAN_HOME", str(tmp_path))
    assert configurations.imagenet_weights(P) is None
    named = replace(P, imagenet_weights="data/some.pth")
    assert configurations.imagenet_weights(named) == tmp_path / "data" / "some.pth"
