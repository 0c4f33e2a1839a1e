"""Randomness as a function of where a run stands, never of global state.

A draw made at (seed, step, phase, repetition) is the same whether the run got there in one go or
was killed and resumed a hundred times, so there is no generator state to save.
"""

from __future__ import annotations

import hashlib

import torch


def derive_seed(seed: int, *keys: int | str) -> int:
    """A 63-bit seed for one purpose, e.g. ``derive_seed(7, "D", step, repetition)``.

    SHA-256 decorrelates neighbouring keys; a sum or product of them would let ``(step 1, rank 2)``
    collide with ``(step 2, rank 1)``.
    """
    digest = hashlib.sha256(repr((int(seed), *keys)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator_for(
    seed: int, *keys: int | str, device: torch.device | str = "cpu"
) -> torch.Generator:
    """A fresh generator on `device`, seeded by `derive_seed`."""
    return torch.Generator(device=device).manual_seed(derive_seed(seed, *keys))
