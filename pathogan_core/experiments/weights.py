"""A finished run's network, held against its record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeVar

from torch import nn

from pathogan_core.errors import PathoganError
from pathogan_core.experiments.store import GENERATOR, Run

Network = TypeVar("Network", bound=nn.Module)
Config = TypeVar("Config")


def load_network(
    run: Run, build: Callable[[dict[str, Any]], Network], file: str = GENERATOR
) -> Network:
    """The network that a run left in one of its files, with its weights, on the CPU.

    Args:
        run: finished.
        build: makes the network from the configuration in the file's header.
        file: its name in the run's folder.

    Raises:
        PathoganError: the weights are missing, damaged, pickled, not finite, or do not fit the
            record.
    """
    tensors, header = run.load_tensors(file)
    where, remedy = run.folder / file, "restore it from a copy, or train the run again"
    if not all(tensor.isfinite().all() for tensor in tensors.values()):
        raise PathoganError("has weights that are not finite numbers", where=where, remedy=remedy)
    try:
        if any(run.record.config[name] != value for name, value in header["config"].items()):
            raise ValueError("weights of another configuration")
        network = build(header["config"])
        network.load_state_dict(tensors)
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        problem = "does not fit the record beside it (other names, shapes or settings)"
        raise PathoganError(problem, where=where, remedy=remedy) from error
    return network


def configuration_of(run: Run, kind: type[Config]) -> Config:
    """A method's configuration, a dataclass `kind`, from all that a run's record has as its own."""
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in run.record.config.items() if name in names})
