"""Chapter 3's experiment: DCGAN and WGAN on prepared sagittal slices (thesis section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pathogan_core.cohorts.prepare_parameters import PreparationParameters
from pathogan_core.cohorts.prepared import PreparedSlices
from pathogan_core.cohorts.simulated import prepare_simulated
from pathogan_core.errors import PathoganError
from pathogan_core.experiments.parameters import checked
from pathogan_core.experiments.store import GENERATOR, Outcome, Run, RunSpec, RunStore
from pathogan_core.gans import dcgan
from pathogan_core.places import data_root, project_root, runs_root
from pathogan_core.training.batches import DeviceImages, to_uint8
from pathogan_core.training.checkpoint import save_tensors
from pathogan_core.training.loop import LoopOptions, train
from pathogan_core.training.randomness import derive_seed

_POSITIVE = (
    "patients", "steps_dcgan", "steps_wgan", "width", "batch_size", "learning_rate_dcgan",
    "learning_rate_wgan", "warmup_critic_steps", "critic_steps",
)  # fmt: skip


@dataclass(frozen=True)
class Parameters:
    """What the notebook can be told; the defaults are the smoke scale.

    Args:
        scale: name of the preset, for records and captions.
        prepared: folder of prepared slices, relative to the project's root; empty: simulate
            `patients` with `data_seed`.
        sequence: ``t1``, ``t1c``, ``t2``, ``flair`` or ``concat``.
        split: patients to train on; ``all`` is what the thesis does.
        models: of ``dcgan``, ``wgan``.
        steps_dcgan, steps_wgan: generator updates. The thesis names no number.
        width, batch_size, warmup_steps, warmup_critic_steps, critic_steps, bf16: see
            `gans.dcgan.DCGANConfig`.
    """

    scale: str = "smoke"
    prepared: str = ""
    patients: int = 2
    data_seed: int = 0
    sequence: str = "t1c"
    size: int = 64
    split: str = "all"
    models: tuple[str, ...] = ("dcgan", "wgan")
    steps_dcgan: int = 20
    steps_wgan: int = 6
    width: int = 8
    batch_size: int = 16
    learning_rate_dcgan: float = 2.0e-4
    learning_rate_wgan: float = 5.0e-5
    warmup_steps: int = 1
    warmup_critic_steps: int = 10
    critic_steps: int = 5
    bf16: bool = False
    seed: int = 0

    @classmethod
    def from_notebook(cls, namespace: Mapping[str, Any]) -> Parameters:
        """From a notebook's globals; unknown names and impossible values are refused."""
        parameters = checked(cls, namespace)
        choices = {
            "sequence": ("t1", "t1c", "t2", "flair", "concat"),
            "split": ("all", "train", "validation", "test"),
            "models": ("dcgan", "wgan"),
        }
        for name, valid in choices.items():
            value = getattr(parameters, name)
            for one in value if isinstance(value, tuple) else (value,):
                if one not in valid:
                    remedy = f"choose from {', '.join(valid)}"
                    raise PathoganError(f"{one!r} is unknown", where=name, remedy=remedy)
        if not parameters.models:
            raise PathoganError("is empty", where="models", remedy="name dcgan, wgan or both")
        for name in _POSITIVE:
            if not (value := getattr(parameters, name)) > 0:
                raise PathoganError(f"is {value}", where=name, remedy="give more than 0")
        return parameters


def prepared_slices(parameters: Parameters) -> PreparedSlices:
    """The slices to train on; a simulated cohort is made once and found again."""
    if parameters.prepared:
        # Not the working directory: Jupyter's and papermill's is the notebook's own folder.
        return PreparedSlices.open(project_root() / Path(parameters.prepared).expanduser())
    name = f"brats2016-sim{parameters.patients}-seed{parameters.data_seed}-{parameters.size}"
    return prepare_simulated(
        data_root() / name,
        parameters.patients,
        parameters.data_seed,
        PreparationParameters(sizes=(parameters.size,)),
        workers=2,
    )


def configuration(parameters: Parameters, model: str) -> dcgan.DCGANConfig:
    """One model's configuration."""
    return dcgan.DCGANConfig(
        objective="dcgan" if model == "dcgan" else "wgan",
        image_size=parameters.size,
        width=parameters.width,
        batch_size=parameters.batch_size,
        learning_rate=getattr(parameters, f"learning_rate_{model}"),
        critic_steps=parameters.critic_steps,
        warmup_steps=parameters.warmup_steps,
        warmup_critic_steps=parameters.warmup_critic_steps,
        bf16=parameters.bf16,
    )


def train_model(parameters: Parameters, model: str, slices: PreparedSlices) -> Run:
    """Train one model, or load it if this configuration is finished; resumes a broken run."""
    split = None if parameters.split == "all" else parameters.split
    steps = getattr(parameters, f"steps_{model}")
    config = configuration(parameters, model)
    spec = RunSpec(
        chapter="ch3",
        setup=f"{model}-{parameters.sequence}-{parameters.size}",
        method=model,
        revision=dcgan.REVISION,
        config={**asdict(config), "steps": steps, "split": parameters.split},
        inputs={"images": slices.provenance(parameters.sequence, parameters.size, split)},
        scale=parameters.scale,
        seed=parameters.seed,
    )

    def run(folder: Path) -> Outcome:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        images = DeviceImages(slices.images(parameters.sequence, parameters.size, split), device)
        program = dcgan.program(config, images, parameters.seed, device)
        options = LoopOptions(device=device, tick_steps=max(1, steps // 100))
        clock = train(program, folder, steps=steps, seed=parameters.seed, options=options)
        weights = program.best("generator").state_dict()
        save_tensors(folder / GENERATOR, weights, {"config": asdict(config)})
        return Outcome({}, clock.step, clock.images, clock.seconds, device)

    return RunStore(runs_root()).train_or_load(spec, run)


def load_generator(run: Run) -> dcgan.Generator:
    """The finished run's generator."""
    tensors, header = run.load_tensors()
    generator = dcgan.Generator(dcgan.DCGANConfig(**header["config"]))
    generator.load_state_dict(tensors)
    return generator


def generated(run: Run, count: int, seed: int = 0) -> np.ndarray:
    """`count` generated images, uint8 ``[count, S, S]``."""
    generator = load_generator(run)
    latent = run.record.config["latent"]
    return to_uint8(dcgan.sample(generator, count, latent, seed))[:, 0].numpy()


def interpolated(run: Run, pairs: int, count: int, seed: int = 0) -> np.ndarray:
    """Images on the way between `pairs` pairs of latents, uint8 ``[pairs * count, S, S]``.

    The way is a quarter circle, cos(t) a + sin(t) b: as a and b are independent standard normal
    vectors, so is every point on it. Halfway along a straight line the norm would be too small.
    """
    generator = load_generator(run)
    latent = run.record.config["latent"]
    stream = np.random.default_rng(derive_seed(seed, "interpolate"))
    first, last = stream.standard_normal((2, pairs, 1, latent), np.float32)
    angle = np.linspace(0, np.pi / 2, count, dtype=np.float32)[:, None]
    latents = (np.cos(angle) * first + np.sin(angle) * last).reshape(-1, latent)
    return to_uint8(dcgan.draw(generator, torch.from_numpy(latents)))[:, 0].numpy()
