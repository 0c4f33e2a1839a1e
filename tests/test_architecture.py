"""The table of rooms in ARCHITECTURE.md, held by reading every import."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "pathogan_core"
BASE = {"errors", "files", "places"}
# What lies between the base and the rooms, and what it may import besides both of these.
SHARED = {"boxes": {"numpy"}}

# room -> rooms it may import besides itself, the base and what is shared
ROOMS: dict[str, set[str]] = {
    "cohorts": set(),
    "training": set(),
    "gans": {"training"},
    "cad": {"training"},
    "evaluation": set(),
    "experiments": {"cohorts", "training", "gans", "cad", "evaluation"},
    "figures": {"evaluation"},
    "cli": {"cohorts", "training", "gans", "cad", "evaluation", "experiments", "figures"},
}
# A bare GPU server has none of these.
READING_AND_DRAWING = ("SimpleITK", "nilearn", "pydantic", "plotly")
TRAINING_MODULES = (
    "pathogan_core.training",
    "pathogan_core.training.loop",
    "pathogan_core.gans.dcgan",
    "pathogan_core.gans.pggan",
    "pathogan_core.gans.cpggan",
    "pathogan_core.gans.simgan",
    "pathogan_core.gans.munit",
    "pathogan_core.cad.resnet50",
    "pathogan_core.cad.yolov3",
    "pathogan_core.cohorts.prepared",
    "pathogan_core.experiments.store",
    "pathogan_core.experiments.chapter4.arms",
    "pathogan_core.experiments.chapter5.arms",
)


def imports_of(path: Path) -> Iterator[tuple[str, int]]:
    """Absolute names of the project's modules that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} has a relative import"
            module = node.module or ""
            yield module, node.lineno
            if module == "pathogan_core":
                yield from ((f"{module}.{alias.name}", node.lineno) for alias in node.names)


def test_every_folder_of_the_package_is_a_known_room() -> None:
    folders = {p.name for p in PACKAGE.iterdir() if p.is_dir() and any(p.glob("*.py"))}
    assert folders <= set(ROOMS)


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_a_room_imports_only_from_those_before_it(room: str) -> None:
    allowed = BASE | set(SHARED) | ROOMS[room] | {room}
    found = []
    for path in sorted((PACKAGE / room).rglob("*.py")):
        for name, line in imports_of(path):
            parts = name.removesuffix(".__version__").split(".")
            if parts[0] == "pathogan_core" and len(parts) > 1 and parts[1] not in allowed:
                found.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
    assert found == []


def test_the_base_imports_only_the_standard_library() -> None:
    for name in BASE:
        for module, line in imports_of(PACKAGE / f"{name}.py"):
            top = module.split(".")[0]
            if top == "pathogan_core":
                continue
            assert top in sys.stdlib_module_names, f"{name}.py:{line} imports {module}"


@pytest.mark.parametrize("name", sorted(SHARED))
def test_what_is_shared_imports_little_and_no_room(name: str) -> None:
    for module, line in imports_of(PACKAGE / f"{name}.py"):
        top, *inner = module.split(".")
        if top == "pathogan_core":
            assert not inner or inner[0] in BASE, f"{name}.py:{line} imports {module}"
        else:
            known = top in sys.stdlib_module_names or top in SHARED[name]
            assert known, f"{name}.py:{line} imports {module}"


def test_only_figures_draws_in_the_library() -> None:
    drawing = [
        str(path.relative_to(ROOT))
        for path in PACKAGE.rglob("*.py")
        if path.relative_to(PACKAGE).parts[0] != "figures"
        and any(name.split(".")[0] == "plotly" for name, _ in imports_of(path))
    ]
    assert drawing == []


def modules_after(statement: str) -> set[str]:
    """Top-level names in `sys.modules` after a statement in a fresh interpreter."""
    code = f"import sys\n{statement}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


def test_importing_the_package_imports_nothing_heavy() -> None:
    loaded = modules_after("import pathogan_core")
    assert loaded.isdisjoint({"torch", "numpy", "pandas", "scipy", *READING_AND_DRAWING})


def test_what_trains_imports_neither_readers_nor_drawing() -> None:
    loaded = modules_after("; ".join(f"import {module}" for module in TRAINING_MODULES))
    assert loaded.isdisjoint(READING_AND_DRAWING)
    assert "torch" in loaded


def test_the_figure_renderer_imports_neither_torch_nor_plotly() -> None:
    loaded = modules_after("import pathogan_core.figures.mystnb")
    assert loaded.isdisjoint({"torch", "plotly", "numpy"})


def test_importing_the_package_writes_nothing(tmp_path: Path) -> None:
    code = "import pathogan_core, os; print(os.listdir('.'))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path
    )
    assert (result.stdout.strip(), result.stderr) == ("[]", "")
