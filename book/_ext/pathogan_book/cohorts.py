"""`{cohorts}`: the cohorts the companion knows, from their manifests in `data_manifests/`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from sphinx.application import Sphinx

from .evidence import EvidenceError
from .evidence_directive import EvidenceDirective
from .tables import Cell, note, table

MANIFESTS = Path("data_manifests")


def setup(app: Sphinx) -> None:
    """Register the directive."""
    app.add_directive("cohorts", Cohorts)


class Cohorts(EvidenceDirective):
    """One row per manifest."""

    def evidence(self) -> list[nodes.Node]:
        paths = sorted((self.root / MANIFESTS).glob("*.yaml"))
        self.depend_on(*paths)
        if not paths:
            return [note("No cohort manifest exists yet.")]
        headers: list[Cell] = ["Cohort", "What it is", "Cases", "Licence", "Simulated layouts"]
        return [table(headers, [_row(path) for path in paths], "cohorts")]


def _row(path: Path) -> list[Cell]:
    manifest = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(manifest, dict):
        raise EvidenceError(f"{path.name} is not a manifest")
    cases = (manifest.get("expected") or {}).get("cases") or {}
    return [
        [nodes.literal("", path.stem)],
        _one_line(f"{manifest.get('title')}. {manifest.get('description')}"),
        ", ".join(f"{count} {kind}" for kind, count in cases.items()),
        _one_line((manifest.get("licence") or {}).get("name")),
        ", ".join(map(str, (manifest.get("simulated") or {}).get("layouts") or ["none"])),
    ]


def _one_line(value: Any) -> str:
    return " ".join(str(value or "").split())
