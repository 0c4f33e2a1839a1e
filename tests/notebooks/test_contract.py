"""What every chapter notebook owes its readers, its operators and the tests."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import nbformat
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SCALES = ("smoke", "demo", "study", "thesis")
MACHINE_PATH = re.compile(
    r"""(?:^|[\s"'(=:])/(?:home|root|tmp|work|Users|mnt|opt|var)/|(?<![A-Za-z])[A-Z]:\\"""
)
LARGEST_OUTPUTS_BYTES = 2_000_000  # a chapter on images has to show some
LARGEST_PNG_BYTES = 100_000

pytestmark = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def code_cells(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def parameters(path: Path) -> dict[str, object]:
    """The names and values of the parameters cell, which must be plain literals."""
    (cell,) = [c for c in code_cells(path) if "parameters" in c.metadata.get("tags", [])]
    found: dict[str, object] = {}
    for statement in ast.parse(cell.source).body:
        if isinstance(statement, ast.AnnAssign):
            targets: list[ast.expr] = [statement.target]
        else:
            assert isinstance(statement, ast.Assign), f"not an assignment: {ast.unparse(statement)}"
            targets = statement.targets
        (target,) = targets
        assert isinstance(target, ast.Name)
        assert statement.value is not None
        found[target.id] = ast.literal_eval(statement.value)
    return found


def test_it_opens_with_a_title(path: Path) -> None:
    first = read(path).cells[0]
    assert first.cell_type == "markdown"
    assert first.source.startswith("# ")


def test_one_cell_of_plain_literals_holds_the_parameters(path: Path) -> None:
    values = parameters(path)
    assert len(values) >= 2
    # papermill does not recognise a default string that holds "=".
    assert [name for name, value in values.items() if isinstance(value, str) and "=" in value] == []


def test_the_parameters_are_checked_before_anything_else(path: Path) -> None:
    cells = code_cells(path)
    index = next(i for i, c in enumerate(cells) if "parameters" in c.metadata.get("tags", []))
    following = [line for line in cells[index + 1].source.splitlines() if "from_notebook" in line]
    assert following


def test_every_scale_has_a_parameter_file_with_known_names(path: Path) -> None:
    known = parameters(path)
    for scale in SCALES:
        file = path.parent / "params" / f"{path.stem}.{scale}.yaml"
        values = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        assert set(values) <= set(known), f"{file.name}: {sorted(set(values) - set(known))}"
        # YAML reads 1e-4 as a string.
        looks_like_number = re.compile(r"[\d.]+e-?\d+$")
        assert [
            v for v in values.values() if isinstance(v, str) and looks_like_number.match(v)
        ] == []


def test_some_cells_are_compared_with_their_stored_output(path: Path) -> None:
    compared = [c for c in code_cells(path) if "NBVAL_CHECK_OUTPUT" in c.source]
    assert 3 <= len(compared) <= 8
    for cell in compared:
        assert cell.outputs, f"nothing stored to compare with: {cell.source[:60]}"


def test_it_names_no_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    found = [line.strip()[:120] for line in text.splitlines() if MACHINE_PATH.search(line)]
    assert found == []


def test_its_stored_outputs_are_small_and_without_errors(path: Path) -> None:
    total = 0
    for cell in code_cells(path):
        for output in cell.outputs:
            assert output.output_type != "error", output.get("evalue")
            size = len(json.dumps(output))
            total += size
            png = output.get("data", {}).get("image/png", "")
            assert len(png) * 3 // 4 <= LARGEST_PNG_BYTES
    assert total <= LARGEST_OUTPUTS_BYTES


def test_every_figure_has_a_text_alternative(path: Path) -> None:
    mime = "application/vnd.plotly.v1+json"
    figures = [
        output.data[mime]
        for cell in code_cells(path)
        for output in cell.outputs
        if mime in output.get("data", {})
    ]
    assert figures, "a chapter shows at least one interactive figure"
    for figure in figures:
        assert len(((figure["layout"].get("meta") or {}).get("alt") or "").split()) >= 4


def test_it_is_in_the_table_of_contents(path: Path) -> None:
    toc = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    assert f"notebooks/{path.stem}\n" in toc
