"""Chapters 4 and 5 on tiny prepared folders, each with one run store for tests that only read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_chapter5
import torch
from tiny_chapter4 import TINY, write_prepared

from pathogan_core.experiments.chapter4.data import Chapter
from pathogan_core.experiments.chapter5.data import Chapter as Chapter5


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


@pytest.fixture(scope="session")
def tiny_home5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds `prepared` and, as tests go on, `runs`."""
    home = tmp_path_factory.mktemp("chapter5")
    tiny_chapter5.write_prepared(home / "prepared")
    return home


@pytest.fixture
def chapter5(tiny_home5: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Chapter5]:
    """As `chapter`, of chapter 5."""
    monkeypatch.setenv("PATHOGAN_RUNS", str(tiny_home5 / "runs"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    prepared = str(tiny_home5 / "prepared")
    yield Chapter5.open(replace(tiny_chapter5.TINY, prepared=prepared))
    torch.set_num_threads(threads)
