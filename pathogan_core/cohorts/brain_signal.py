"""From tissue to grey value: signal equations, relaxation times, scanners, bias field, noise.

Signals follow the textbook steady-state equations (for instance Bernstein, King and Zhou, Handbook
of MRI Pulse Sequences, 2004). Relaxation times are round values within the ranges that the
literature reports for 1.5 T and 3 T (Stanisz et al. 2005, Wansapura et al. 1999, Bojorquez et al.
2017); they are inputs of a simulation, not measurements of this project.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np
from scipy import ndimage

from pathogan_core.cohorts.brain_template import RandomField

SEQUENCES = ("t1", "t1c", "t2", "flair")
RELAXIVITY = 4.5
"""Longitudinal relaxivity of a gadolinium agent, per second and mmol/l (about 4-5 at 1.5-3 T)."""

IN_PLANE_BLUR = 0.42
"""Standard deviation in voxels of the in-plane point spread."""


@dataclass(frozen=True)
class Tissue:
    """Relaxation times in ms and proton density relative to water."""

    t1: float
    t2: float
    density: float

    def enhanced(self, concentration: float) -> Tissue:
        """The tissue with `concentration` mmol/l of contrast agent in it (T1 effect only)."""
        return replace(self, t1=1 / (1 / self.t1 + RELAXIVITY * concentration / 1000))


TISSUES: dict[float, dict[str, Tissue]] = {
    1.5: {
        "csf": Tissue(4000, 1800, 1.0),
        "grey": Tissue(1080, 96, 0.83),
        "white": Tissue(690, 76, 0.71),
        "deep": Tissue(980, 82, 0.80),
        "blood": Tissue(1450, 60, 0.75),
        "choroid": Tissue(1500, 180, 0.88),
        "dura": Tissue(900, 40, 0.45),
        "oedema": Tissue(1400, 160, 0.86),
        "tumour": Tissue(1350, 145, 0.86),
        "necrosis": Tissue(2300, 330, 0.93),
        "haemorrhage": Tissue(520, 90, 0.80),
    },
    3.0: {
        "csf": Tissue(4200, 1700, 1.0),
        "grey": Tissue(1400, 92, 0.83),
        "white": Tissue(890, 70, 0.71),
        "deep": Tissue(1260, 72, 0.80),
        "blood": Tissue(1700, 50, 0.75),
        "choroid": Tissue(1800, 160, 0.88),
        "dura": Tissue(1100, 35, 0.45),
        "oedema": Tissue(1700, 145, 0.86),
        "tumour": Tissue(1650, 130, 0.86),
        "necrosis": Tissue(2700, 290, 0.93),
        "haemorrhage": Tissue(620, 80, 0.80),
    },
}


def spin_echo(tissue: Tissue, repetition: float, echo: float) -> float:
    """Spin-echo signal: density (1 - exp(-TR/T1)) exp(-TE/T2); times in ms."""
    recovered = 1 - np.exp(-repetition / tissue.t1)
    return float(tissue.density * recovered * np.exp(-echo / tissue.t2))


def spoiled_gradient_echo(tissue: Tissue, repetition: float, echo: float, flip: float) -> float:
    """Spoiled gradient-echo (FLASH) signal for a flip angle in degrees.

    Differs: T2 stands in for T2*, which would need a field map.
    """
    e1, angle = np.exp(-repetition / tissue.t1), np.deg2rad(flip)
    steady = np.sin(angle) * (1 - e1) / (1 - np.cos(angle) * e1)
    return float(tissue.density * steady * np.exp(-echo / tissue.t2))


def inversion_recovery(tissue: Tissue, repetition: float, echo: float, inversion: float) -> float:
    """Magnitude of the inversion-recovery spin-echo signal.

    density abs(1 - 2 exp(-TI/T1) + exp(-TR/T1)) exp(-TE/T2); times in ms.
    """
    mixed = 1 - 2 * np.exp(-inversion / tissue.t1) + np.exp(-repetition / tissue.t1)
    return float(tissue.density * abs(mixed) * np.exp(-echo / tissue.t2))


def nulling_time(tissue: Tissue, repetition: float) -> float:
    """Inversion time in ms at which the tissue gives no signal."""
    return float(tissue.t1 * np.log(2 / (1 + np.exp(-repetition / tissue.t1))))


@dataclass(frozen=True)
class Scanner:
    """One scanner's protocol: field in tesla, times in ms, angle in degrees."""

    name: str
    field: float
    gradient_echo: bool
    t1_repetition: float
    t1_echo: float
    t1_flip: float
    t2_repetition: float
    t2_echo: float
    flair_repetition: float
    flair_echo: float
    flair_inversion_error: float
    noise: float
    gain: float

    def describe(self) -> dict[str, object]:
        return {
            k: v if isinstance(v, (str, bool)) else round(v, 4) for k, v in asdict(self).items()
        }

    def signal(self, sequence: str, tissue: Tissue) -> float:
        """Noise-free signal of one tissue; T1 and T1c share one protocol."""
        if sequence in ("t1", "t1c"):
            if self.gradient_echo:
                return spoiled_gradient_echo(tissue, self.t1_repetition, self.t1_echo, self.t1_flip)
            return spin_echo(tissue, self.t1_repetition, self.t1_echo)
        if sequence == "t2":
            return spin_echo(tissue, self.t2_repetition, self.t2_echo)
        csf = TISSUES[self.field]["csf"]
        inversion = nulling_time(csf, self.flair_repetition) * (1 + self.flair_inversion_error)
        return inversion_recovery(tissue, self.flair_repetition, self.flair_echo, inversion)


def draw_scanner(rng: np.random.Generator, name: str) -> Scanner:
    """Draw a plausible clinical protocol."""
    field = 1.5 if rng.random() < 0.55 else 3.0
    gradient_echo = bool(rng.random() < 0.45)
    return Scanner(
        name=name,
        field=field,
        gradient_echo=gradient_echo,
        t1_repetition=rng.uniform(9, 24) if gradient_echo else rng.uniform(450, 650),
        t1_echo=rng.uniform(3, 5) if gradient_echo else rng.uniform(9, 15),
        t1_flip=rng.uniform(18, 28) if gradient_echo else 90.0,
        t2_repetition=rng.uniform(3500, 6000),
        t2_echo=rng.uniform(84, 112),
        flair_repetition=rng.uniform(8000, 10000),
        flair_echo=rng.uniform(95, 135),
        flair_inversion_error=rng.uniform(-0.02, 0.02),
        noise=rng.uniform(0.018, 0.038),
        gain=rng.uniform(350, 900),
    )


def acquire(
    rng: np.random.Generator,
    ideal: np.ndarray,
    scanner: Scanner,
    reference: float,
    slice_mm: float,
    shade: np.ndarray,
) -> np.ndarray:
    """What the scanner makes of an ideal image.

    Args:
        ideal: noise-free signal, float32 [z, y, x].
        scanner: its noise (relative to `reference`) and gain.
        reference: signal of normal white matter, scaled to the scanner's gain.
        slice_mm: thickness of the acquired axial slices; above 1 the image is blurred through
            plane, as clinical series resampled to 1 mm are.
        shade: multiplicative coil shading, mean near 1.

    Returns:
        float32 magnitude image with Rician noise.
    """
    through = 0.45 if slice_mm <= 1 else slice_mm / 2.8
    image = ndimage.gaussian_filter(ideal, (through, IN_PLANE_BLUR, IN_PLANE_BLUR)) * shade
    sigma = np.float32(scanner.noise * reference)
    # Resampling to 1 mm leaves noise that is slightly smooth; in the imaginary channel, which only
    # matters where there is no signal, that is left out.
    noise = ndimage.gaussian_filter(rng.standard_normal(image.shape, np.float32), IN_PLANE_BLUR)
    noise *= sigma / noise[::4].std()
    image += noise
    imaginary = sigma * rng.standard_normal(image.shape, np.float32)
    image *= image
    imaginary *= imaginary
    image += imaginary
    np.sqrt(image, out=image)
    image *= np.float32(scanner.gain / reference)
    return image


def coil_shading(rng: np.random.Generator, shape: tuple[int, ...], strength: float) -> np.ndarray:
    """Smooth multiplicative bias field."""
    return np.exp(strength * RandomField(rng, shape, 45).everywhere())
