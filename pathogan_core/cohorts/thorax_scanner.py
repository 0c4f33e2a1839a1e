"""The CT scanner of a simulated scan: point spread, noise and its correlation, drawn per scan.

A filtered back-projection amplifies noise in proportion to the spatial frequency, up to where the
kernel falls off: grain, not white noise. Levels are choices within what clinical scans show.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from scipy import fft

KERNELS = ("soft", "standard", "sharp")
BLUR_MM = {"soft": 0.62, "standard": 0.48, "sharp": 0.36}
"""Standard deviation of the point spread in the slice."""

ENHANCEMENT = {"soft": 0.0, "standard": 0.12, "sharp": 0.45}
"""How much a kernel lifts middle frequencies, as a share: edges overshoot."""

NOISE_HU = {"soft": (7.0, 20.0), "standard": (10.0, 30.0), "sharp": (22.0, 60.0)}
"""Least and most standard deviation in the middle of the chest."""


@dataclass(frozen=True)
class Scanner:
    """How one scan was made.

    Attributes:
        kernel: one of `KERNELS`.
        noise: standard deviation in HU in the middle of the chest.
        overlap: correlation of the noise of neighbouring slices, from 0 to below 0.6.
    """

    kernel: str
    noise: float
    overlap: float

    def describe(self) -> dict[str, object]:
        """What was drawn, JSON-able."""
        return {k: v if isinstance(v, str) else round(v, 2) for k, v in asdict(self).items()}

    def transfer(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Modulation transfer at spatial frequencies in 1/mm (broadcast together)."""
        square = (rows**2 + columns**2).astype(np.float32)
        blurred = np.exp(-2 * (np.pi * BLUR_MM[self.kernel]) ** 2 * square)
        return blurred * (1 + ENHANCEMENT[self.kernel] * square / (0.25**2 + square))


def draw_scanner(rng: np.random.Generator, slice_mm: float) -> Scanner:
    """Draw a protocol for slices of this thickness."""
    kernel = str(rng.choice(KERNELS, p=(0.3, 0.45, 0.25)))
    low, high = NOISE_HU[kernel]
    noise = rng.uniform(low, high) * np.clip((1.6 / slice_mm) ** 0.35, 0.75, 1.4)
    return Scanner(kernel, float(noise), float(rng.uniform(0.1, 0.5)) if slice_mm < 2 else 0.0)


class Reconstruction:
    """Blurs slices as the kernel does, and makes its noise.

    Args:
        scanner: how the scan is made.
        shape: [y, x] of a slice.
        pixel_mm: spacing [y, x].
    """

    def __init__(self, scanner: Scanner, shape: tuple[int, int], pixel_mm: tuple[float, float]):
        self.scanner, self.shape = scanner, shape
        self.padded = tuple(fft.next_fast_len(n, real=True) for n in shape)
        rows = fft.fftfreq(self.padded[0], pixel_mm[0])[:, None]
        columns = fft.rfftfreq(self.padded[1], pixel_mm[1])[None]
        self.response = scanner.transfer(rows, columns).astype(np.float32)
        frequency = np.hypot(rows, columns)
        amplitude = self.response * np.sqrt(frequency + 0.02)
        # Few photons pass both shoulders: noise in streaks from side to side.
        direction = rows**2 / np.maximum(frequency**2, 1e-9)
        self.grain = unit_power(amplitude, self.padded)
        self.streaks = unit_power(amplitude * direction**12, self.padded)

    def blur(self, image: np.ndarray) -> np.ndarray:
        """A slice as the scanner's point spread shows it, float32."""
        extra = [(0, p - n) for p, n in zip(self.padded, self.shape, strict=True)]
        spectrum = fft.rfft2(
            np.pad(image, extra, mode="edge") if self.padded != self.shape else image
        )
        spectrum *= self.response
        return fft.irfft2(spectrum, self.padded)[: self.shape[0], : self.shape[1]]

    def spectrum(self, rng: np.random.Generator) -> np.ndarray:
        """White noise of one slice, as the spectrum of a real image, complex64."""
        size = (*self.response.shape, 2)
        return rng.standard_normal(size, np.float32).view(np.complex64)[..., 0]

    def noise(self, spectrum: np.ndarray, streaks: float) -> np.ndarray:
        """Noise of unit standard deviation with the kernel's correlation, float32.

        Args:
            spectrum: of white noise.
            streaks: share of the power that lies in streaks, in [0, 1].
        """
        amplitude = self.grain
        if streaks > 0:
            amplitude = np.sqrt((1 - streaks) * self.grain**2 + streaks * self.streaks**2)
        return fft.irfft2(spectrum * amplitude, self.padded)[: self.shape[0], : self.shape[1]]


def unit_power(amplitude: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Scale an amplitude so that noise shaped by it has unit variance, float32."""
    amplitude = amplitude.copy()
    amplitude[0, 0] = 0
    # A real image's spectrum: inner columns stand for two conjugate halves, with a complex draw
    # of variance 2 each; in the first and last only the symmetric part counts, of variance 1.
    twice = np.full(amplitude.shape[1], 4.0)
    twice[0] = 1.0
    if shape[1] % 2 == 0:
        twice[-1] = 1.0
    power = (amplitude**2 * twice).sum() / float(np.prod(shape)) ** 2
    return (amplitude / np.sqrt(power)).astype(np.float32)
