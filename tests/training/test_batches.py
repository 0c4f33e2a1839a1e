"""Images on the device."""

from __future__ import annotations

import torch

from pathogan_core.training.batches import shifted


def test_shifted_moves_each_image_by_itself_and_brings_in_black():
    images = torch.rand(5, 2, 6, 7, generator=torch.Generator().manual_seed(0))
    rows, columns = torch.tensor([0, 2, -3, 1, 6]), torch.tensor([0, -1, 4, 0, 0])
    moved = shifted(images, rows, columns)
    for n in range(5):
        for y in range(6):
            for x in range(7):
                v, u = y - rows[n], x - columns[n]
                inside = 0 <= v < 6 and 0 <= u < 7
                expected = images[n, :, v, u] if inside else torch.full((2,), -1.0)
                assert torch.equal(moved[n, :, y, x], expected)
    assert torch.equal(moved[0], images[0])
    assert moved[4].eq(-1).all()
