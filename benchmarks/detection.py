"""The cost of looking for lesions in an image: the whole way from 8-bit pixels to boxes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.methods import SEED, Settings, random_images
from benchmarks.rows import Row
from benchmarks.training import with_threads
from benchmarks.usage import Reading, now, peak_memory
from pathogan_core.cad.darknet53 import initialise
from pathogan_core.cad.yolov3 import YOLOv3Config, predict
from pathogan_core.cad.yolov3_networks import YOLOv3


@dataclass(frozen=True)
class Detector:
    """How a detector is timed.

    Args:
        settings: what differs from the defaults of its configuration.
        sizes: of the network's input, in pixels, each with what differs further.
        quick: what differs further for `--quick`.
        cpu_images: not timed, and timed, on a CPU.
    """

    settings: Settings
    sizes: Mapping[int, Settings]
    quick: Settings
    cpu_images: tuple[int, int] = (2, 6)

    def at(self, size: int, *, quick: bool) -> dict[str, Any]:
        """The settings at one of `sizes`."""
        return {**self.settings, **self.sizes[size], **(self.quick if quick else {})}


DETECTORS: dict[str, Detector] = {
    "yolov3-detect": Detector({}, {416: {}}, {"width": 0.05, "depth": 0.1})
}


@dataclass(frozen=True)
class DetectionCase:
    """One detector at one size on one device, an image at a time, in fp32 as `predict` is.

    Args:
        detector: a key of `DETECTORS`.
        size: pixels of the network's input, and of the images.
        device: ``cpu`` or ``cuda``.
        settings: of the detector's configuration, besides the size.
        warmup: images before the clock starts.
        images: images that are timed.
        threads: PyTorch's, in the measuring process; None leaves its default.
    """

    detector: str
    size: int
    device: str
    settings: dict[str, Any]
    warmup: int
    images: int
    threads: int | None = None

    @property
    def name(self) -> str:
        """E.g. ``yolov3-detect 416 px fp32``."""
        return f"{self.detector} {self.size} px fp32"

    def measure(self, read: Callable[[], Reading] = now) -> Row:
        """Find boxes in noise with initial weights: as many to compare as there ever are."""
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        on_cuda = self.device == "cuda"
        config = YOLOv3Config(test_size=self.size, **self.settings)
        network = YOLOv3(config.width, config.depth)
        initialise(network, SEED)
        network.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        images = random_images(self.size)
        predict(network, images[: self.warmup], config, batch=1)
        if on_cuda:
            torch.cuda.reset_peak_memory_stats()
        begun = read()
        predict(network, images[: self.images], config, batch=1)  # ends with boxes on the host
        spent = read() - begun
        return Row(
            measured=self.name,
            on=with_threads(self.device),
            unit="image",
            units=self.images,
            wall_s=spent.wall_s,
            cpu_s=spent.cpu_s,
            peak_memory_bytes=peak_memory(),
            peak_device_bytes=torch.cuda.max_memory_allocated() if on_cuda else None,
        )
