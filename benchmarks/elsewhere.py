"""What a step of PGGAN cost in other code, to be read beside what it costs here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.rows import Row

CPU_S_PER_STEP: Mapping[str, Mapping[str, float]] = {
    "pggan 64 px fp32": {
        "pytorch_GAN_zoo, its optimiser's constructor patched": 3.09,
        "the same arithmetic, critic frozen and channels last": 2.76,
    },
    "pggan 64 px bf16": {"the same arithmetic, bfloat16 and channels last": 1.53},
}
"""Measured once when the project began (torch 2.14, two shared AVX-512 cores): same size, width,
batch, penalty and moving average."""


def compared(rows: Sequence[Row]) -> str:
    """Lines that put these figures beside the rows they belong to; empty where there is none."""
    lines = [
        f"{row.measured}: {row.cpu_s_per_unit:.2f} CPU s/step here; " + "; ".join(
            f"{seconds:.2f} {by}" for by, seconds in CPU_S_PER_STEP[row.measured].items()
        )
        for row in rows
        if row.measured in CPU_S_PER_STEP and row.on.startswith("cpu")
    ]  # fmt: skip
    if not lines:
        return ""
    caveat = (
        "The others were measured on another day and perhaps another machine: a tenth is no "
        "difference. pggan-plain is a plain script's arithmetic, here and now."
    )
    return "\n".join([*lines, caveat])
