"""Train study runs and commit them to the book: `python scripts/study.py dcgan-t1c-64 ...`.

Each set-up takes its parameters from its chapter's `notebooks/params/*.study.yaml` and what
`book/results/runs.yaml` overrides for it. Stop it at any moment and run it again: it goes on from
its last checkpoint. What is finished goes to `book/results/`; add it to the repository at once.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import study_chapter3
import study_chapter4
import study_chapter5
import torch
import yaml

from pathogan_core.errors import PathoganError
from pathogan_core.experiments.committed import commit_run, split_variant
from pathogan_core.places import project_root, results_root

CHAPTERS = {"ch3": study_chapter3, "ch4": study_chapter4, "ch5": study_chapter5}


def planned(setup: str) -> dict[str, Any]:
    """The set-up's item of the plan."""
    plan = yaml.safe_load((results_root() / "runs.yaml").read_text(encoding="utf-8"))
    items = {item["setup"]: item for item in plan}
    if setup not in items:
        remedy = f"choose from {', '.join(items)}"
        raise PathoganError(f"{setup!r} is not planned", where="runs.yaml", remedy=remedy)
    return items[setup]


def study(setup: str) -> None:
    """Train (or find, or resume) one set-up, measure it, and copy it to the book's results."""
    item = planned(setup)
    chapter = CHAPTERS[item["chapter"]]
    path = project_root() / "notebooks" / "params" / chapter.PARAMETERS
    parameters = yaml.safe_load(path.read_text(encoding="utf-8")) | item.get("overrides", {})
    run, files = chapter.study(split_variant(setup)[0], parameters)
    if not run.record.metrics:
        print(f"{setup}: without measures", flush=True)
    folder = commit_run(run, files, weights=item.get("weights", False), setup=setup)
    print(f"{setup}: {folder}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("setups", nargs="+", help="e.g. dcgan-t1c-64")
    parser.add_argument("--threads", type=int, default=1, help="processor threads of this run")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    try:
        for setup in given.setups:
            study(setup)
    except PathoganError as error:
        print(f"study: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
