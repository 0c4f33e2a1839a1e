"""YOLOv3, the detector of brain metastases (thesis section 5.2.3), as in Redmon & Farhadi (2018).

Darknet-53 sees the whole slice once. Three heads, the finer ones with the coarser ones' features,
predict a box and its score for every anchor of every cell (`anchor_grid`). There is one class,
tumour, so that a box's score is its objectness and there is no class term. Trained from scratch:
the thesis does not say that its trunk had seen photographs before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import box_iou

from pathogan_core.cad.anchor_grid import anchor_grid
from pathogan_core.cad.anchors import CLUSTERS, Anchors
from pathogan_core.cad.box_augmentation import BoxAugmentation
from pathogan_core.cad.boxed_images import BoxedBatch, BoxedMixture
from pathogan_core.cad.darknet53 import STRIDES, initialise
from pathogan_core.cad.detections import Detections, resized, suppressed
from pathogan_core.cad.yolov3_networks import BOX, SCORE, YOLOv3
from pathogan_core.errors import PathoganError
from pathogan_core.training.batches import DeviceImages
from pathogan_core.training.phases import Loss, Phase, Program, Turn
from pathogan_core.training.randomness import derive_seed
from pathogan_core.training.selection import Selection

REVISION = 1  # raise when a change here alters the result of an unchanged configuration

COCO_ANCHORS: Anchors = (
    (10, 13), (16, 30), (33, 23), (30, 61), (62, 45), (59, 119), (116, 90), (156, 198), (373, 326),
)  # fmt: skip


@dataclass(frozen=True)
class YOLOv3Config:
    """Everything that decides a result. Defaults are the thesis' or, where it is silent, named.

    "Paper" is Redmon & Farhadi (2018), "Darknet" its authors' code.

    Args:
        batch_size: 64 (thesis).
        learning_rate: 1e-3 (thesis).
        beta1, beta2: Adam's moments. Thesis silent; 0.9 and 0.999 (Kingma & Ba 2015).
        loss: of centres and objectness. ``squared``: the squared error of the sigmoid (thesis: "sum
            squared error"); ``bce``: the binary cross-entropy, the usual form. Paper and Darknet
            mix the two: Darknet reports squared errors and descends along the gradient of the
            cross-entropy. Sizes have the squared error of the logarithm in both. Taken literally,
            ``squared`` has no slope where a score is near 0: a short training may end with no
            lesion found, because empty places outnumber lesions and sink all scores first.
        train_sizes: sides in pixels that the images of a step are resized to, one drawn for every
            step. Thesis: 416, and silent on whether it varies; Darknet's configuration for 416
            draws from 320 to 608. ``(416,)`` never varies.
        test_size: 608 (thesis).
        anchors: nine of (width, height), in pixels of the network's input whatever its size,
            smallest area first. Thesis silent; the default, for photographs, is the paper's. See
            `anchors.anchors_of`.
        ignore_iou: predictions that overlap a box by more than this and do not answer for one are
            not punished. Thesis silent; 0.7 (Darknet). The paper says 0.5, and of anchors.
        centre_weight, size_weight: of a box's errors in the loss. Thesis silent; 2 (Darknet: 2
            minus the box's share of the image, which is almost 2 for a lesion).
        object_weight, empty_weight: of the objectness of predictions that answer for a box, and of
            those that should find none. Thesis silent; 1 (Darknet).
        score_threshold: lower scores are no detections: 0.001 (thesis: "0.1%").
        suppress_iou: of two detections that overlap by more, the one of lower score is dropped.
            Thesis silent; 0.45 (Darknet).
        most_candidates: detections of an image that take part in this, those of highest score.
            Ours: it bounds the time an untrained network takes.
        select_from: step from which validation picks weights: 96,000 (thesis; its window ends at
            240,000, the length of a run). A shorter run is validated once, at its end.
        validate_every: steps between validations. Thesis silent.
        width, depth: of Darknet-53, as multiples (`darknet53.Darknet53`); the heads follow `width`.
            1 (thesis). Less is ours, for study scale.
        augmentation: of all training images, real and synthetic (thesis).
        bf16: autocast; predictions, losses and statistics stay fp32, detection is fp32 throughout.

    Raises:
        PathoganError: an unknown name or an impossible number.
    """

    batch_size: int = 64
    learning_rate: float = 1.0e-3
    beta1: float = 0.9
    beta2: float = 0.999
    loss: Literal["squared", "bce"] = "squared"
    train_sizes: tuple[int, ...] = tuple(range(320, 609, 32))
    test_size: int = 608
    anchors: Anchors = COCO_ANCHORS
    ignore_iou: float = 0.7
    centre_weight: float = 2.0
    size_weight: float = 2.0
    object_weight: float = 1.0
    empty_weight: float = 1.0
    score_threshold: float = 0.001
    suppress_iou: float = 0.45
    most_candidates: int = 1000
    select_from: int = 96_000
    validate_every: int = 1000
    width: float = 1.0
    depth: float = 1.0
    augmentation: BoxAugmentation = field(default_factory=BoxAugmentation)
    bf16: bool = False

    def __post_init__(self) -> None:
        # JSON knows lists only.
        object.__setattr__(self, "train_sizes", tuple(self.train_sizes))
        object.__setattr__(self, "anchors", tuple((w, h) for w, h in self.anchors))
        if self.loss not in ("squared", "bce"):
            remedy = "choose squared or bce"
            raise PathoganError(f"is {self.loss!r}", where="loss", remedy=remedy)
        _check_sizes("train_sizes", self.train_sizes)
        _check_sizes("test_size", (self.test_size,))
        _check_anchors(self.anchors)
        for name in ("ignore_iou", "suppress_iou", "score_threshold"):
            if not 0 <= (value := getattr(self, name)) <= 1:
                raise PathoganError(f"is {value}", where=name, remedy="give 0 to 1")
        least = {"batch_size": 2, "most_candidates": 1, "select_from": 0, "validate_every": 1}
        for name, bound in least.items():
            if (value := getattr(self, name)) < bound:
                raise PathoganError(f"is {value}", where=name, remedy=f"give {bound} or more")
        for name in ("width", "depth"):
            if not (value := getattr(self, name)) > 0:
                raise PathoganError(f"is {value}", where=name, remedy="give more than 0")


def objective(
    config: YOLOv3Config, raw: Tensor, batch: BoxedBatch
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss, and its unweighted terms: summed over an image, averaged over the batch.

    A box is answered for by one prediction. Where two boxes of an image would have the same one,
    which takes centres in one cell and the same anchor, the first box has it (Darknet: the last).

    Args:
        raw: what the network says of `batch`, ``[n, P, 5]``.
        batch: images of one of `config.train_sizes`, boxes in their pixels.
    """
    size = batch.images.shape[-1]
    grid = anchor_grid(size, config.anchors, raw.device)
    number = grid.responsible(batch.boxes)
    same = (number[:, :, None] == number[:, None, :]) & batch.present[:, None, :]
    chosen = batch.present & ~same.tril(-1).any(-1)

    within, logarithms = grid.encode(batch.boxes, number)
    answers = raw[..., BOX].gather(1, number[..., None].expand(-1, -1, 4))
    mask = chosen[..., None]  # before the errors: the logarithm of no box is infinite
    centre = _error(config.loss, answers[..., :2], torch.where(mask, within, 0.5)) * mask
    extent = (answers[..., 2:] - torch.where(mask, logarithms, 0.0)).square() * mask

    positive = torch.zeros_like(raw[..., SCORE]).scatter_reduce(1, number, chosen.float(), "amax")
    ignored = _best_iou(grid.decode(raw.detach()), batch.boxes) > config.ignore_iou
    score = _error(config.loss, raw[..., SCORE], positive)
    sums = {
        "centre": centre,
        "size": extent,
        "object": score * positive,
        "empty": score * ~(ignored | positive.bool()),
    }
    terms = {name: value.sum() / len(raw) for name, value in sums.items()}
    weighted = [getattr(config, f"{name}_weight") * value for name, value in terms.items()]
    return torch.stack(weighted).sum(), terms


def _error(kind: str, logits: Tensor, truth: Tensor) -> Tensor:
    if kind == "squared":
        return (logits.sigmoid() - truth).square()
    return F.binary_cross_entropy_with_logits(logits, truth, reduction="none")


@torch.no_grad()
def _best_iou(predicted: Tensor, boxes: Tensor) -> Tensor:
    """Highest IoU ``[n, P]`` of each prediction with a box of its image; one image at a time."""
    pairs = zip(predicted, boxes, strict=True)
    return torch.stack([box_iou(found, truth).amax(1) for found, truth in pairs])


def program(
    config: YOLOv3Config,
    training: BoxedMixture,
    validation: np.ndarray,
    sensitivity: Callable[[list[Detections]], float],
    seed: int,
    device: torch.device | str = "cpu",
) -> Program:
    """One phase T, for `pathogan_core.training.loop.train`, and the thesis' choice of weights.

    Args:
        training: the arm's images and boxes.
        validation: uint8 ``[N, S, S]``, the images that decide which weights are tested.
        sensitivity: of what is found in each of them (thesis: at an IoU of 0.5): the highest wins,
            the first of equal ones.
    """
    network = YOLOv3(config.width, config.depth)
    initialise(network, seed)
    network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.Adam(
        network.parameters(), config.learning_rate, (config.beta1, config.beta2)
    )
    phase = Phase(
        "T", "detector", optimizer, detection_loss(config, training, network),
        images=config.batch_size,
    )  # fmt: skip
    held_out = DeviceImages(validation, device)

    def missed(module: nn.Module) -> dict[str, Tensor]:
        share = 1 - sensitivity(_detect(module, held_out, config))
        return {"missed": torch.tensor(share, device=device)}

    selection = Selection(
        "detector", network, every=config.validate_every, begin=config.select_from,
        measure=missed, criterion="missed",
    )  # fmt: skip
    return Program({"detector": network}, [phase], bf16=config.bf16, selection=selection)


def detection_loss(
    config: YOLOv3Config, training: BoxedMixture, network: nn.Module
) -> Callable[[Turn], Loss]:
    """`objective` of an augmented batch at the size of the step."""

    def loss(turn: Turn) -> Loss:
        if turn.distribution.world > 1:
            raise PathoganError(
                "trains in one process: others would normalise over parts of the batch",
                where="detector",
                remedy="start arms and seeds side by side instead",
            )
        drawn = training.draw(turn, config.batch_size, config.augmentation)
        size = step_size(config, turn)
        scale = size / training.side
        batch = BoxedBatch(resized(drawn.images, size), drawn.boxes * scale, drawn.present)
        return objective(config, network(batch.images), batch)

    return loss


def step_size(config: YOLOv3Config, turn: Turn) -> int:
    """Pixels of this step's images; known on the host, so that no device is waited for."""
    number = derive_seed(turn.generator.initial_seed(), "size")
    return config.train_sizes[number % len(config.train_sizes)]


def predict(
    network: nn.Module, images: np.ndarray, config: YOLOv3Config, batch: int = 8
) -> list[Detections]:
    """The detections in each of uint8 images ``[N, S, S]``, which are resized to `test_size`.

    In evaluation mode and fp32: what is found in an image depends on that image only.

    Args:
        batch: images that are in memory at a time at that size.
    """
    device = next(network.parameters()).device
    was_training = network.training
    found = _detect(network.eval(), DeviceImages(images, device), config, batch)
    network.train(was_training)
    return found


@torch.no_grad()
def _detect(
    network: nn.Module, images: DeviceImages, config: YOLOv3Config, batch: int = 8
) -> list[Detections]:
    device = next(network.parameters()).device
    grid = anchor_grid(config.test_size, config.anchors, device)
    found = []
    for rows in torch.arange(len(images), device=device).split(batch) if len(images) else ():
        given = images[rows]
        side = given.shape[-1]
        raw = network(resized(given, config.test_size))
        boxes = (grid.decode(raw) * (side / config.test_size)).clamp(0, side)
        for at, scores in zip(boxes, raw[..., SCORE].sigmoid(), strict=True):
            found.append(
                suppressed(
                    at, scores, config.score_threshold, config.suppress_iou, config.most_candidates
                )
            )
    return found


def _check_sizes(where: str, sizes: tuple[int, ...]) -> None:
    if not sizes or any(size < STRIDES[-1] or size % STRIDES[-1] for size in sizes):
        raise PathoganError(
            f"is {', '.join(map(str, sizes)) or 'empty'}",
            where=where,
            remedy=f"give multiples of {STRIDES[-1]}; the thesis trains at 416 and tests at 608",
        )


def _check_anchors(anchors: Anchors) -> None:
    areas = [w * h for w, h in anchors]
    positive = all(w > 0 and h > 0 for w, h in anchors)
    if len(anchors) != CLUSTERS or not positive or areas != sorted(areas):
        raise PathoganError(
            f"are {len(anchors)} pairs" if len(anchors) != CLUSTERS else "are not in order",
            where="anchors",
            remedy=f"give {CLUSTERS} of (width, height) above 0, smallest area first",
        )
