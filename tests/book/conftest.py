"""One site for all tests of the book, built once from stored outputs; every warning is an error."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT / "book" / "_ext") not in sys.path:
    sys.path.insert(0, str(ROOT / "book" / "_ext"))


@pytest.fixture(scope="session")
def build_book() -> ModuleType:
    """`scripts/build_book.py` as a module."""
    spec = importlib.util.spec_from_file_location("build_book", ROOT / "scripts" / "build_book.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["build_book"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def site(build_book: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built site."""
    output = tmp_path_factory.mktemp("site")
    for name in ("npm", "extra"):  # what an earlier build brought through npm need not come again
        if (ROOT / "_build" / name).is_dir():
            shutil.copytree(ROOT / "_build" / name, output / "_build" / name, symlinks=True)
    build_book.copy_sources(ROOT, output / "src", {})
    return build_book.build_site(output / "src", output)
