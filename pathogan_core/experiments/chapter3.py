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
from pathogan_core.evaluation.turing_session import export_session
from pathogan_core.experiments.distances import distribution_measurement
from pathogan_core.experiments.parameters import (
    check_choices,
    check_not_negative,
    check_positive,
    checked,
)
from pathogan_core.experiments.published import MODEL_LABELS, SEQUENCE_LABELS
from pathogan_core.experiments.store import (
    GENERATOR,
    Measurement,
    Outcome,
    Run,
    RunSpec,
    RunStore,
)
from pathogan_core.experiments.weights import load_network
from pathogan_core.gans import dcgan, sampling
from pathogan_core.places import data_root, project_root, runs_root
from pathogan_core.training.batches import DeviceImages, to_uint8
from pathogan_core.training.checkpoint import save_tensors
from pathogan_core.training.loop import LoopOptions, train
from pathogan_core.training.randomness import derive_seed

MEASURED_SEED = 1
"""Of the images that are measured: other ones than a page shows, the same for every run."""

TURING_IMAGES = 50
"""Real and generated images in a Visual Turing Test, each (section 3.2.3)."""

_POSITIVE = (
    "patients", "steps_dcgan", "steps_wgan", "width", "batch_size", "learning_rate_dcgan",
    "learning_rate_wgan", "warmup_critic_steps", "critic_steps", "measured_images",
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
        measured_images: generated images that the distribution measures see, with ``split: train``.
        reader: who takes the Visual Turing Test in JupyterLab; empty: nobody.
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
    measured_images: int = 1000
    seed: int = 0
    reader: str = ""

    @classmethod
    def from_notebook(cls, namespace: Mapping[str, Any]) -> Parameters:
        """From a notebook's globals; unknown names and impossible values are refused."""
        parameters = checked(cls, namespace)
        check_choices(
            parameters,
            {
                "scale": ("smoke", "demo", "study", "thesis"),
                "sequence": ("t1", "t1c", "t2", "flair", "concat"),
                "size": (64, 128),
                "split": ("all", "train", "validation", "test"),
                "models": ("dcgan", "wgan"),
            },
        )
        if not parameters.models:
            raise PathoganError("is empty", where="models", remedy="name dcgan, wgan or both")
        check_positive(parameters, *_POSITIVE)
        check_not_negative(parameters, "seed", "data_seed", "warmup_steps")
        return parameters


def prepared_slices(parameters: Parameters) -> PreparedSlices:
    """The slices to train on; a simulated cohort is made once and found again."""
    if parameters.prepared:
        # Not the working directory: Jupyter's and papermill's is the notebook's own folder.
        return PreparedSlices.open(project_root() / Path(parameters.prepared).expanduser())
    return prepare_simulated(
        data_root() / f"brats2016-sim{parameters.patients}-seed{parameters.data_seed}",
        parameters.patients,
        parameters.data_seed,
        PreparationParameters(),
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


def train_model(
    parameters: Parameters, model: str, slices: PreparedSlices, *, progress: bool = False
) -> Run:
    """Train one model, or load it if this configuration is finished; resumes a broken run."""
    split = None if parameters.split == "all" else parameters.split
    steps = getattr(parameters, f"steps_{model}")
    config = configuration(parameters, model)
    spec = RunSpec(
        chapter="ch3",
        setup=f"{model}-{parameters.sequence}-{parameters.size}",
        method=model,
        revision=dcgan.REVISION,
        config={
            **asdict(config),
            "steps": steps,
            "sequence": parameters.sequence,
            "split": parameters.split,
        },
        inputs={"images": slices.provenance(parameters.sequence, parameters.size, split)},
        scale=parameters.scale,
        seed=parameters.seed,
    )

    def run(folder: Path) -> Outcome:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        images = DeviceImages(slices.images(parameters.sequence, parameters.size, split), device)
        program = dcgan.program(config, images, parameters.seed, device)
        options = LoopOptions(device=device, tick_steps=max(1, steps // 100), progress=progress)
        clock = train(program, folder, steps=steps, seed=parameters.seed, options=options)
        weights = program.best("generator").state_dict()
        save_tensors(folder / GENERATOR, weights, {"config": asdict(config)})
        return Outcome(clock.step, clock.images, clock.seconds, device)

    store = RunStore(runs_root())
    trained = store.train_or_load(spec, run)
    how = measurement(parameters, slices)
    return store.measured(trained, how) if how else trained


def measurement(parameters: Parameters, slices: PreparedSlices) -> Measurement | None:
    """Distribution measures against test patients.

    None where no patient is held out of training, and on a bare GPU server without torch-fidelity:
    asked for where that is installed, the run is loaded and measured.
    """
    if parameters.split != "train":
        return None
    wanted = (parameters.sequence, parameters.size)
    pooled = parameters.sequence == "concat"

    def sides(run: Run) -> dict[str, Any]:
        return {
            "fake": generated(run, parameters.measured_images, MEASURED_SEED),
            "real_train": slices.images(*wanted, "train"),
            "real_held_out": slices.images(*wanted, "test"),
            "patients_train": slices.patients_of(parameters.sequence, "train"),
            "patients_held_out": slices.patients_of(parameters.sequence, "test"),
            "sequences_held_out": slices.sequence_of("concat", "test") if pooled else None,
        }

    held_out = slices.provenance(*wanted, "test")
    return distribution_measurement(held_out, parameters.measured_images, MEASURED_SEED, sides)


def load_generator(run: Run) -> dcgan.Generator:
    """The finished run's generator; see `weights.load_network` for what is refused."""
    return load_network(run, lambda config: dcgan.Generator(dcgan.DCGANConfig(**config)))


def generated(run: Run, count: int, seed: int = 0) -> np.ndarray:
    """`count` generated images, uint8 ``[count, S, S]``."""
    generator = load_generator(run)
    latent = run.record.config["latent"]
    return to_uint8(sampling.sample(generator, count, latent, seed))[:, 0].numpy()


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
    return to_uint8(sampling.draw(generator, torch.from_numpy(latents)))[:, 0].numpy()


def setup_label(setup: str) -> str:
    """``wgan-t1c-128`` as a reader sees it: ``WGAN T1c 128``."""
    model, sequence, size = setup.split("-")
    return f"{MODEL_LABELS[model]} {SEQUENCE_LABELS[sequence]} {size}"


def turing_session(run: Run, slices: PreparedSlices, seed: int = 0) -> Path:
    """A Visual Turing Test of a run's images: made once, found again with the same arguments.

    Args:
        run: a finished run; its set-up names the sequence and size of the real images.
        slices: where real images are drawn from, test patients if these are enough.
        seed: of the images and their order.

    Returns:
        The session's folder, below the run store; see `turing_session.export_session`.
    """
    _, sequence, size = run.record.setup.split("-")
    folder = runs_root() / "turing" / f"{run.record.run}-{slices.fingerprint[:12]}-{seed}"
    if not folder.exists():
        real = slices.images(sequence, int(size), "test")
        if len(real) < TURING_IMAGES:
            real = slices.images(sequence, int(size))
        synthetic = generated(run, TURING_IMAGES, derive_seed(seed, "turing"))
        export_session(real, synthetic, folder, per_class=TURING_IMAGES, seed=seed)
    return folder
