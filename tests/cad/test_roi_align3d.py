"""RoIAlign in volumes: exact on ramps, beside a point-by-point version, and in its gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates
from torch import Tensor

from pathogan_core.cad.roi_align3d import roi_align

SHAPE = (9, 7, 8)


def ramp(stride: float) -> Tensor:
    """Three channels: z, y and x in voxels of the input, where each feature stands."""
    axes = [(torch.arange(n, dtype=torch.float64) + 0.5) * stride for n in SHAPE]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))[None]


@pytest.mark.parametrize("samples", [1, 2, 3])
@pytest.mark.parametrize("stride", [1, 4])
def test_of_a_ramp_each_bin_is_the_value_at_its_centre(stride, samples):
    box = torch.tensor([[1.3, 1.1, 1.7, 6.4, 5.9, 5.2]], dtype=torch.float64) * stride
    found = roi_align(ramp(stride), [box], stride, 3, samples)
    steps = (torch.arange(3, dtype=torch.float64) + 0.5) / 3
    centres = box[0, :3, None] + steps * (box[0, 3:] - box[0, :3])[:, None]
    expected = torch.stack(torch.meshgrid(*centres, indexing="ij"))
    torch.testing.assert_close(found[0], expected)


def test_points_are_those_of_scipys_interpolation():
    rng = np.random.default_rng(0)
    features = torch.from_numpy(rng.standard_normal((2, 3, *SHAPE)))
    boxes = []
    for _ in range(2):
        low = rng.uniform(-2, 5, (4, 3))  # some reach out of the volume
        boxes.append(torch.from_numpy(np.hstack([low, low + rng.uniform(1, 7, (4, 3))])) * 2)
    found = roi_align(features, boxes, stride=2, size=4, samples=1)
    number = 0
    for volume, some in zip(features.numpy(), boxes, strict=True):
        for box in some.numpy() / 2:
            steps = (np.arange(4) + 0.5) / 4
            lines = [box[axis] + steps * (box[axis + 3] - box[axis]) - 0.5 for axis in range(3)]
            points = np.stack(np.meshgrid(*lines, indexing="ij"))
            for channel in range(3):
                slow = map_coordinates(volume[channel], points, order=1, mode="nearest")
                assert found[number, channel].numpy() == pytest.approx(slow)
            number += 1
    assert number == len(found)


def test_a_bin_is_the_mean_of_its_points():
    features = torch.from_numpy(np.random.default_rng(1).standard_normal((1, 2, *SHAPE)))
    box = torch.tensor([[0.5, 1, 1.5, 8, 6, 7]], dtype=torch.float64)
    fine = roi_align(features, [box], 1, 6, samples=1)
    coarse = roi_align(features, [box], 1, 3, samples=2)
    torch.testing.assert_close(coarse, fine.unflatten(4, (3, 2)).mean(5).unflatten(3, (3, 2))
                               .mean(4).unflatten(2, (3, 2)).mean(3))  # fmt: skip


def test_gradients_are_those_of_finite_differences_and_reach_the_own_volume_only():
    features = torch.randn(2, 2, 5, 4, 6, dtype=torch.float64, requires_grad=True)
    boxes = [torch.tensor([[0.4, 0.3, 1.2, 3.9, 3.3, 5.1]], dtype=torch.float64)] * 2
    assert torch.autograd.gradcheck(lambda f: roi_align(f, boxes, 1, 2), features, fast_mode=True)
    roi_align(features, boxes, 1, 2)[0].sum().backward()
    assert features.grad[0].abs().sum() > 0
    assert features.grad[1].abs().sum() == 0


def test_volumes_without_boxes_have_no_features():
    features = torch.randn(2, 3, *SHAPE)
    box = torch.tensor([[0.0, 0, 0, 4, 4, 4]])
    found = roi_align(features, [box[:0], box], 1, 2)
    assert found.shape == (1, 3, 2, 2, 2)
    torch.testing.assert_close(found, roi_align(features[1:], [box], 1, 2))
    assert roi_align(features, [box[:0]] * 2, 1, 2).shape == (0, 3, 2, 2, 2)
