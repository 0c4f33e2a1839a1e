"""Run the chapters, put them into a copy of the sources, and build the site from that copy.

    python scripts/build_book.py            chapters at demo scale, then the site
    python scripts/build_book.py --stored   the site from the outputs stored in the notebooks

The checkout stays clean: executed notebooks, the copy and the site lie under `_build/`.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from pathogan_core.errors import PathoganError
from pathogan_core.files import atomic_write

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Chapter:
    """A notebook and the parameter file it is run with, both relative to the project."""

    notebook: Path
    parameters: Path


CHAPTERS = tuple(
    Chapter(Path(f"notebooks/{name}.ipynb"), Path(f"notebooks/params/{name}.demo.yaml"))
    for name in ("ch3_brain_mri_wgan", "ch4_pggan_munit", "ch5_cpggan")
)

# What the site is made of. `pathogan_core` is for the API pages and the published tables.
SOURCES = ("_config.yml", "_toc.yml", "package.json", "package-lock.json", "book", "notebooks",
           "data_manifests", "pathogan_core")  # fmt: skip
IGNORED = {"__pycache__", ".ipynb_checkpoints", ".pytest_cache"}


def main(arguments: list[str] | None = None) -> int:
    """Build and say where the site is; return the exit status."""
    parser = argparse.ArgumentParser(description="Run the chapters and build the book.")
    parser.add_argument("--stored", action="store_true", help="do not run the chapters")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    try:
        executed = {} if options.stored else {c.notebook: execute(ROOT, c) for c in CHAPTERS}
        forget_pages_of_another_book(ROOT)
        copy_sources(ROOT, ROOT / "_build" / "src", executed)
        site = build_site(ROOT / "_build" / "src", ROOT)
    except PathoganError as error:
        print(f"book: {error}", file=sys.stderr)
        return 1
    print(f"book: built in {time.monotonic() - started:.0f} s: {site / 'index.html'}")
    print(f'book: open it with  "{sys.executable}" -m http.server --directory "{site}" 8000')
    print("book: and go to     http://localhost:8000")
    return 0


def execute(root: Path, chapter: Chapter) -> Path:
    """The executed notebook: from the cache where nothing it depends on has changed.

    Args:
        root: the project.
        chapter: what to run.

    Returns:
        A notebook under `_build/executed`, named by a hash of notebook, parameters and library.

    Raises:
        PathoganError: a file is missing, or a cell failed; then the notebook up to that cell is
            kept beside the others.
    """
    for path in (chapter.notebook, chapter.parameters):
        if not (root / path).is_file():
            raise PathoganError("is missing", where=path, remedy="restore it from the repository")
    folder = root / "_build" / "executed"
    stem = chapter.notebook.stem
    finished = folder / f"{stem}.{execution_key(root, chapter)[:16]}.ipynb"
    if finished.is_file():
        print(f"book: {stem} is unchanged since it was last run")
        return finished
    folder.mkdir(parents=True, exist_ok=True)
    print(f"book: running {stem} with {chapter.parameters.name}")
    running = folder / f".{stem}.{os.getpid()}.ipynb"
    started = time.monotonic()
    try:
        run_notebook(root, chapter, running)
    except BaseException:
        if running.is_file():
            running.replace(folder / f"{stem}.failed.ipynb")
        raise
    running.replace(finished)
    print(f"book: {stem} took {time.monotonic() - started:.0f} s")
    for other in folder.glob(f"{stem}.*.ipynb"):
        if other != finished:
            other.unlink()
    return finished


def run_notebook(root: Path, chapter: Chapter, output: Path) -> None:
    """Run one notebook with papermill; a failed cell becomes a `PathoganError`."""
    import papermill
    from papermill.exceptions import PapermillExecutionError

    parameters = yaml.safe_load((root / chapter.parameters).read_text(encoding="utf-8")) or {}
    previous = Path.cwd()
    os.chdir(root)  # papermill stores both paths as given: relative ones name no machine
    try:
        papermill.execute_notebook(
            str(chapter.notebook),
            str(output.relative_to(root)),
            parameters=parameters,
            cwd=str(chapter.notebook.parent),
            progress_bar=not os.environ.get("CI"),
            log_output=False,
        )
    except PapermillExecutionError as error:
        raise PathoganError(
            f"cell {error.exec_count} failed: {error.ename}: {error.evalue}",
            where=chapter.notebook,
            remedy=f"see _build/executed/{chapter.notebook.stem}.failed.ipynb",
        ) from error
    finally:
        os.chdir(previous)


def execution_key(root: Path, chapter: Chapter) -> str:
    """Hash of everything a chapter's outputs depend on, stored outputs excepted."""
    import nbformat

    digest = hashlib.sha256()
    notebook = nbformat.read(root / chapter.notebook, as_version=4)
    for cell in notebook.cells:
        digest.update(f"{cell.cell_type}\0{cell.source}\0".encode())
    committed = ("pathogan_core", "data_manifests", "book/results", "requirements.lock")
    for name in (chapter.parameters, *committed):
        for path in files_of(root / name):
            digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def files_of(path: Path) -> Iterator[Path]:
    """A file itself, or every file of a folder in a fixed order; nothing where there is neither."""
    if path.is_file():
        yield path
    elif path.is_dir():
        for inside in sorted(path.rglob("*")):
            if inside.is_file() and not IGNORED & set(inside.relative_to(path).parts):
                yield inside


def forget_pages_of_another_book(root: Path) -> None:
    """Where contents or configuration have changed, no page of the last build may stay behind."""
    names = ("_config.yml", "_toc.yml")
    copies = [root / "_build" / "src" / name for name in names]
    contents = [copy.read_bytes() if copy.is_file() else None for copy in copies]
    if contents != [(root / name).read_bytes() for name in names]:
        for folder in ("html", ".doctrees"):
            shutil.rmtree(root / "_build" / folder, ignore_errors=True)


def copy_sources(root: Path, copy: Path, executed: dict[Path, Path]) -> None:
    """Bring `copy` up to date with the sources, executed notebooks in their places.

    Unchanged files are not touched, so that Sphinx reads again only what has changed.

    Args:
        root: the project.
        copy: the folder to build from.
        executed: notebook's path in the project -> the executed notebook to show instead.
    """
    wanted: set[Path] = set()
    records = (root / "runs").glob("*/record.json")
    for path in [*(p for name in SOURCES for p in files_of(root / name)), *records]:
        relative = path.relative_to(root)
        wanted.add(copy / relative)
        copy_if_changed(executed.get(relative, path), copy / relative)
    for path in list(files_of(copy)):
        if path not in wanted:
            path.unlink()


def copy_if_changed(source: Path, target: Path) -> None:
    """Copy a file unless the target already has its content."""
    content = source.read_bytes()
    if target.is_file() and target.read_bytes() == content:
        return
    with atomic_write(target) as handle:
        handle.write(content)


def build_site(source: Path, output: Path) -> Path:
    """Build the HTML site, every warning an error; return its folder.

    Args:
        source: the folder with `_config.yml` and `_toc.yml`.
        output: the site goes to `<output>/_build/html`.

    Raises:
        PathoganError: the build failed; its warnings have been printed.
    """
    print("book: building the pages")
    log = output / "_build" / "site.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    program = "import sys; from jupyter_book.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "build", str(source), "--path-output", str(output)]
    command += ["--nitpick", "--warningiserror", "--keep-going"]
    with log.open("w", encoding="utf-8") as handle:
        result = subprocess.run(
            command, stdout=handle, stderr=subprocess.STDOUT, env=quiet_environment()
        )
    site = output / "_build" / "html"
    if result.returncode == 0 and (site / "index.html").is_file():
        return site
    # A second build reads only what has changed and would be silent about the rest.
    shutil.rmtree(output / "_build" / ".doctrees", ignore_errors=True)
    said = log.read_text(encoding="utf-8", errors="replace").splitlines()
    for line in complaints(said):
        print(line.replace(f"{source}{os.sep}", ""), file=sys.stderr)
    raise PathoganError("the pages have errors", where=log, remedy="mend what is listed above")


def quiet_environment() -> dict[str, str]:
    """The environment without colours, which would end up in the log."""
    return os.environ | {"NO_COLOR": "1", "TERM": "dumb"}


def complaints(log: Iterable[str]) -> list[str]:
    """The lines of a Sphinx log that say what is wrong; its end where none does."""
    lines = list(log)
    signs = ("WARNING", "ERROR", "CRITICAL", "Error:", "Exception")
    return [line for line in lines if any(sign in line for sign in signs)][:40] or lines[-15:]


if __name__ == "__main__":
    sys.exit(main())
