"""Checkpoints: one safetensors file that holds a run's whole state, replaced atomically.

Weights, optimiser moments and the moving average are tensors; the clock and the open tick of the
log are JSON in the file's header. Nothing in it can execute code when loaded.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from pathogan_core.errors import PathoganError
from pathogan_core.files import atomic_write


def save_tensors(path: Path, tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
    """Write `tensors` and a JSON `header` to a safetensors file, atomically."""
    with atomic_write(path) as handle:
        handle.write(tensor_bytes(tensors, header))


def tensor_bytes(tensors: dict[str, Tensor], header: dict[str, Any]) -> bytes:
    """The content of a safetensors file with a JSON `header`."""
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return save(contiguous, metadata={"header": json.dumps(header)})


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_tensors` wrote.

    Raises:
        PathoganError: the file is missing, damaged, or not safetensors (a pickled `.pt` file, say:
            those can run code when opened and are refused).
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("header", "{}"))
            if not isinstance(header, dict):
                raise ValueError("a header that is no JSON object")
            return {name: file.get_tensor(name) for name in file.keys()}, header  # noqa: SIM118
    except FileNotFoundError as error:
        raise PathoganError("does not exist", where=path, remedy="check the path") from error
    except (SafetensorError, OSError, ValueError, struct.error) as error:
        raise PathoganError(
            "is not a readable safetensors file (damaged, or pickled weights, which are refused)",
            where=path,
            remedy="delete it to start again, or restore it from a copy",
        ) from error


def pack(
    modules: dict[str, nn.Module], optimizers: dict[str, torch.optim.Optimizer]
) -> dict[str, Tensor]:
    """All tensors of a run's state under flat names."""
    tensors = {
        f"module/{name}/{key}": value
        for name, module in modules.items()
        for key, value in module.state_dict().items()
    }
    for name, optimizer in optimizers.items():
        for index, state in optimizer.state_dict()["state"].items():
            for key, value in state.items():
                tensors[f"optimizer/{name}/{index}/{key}"] = torch.as_tensor(value)
    return tensors


def unpack(
    path: Path,
    tensors: dict[str, Tensor],
    modules: dict[str, nn.Module],
    optimizers: dict[str, torch.optim.Optimizer],
) -> None:
    """Load `pack`'s tensors into freshly built modules and optimisers.

    Raises:
        PathoganError: names or shapes differ, i.e. the file is of another configuration.
    """
    try:
        for name, module in modules.items():
            prefix = f"module/{name}/"
            module.load_state_dict(
                {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
            )
        for name, optimizer in optimizers.items():
            prefix = f"optimizer/{name}/"
            state: dict[int, dict[str, Tensor]] = {}
            for key, value in tensors.items():
                if key.startswith(prefix):
                    index, field = key.removeprefix(prefix).split("/")
                    state.setdefault(int(index), {})[field] = value
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": state, "param_groups": groups})
    except (RuntimeError, ValueError, KeyError) as error:
        raise PathoganError(
            "does not fit this configuration (other names or shapes)",
            where=path,
            remedy="delete it to start again",
        ) from error
