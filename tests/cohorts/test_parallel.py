"""Work spread over processes: scripts that would start themselves again are refused, not hung."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SIMULATE = """
from pathogan_core.cohorts.simulated import prepare_simulated

def main():
    prepare_simulated("out", 2, 0, workers=2)

"""
SQUARES = """
from functools import partial
from pathogan_core.cohorts.parallel import ordered_map

def main():
    print(*ordered_map(partial(pow, 3), range(5), workers=2))

"""
GUARDED = 'if __name__ == "__main__":\n    main()\n'


def run(*command: str, folder: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """A Python process in `folder`; one that hangs fails the test."""
    return subprocess.run(
        [sys.executable, *command],
        **{"cwd": folder, "input": stdin, "capture_output": True, "text": True, "timeout": 60},
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )


@pytest.mark.parametrize("body", [SIMULATE, SQUARES])
def test_an_unguarded_script_is_refused_in_one_line(tmp_path, body):
    script = body + "main()\n"
    (tmp_path / "mine.py").write_text(script)
    done = run("mine.py", folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    last = done.stderr.rstrip("\n").rsplit("\n", 1)[-1]
    assert last.startswith("pathogan_core.errors.PathoganError: ")
    line = script.splitlines().index("main()") + 1
    assert f"mine.py, line {line}: starts worker processes" in last
    assert 'below `if __name__ == "__main__":`, or use 1 worker' in last
    assert done.stderr.count("Traceback") == 1  # no worker was started that could add its own
    assert [path.name for path in tmp_path.iterdir()] == ["mine.py"]


def test_so_is_a_script_whose_work_begins_in_what_it_imports(tmp_path):
    (tmp_path / "work.py").write_text(f"{SQUARES}main()\n")
    (tmp_path / "mine.py").write_text("import work\n")
    done = run("mine.py", folder=tmp_path)
    assert done.returncode == 1
    assert "mine.py, line 1: starts worker processes" in done.stderr


def test_a_script_from_standard_input_is_refused(tmp_path):
    done = run("-", folder=tmp_path, stdin=SQUARES + "main()\n")
    assert done.returncode == 1
    assert "<stdin>: cannot be imported again" in done.stderr.rstrip("\n").rsplit("\n", 1)[-1]


@pytest.mark.parametrize(
    "guard", [GUARDED, "try:\n    " + GUARDED.replace("\n ", "\n     ") + "finally:\n    pass\n"]
)
def test_a_guarded_script_works(tmp_path, guard):
    (tmp_path / "mine.py").write_text(SQUARES + guard)
    done = run("mine.py", folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 3 9 27 81\n", "")


def test_so_does_what_workers_do_not_import_again(tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__main__.py").write_text(SQUARES + "main()\n")
    for command in (("-m", "package"), ("-c", SQUARES + "main()\n")):
        done = run(*command, folder=tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (0, "1 3 9 27 81\n", "")
