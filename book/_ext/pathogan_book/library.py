"""`{library} pathogan_core.training`: the reference of one room, written by autodoc.

Modules are found by walking the folder, so a new file is on the page without anyone listing it.
Heavy libraries are mocked: the page needs the signatures and docstrings, not torch.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TypeVar

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

# torch is mocked even where it is installed: importing it takes seconds and a gigabyte.
ALWAYS_MOCKED = ["torch", "torchvision", "torch_fidelity"]
MOCKED_IF_MISSING = [
    "SimpleITK", "anywidget", "nilearn", "nibabel", "numpy", "pandas", "papermill", "plotly",
    "pyarrow", "pydantic", "safetensors", "scipy", "sklearn", "tqdm", "traitlets", "typer",
    "ipywidgets", "IPython", "PIL",
]  # fmt: skip


def setup(app: Sphinx) -> None:
    """Register the directive and tell autodoc what to mock."""
    app.add_directive("library", Library)
    app.connect("config-inited", _mock, priority=700)
    app.connect("missing-reference", _type_variable)


def _mock(app: Sphinx, config) -> None:  # type: ignore[no-untyped-def]
    absent = [name for name in MOCKED_IF_MISSING if importlib.util.find_spec(name) is None]
    config.autodoc_mock_imports = [*config.autodoc_mock_imports, *ALWAYS_MOCKED, *absent]


def _type_variable(  # type: ignore[no-untyped-def]
    app: Sphinx, env, node: nodes.Element, content: nodes.Node
) -> nodes.Node | None:
    """A type variable in a signature is no missing reference: show it as plain text."""
    module, _, name = str(node.get("reftarget")).rpartition(".")
    found = getattr(sys.modules.get(module), name, None)
    return content if isinstance(found, TypeVar) else None


class Library(SphinxDirective):
    """A heading and an `automodule` per module of a package."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        package = self.arguments[0]
        folder = Path(self.env.srcdir, *package.split("."))
        if not folder.is_dir():
            return [
                self.state_machine.reporter.error(
                    f"library: no package {package}", line=self.lineno
                )
            ]
        lines: list[str] = []
        for path in sorted(folder.glob("*.py")):
            self.env.note_dependency(str(path))
            if path.stem not in ("__init__", "__main__"):
                lines += _section(f"{package}.{path.stem}")
        container = nodes.section()
        container.document = self.state.document
        self.state.nested_parse(
            StringList(lines, source=self.arguments[0]), 0, container, match_titles=True
        )
        return container.children


def _section(module: str) -> list[str]:
    return [
        f"### `{module.removeprefix('pathogan_core.')}`",
        "",
        "```{eval-rst}",
        f".. automodule:: {module}",
        "   :members:",
        "   :member-order: bysource",
        "```",
        "",
    ]
