"""Chapter 4 on a tiny prepared folder, with one run store for all tests that change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_chapter4 import TINY, write_prepared

from pathogan_core.experiments.chapter4.data import Chapter


@pytest.fixture(scope="session")
def tiny_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds `prepared` and, as tests go on, `runs`."""
    home = tmp_path_factory.mktemp("chapter4")
    write_prepared(home / "prepared")
    return home


@pytest.fixture
def chapter(tiny_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Chapter]:
    """`TINY` on the shared store: whatever a test asks for is found by the next one.

    A test that would leave there what its configuration does not say, uses a store of its own or
    raises a revision.
    """
    monkeypatch.setenv("PATHOGAN_RUNS", str(tiny_home / "runs"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield Chapter.open(replace(TINY, prepared=str(tiny_home / "prepared")))
    torch.set_num_threads(threads)
