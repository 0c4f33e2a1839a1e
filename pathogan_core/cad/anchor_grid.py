"""YOLOv3's anchors in a square image: what its predictions mean, and which one answers for a box.

The image is divided into cells of 8, 16 and 32 pixels. Every cell has three anchors, the smallest
three of nine in the smallest cells. Each anchor of each cell makes one prediction
(tx, ty, tw, th, to): its box has its centre in that cell, at the sigmoid of (tx, ty), and is
exp(tw) times as wide and exp(th) times as high as its anchor (Redmon & Farhadi 2018, section 2.1).
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from pathogan_core.cad.anchors import Anchors
from pathogan_core.cad.darknet53 import STRIDES

PER_CELL = 3


class AnchorGrid:
    """The P predictions of an image of `size` pixels: by stride, then row, column and anchor.

    Args:
        size: pixels, a multiple of 32.
        anchors: nine of (width, height) in pixels of *this* image, smallest area first.
        device: of the tensors.
    """

    def __init__(self, size: int, anchors: Anchors, device: torch.device | str = "cpu"):
        self.shapes = torch.tensor(anchors, dtype=torch.float32, device=device)
        strides = torch.tensor(STRIDES, device=device)
        predictions = PER_CELL * (size // strides) ** 2
        # By anchor: its cells, and where the predictions of its stride begin.
        self._strides = strides.repeat_interleave(PER_CELL)
        self._starts = (predictions.cumsum(0) - predictions).repeat_interleave(PER_CELL)
        levels = [_level(size // stride, device) for stride in STRIDES]
        # By prediction.
        self._corners = torch.cat([s * cells for s, cells in zip(STRIDES, levels, strict=True)])
        self._cell_sizes = strides.repeat_interleave(predictions)[:, None]
        self._anchor_shapes = torch.cat([
            shapes.repeat(len(cells) // PER_CELL, 1)
            for shapes, cells in zip(self.shapes.split(PER_CELL), levels, strict=True)
        ])  # fmt: skip
        self._size = size

    def __len__(self) -> int:
        return len(self._corners)

    def decode(self, raw: Tensor) -> Tensor:
        """Boxes ``[..., P, 4]`` in pixels, parts outside the image included.

        Args:
            raw: ``[..., P, 4]`` or more columns: tx, ty, tw, th.
        """
        centres = self._corners + raw[..., :2].sigmoid() * self._cell_sizes
        halves = self._anchor_shapes * raw[..., 2:4].exp() / 2
        return torch.cat([centres - halves, centres + halves], -1)

    def responsible(self, boxes: Tensor) -> Tensor:
        """Number of the prediction ``[..., M]`` that answers for each of boxes ``[..., M, 4]``.

        It has the anchor of the best IoU with the box, laid centre on centre, and lies in the cell
        of that anchor's size in which the box has its centre.
        """
        centres, shapes = _centres_and_shapes(boxes)
        shared = torch.minimum(shapes[..., None, :], self.shapes).prod(-1)
        union = shapes.prod(-1)[..., None] + self.shapes.prod(-1) - shared
        anchor = (shared / union).argmax(-1)
        stride = self._strides[anchor]
        cells = self._size // stride
        at = (centres / stride[..., None]).long().clamp(min=0)
        column, row = torch.minimum(at, cells[..., None] - 1).unbind(-1)
        return self._starts[anchor] + PER_CELL * (row * cells + column) + anchor % PER_CELL

    def encode(self, boxes: Tensor, predictions: Tensor) -> tuple[Tensor, Tensor]:
        """What `predictions` ``[..., M]`` should say, so that `boxes` ``[..., M, 4]`` come out.

        Returns:
            The sigmoid of (tx, ty), and (tw, th) itself: ``[..., M, 2]`` each.
        """
        centres, shapes = _centres_and_shapes(boxes)
        within = (centres - self._corners[predictions]) / self._cell_sizes[predictions]
        return within, (shapes / self._anchor_shapes[predictions]).log()


@lru_cache(maxsize=32)
def anchor_grid(size: int, anchors: Anchors, device: torch.device) -> AnchorGrid:
    """The grid of these arguments, made once."""
    return AnchorGrid(size, anchors, device)


def _level(cells: int, device: torch.device | str) -> Tensor:
    """Column and row ``[3 * cells**2, 2]`` of the predictions of one stride."""
    rows, columns = torch.meshgrid(*2 * [torch.arange(cells, device=device)], indexing="ij")
    return torch.stack([columns, rows], -1).view(-1, 2).repeat_interleave(PER_CELL, 0)


def _centres_and_shapes(boxes: Tensor) -> tuple[Tensor, Tensor]:
    low, high = boxes[..., :2], boxes[..., 2:]
    return (low + high) / 2, high - low
