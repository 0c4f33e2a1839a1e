"""Building: chapters are run again exactly when something they depend on has changed."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import nbformat
import pytest

from pathogan_core.errors import PathoganError


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A tiny project with one chapter, in a folder with a space in its name."""
    root = tmp_path / "a project"
    (root / "notebooks" / "params").mkdir(parents=True)
    (root / "pathogan_core").mkdir()
    (root / "pathogan_core" / "model.py").write_text("x = 1\n")
    (root / "notebooks" / "params" / "chapter.demo.yaml").write_text("number: 3\n")
    parameters = nbformat.v4.new_code_cell("number = 1", metadata={"tags": ["parameters"]})
    write(root, [parameters, nbformat.v4.new_code_cell("print(number * 2)")])
    return root


def write(root: Path, cells: list) -> None:
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=kernel)
    nbformat.write(notebook, root / "notebooks" / "chapter.ipynb")


@pytest.fixture
def chapter(build_book: ModuleType):  # type: ignore[no-untyped-def]
    folder = Path("notebooks")
    return build_book.Chapter(folder / "chapter.ipynb", folder / "params" / "chapter.demo.yaml")


def test_a_chapter_is_run_once_with_its_parameters(build_book, project: Path, chapter) -> None:  # type: ignore[no-untyped-def]
    executed = build_book.execute(project, chapter)
    notebook = nbformat.read(executed, as_version=4)
    assert notebook.cells[-1].outputs[0].text == "6\n"
    assert str(project) not in executed.read_text(encoding="utf-8")
    written = executed.stat().st_mtime_ns
    assert build_book.execute(project, chapter) == executed
    assert executed.stat().st_mtime_ns == written


@pytest.mark.parametrize(
    "changed", ["pathogan_core/model.py", "notebooks/params/chapter.demo.yaml", "requirements.lock"]
)
def test_a_changed_input_changes_the_key(build_book, project: Path, chapter, changed: str) -> None:  # type: ignore[no-untyped-def]
    before = build_book.execution_key(project, chapter)
    (project / changed).write_text("number: 4\n")
    assert build_book.execution_key(project, chapter) != before


def test_stored_outputs_do_not_change_the_key(build_book, project: Path, chapter) -> None:  # type: ignore[no-untyped-def]
    before = build_book.execution_key(project, chapter)
    path = project / chapter.notebook
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[-1].outputs = [nbformat.v4.new_output("stream", name="stdout", text="2\n")]
    nbformat.write(notebook, path)
    assert build_book.execution_key(project, chapter) == before


def test_a_failing_cell_is_one_line_and_keeps_the_notebook(
    build_book, project: Path, chapter
) -> None:  # type: ignore[no-untyped-def]
    write(project, [nbformat.v4.new_code_cell("raise ValueError('no brain')")])
    with pytest.raises(PathoganError, match="no brain") as caught:
        build_book.execute(project, chapter)
    assert "\n" not in str(caught.value)
    names = sorted(p.name for p in (project / "_build" / "executed").iterdir())
    assert names == ["chapter.failed.ipynb"]


def test_a_missing_parameter_file_is_named(build_book, project: Path, chapter) -> None:  # type: ignore[no-untyped-def]
    (project / chapter.parameters).unlink()
    with pytest.raises(PathoganError, match=r"chapter\.demo\.yaml"):
        build_book.execute(project, chapter)


def test_the_copy_follows_the_sources(build_book, project: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    copy = tmp_path / "copy"
    build_book.copy_sources(project, copy, {})
    untouched = copy / "pathogan_core" / "model.py"
    before = untouched.stat().st_mtime_ns
    (project / "pathogan_core" / "new.py").write_text("")
    (project / "notebooks" / "params" / "chapter.demo.yaml").unlink()
    build_book.copy_sources(project, copy, {})
    assert untouched.stat().st_mtime_ns == before
    assert (copy / "pathogan_core" / "new.py").is_file()
    assert not (copy / "notebooks" / "params" / "chapter.demo.yaml").exists()
