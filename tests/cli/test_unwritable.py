"""A place that cannot be written: each command says so in one line and leaves nothing there."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

COMMANDS = {
    "simulate": ["cohorts", "simulate", "brats2016", "--out", "out", "--patients", "1"],
    "prepare": ["cohorts", "prepare", "brats2016", "--out", "out", "--simulate", "1"],
    "evaluate": ["evaluate", "turing", "--answers", "answers.csv", "--json", "out/figures.json"],
}


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """The working folder, which holds only some answers."""
    (tmp_path / "answers.csv").write_text("reader,truth,answer\na,real,real\na,synthetic,real\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def failing(code: int):
    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_no_folder_can_be_made(pathogan, here, monkeypatch, command, code):
    monkeypatch.setattr(Path, "mkdir", failing(code))
    status, out, told = pathogan(*COMMANDS[command])
    assert (status, out) == (1, "")
    assert told.startswith("pathogan: out")
    assert f"cannot be written ({os.strerror(code)}); free space or choose a writable" in told
    assert [path.name for path in here.iterdir()] == ["answers.csv"]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_first_file_finds_the_disk_full(pathogan, here, monkeypatch, command):
    monkeypatch.setattr(os, "fsync", failing(errno.ENOSPC))
    status, _, told = pathogan(*COMMANDS[command])
    assert status == 1
    assert told.startswith("pathogan: out/")
    assert "cannot be written (No space left on device); free space" in told
    assert [path for path in here.rglob("*") if path.is_file()] == [here / "answers.csv"]
