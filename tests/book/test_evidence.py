"""Numbers on pages: copied from records and printed tables, or "not run", or "stale"."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from docutils import nodes
from hypothesis import given
from hypothesis import strategies as st
from pathogan_book import evidence, numbers, runs, scoreboard, staleness, tables
from sphinx.application import Sphinx

RECORD = {
    "schema": 1, "run": "wgan-0123456789ab", "chapter": "ch3", "setup": "wgan-t1c-128",
    "method": "wgan", "revision": 2, "config": {}, "scale": "study", "seed": 0,
    "inputs": {"train": {"cohort": "brats2016", "source": "simulated", "images": 4200}},
    "metrics": {"kid": {"value": 0.012345, "n": 500, "interval": [0.01, 0.0151],
                        "interval_method": "bootstrap over patients", "unit": None}},
    "steps": 12000, "images_seen": 768000, "wall_s": 3723.4, "peak_memory_bytes": 1,
    "threads": 1, "device": "cpu", "code_version": "abcdef0123456789",
    "libraries": {"torch": "2"}, "finished": "2026-01-02T03:04:05",
}  # fmt: skip


def write_record(root: Path, **changes: object) -> Path:
    path = evidence.record_path(root, "ch3/wgan-t1c-128")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(RECORD | changes))
    return path


def write_method(root: Path, line: str) -> None:
    folder = root / staleness.METHODS_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "wgan.py").write_text(f"import torch\n\n{line}\n")


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (("kid", ""), "0.0123"),
        (("kid", ".1f"), "0.0"),
        (("kid.n", ",.0f"), "500"),
        (("kid.interval", ".2f"), "0.01 to 0.02"),
        (("steps", ","), "12,000"),
        (("seed", ""), "0"),
        (("device", ""), "cpu"),
    ],
)
def test_a_number_is_the_record_s(tmp_path: Path, target: tuple[str, str], text: str) -> None:
    run = evidence.read_run(write_record(tmp_path))
    assert run is not None
    assert numbers.value_of(run, *target)[0] == text


def test_a_metric_the_run_did_not_measure_is_a_mistake(tmp_path: Path) -> None:
    run = evidence.read_run(write_record(tmp_path))
    assert run is not None
    for name in ("fid", "fid.n", "metrics", "config"):
        with pytest.raises(evidence.EvidenceError):
            numbers.value_of(run, name, "")


def test_provenance_says_scale_source_seed_and_code(tmp_path: Path) -> None:
    run = evidence.read_run(write_record(tmp_path))
    assert run is not None
    for part in ("study scale", "simulated brats2016", "seed 0", "abcdef0123"):
        assert part in run.provenance


def test_no_record_and_a_damaged_record(tmp_path: Path) -> None:
    path = evidence.record_path(tmp_path, "ch3/wgan-t1c-128")
    assert evidence.read_run(path) is None
    path.parent.mkdir(parents=True)
    path.write_text("{")
    with pytest.raises(evidence.EvidenceError, match="not valid JSON"):
        evidence.read_run(path)


def test_wgan_is_judged_by_the_revision_of_the_file_it_shares(tmp_path: Path) -> None:
    run = evidence.read_run(write_record(tmp_path))
    assert run is not None
    folder = tmp_path / staleness.METHODS_FOLDER
    folder.mkdir(parents=True)
    for revision, stale in ((2, False), (3, True)):
        (folder / "dcgan.py").write_text(f"REVISION = {revision}  # raised\n" + "#" * revision)
        staleness._revisions_in.cache_clear()
        assert staleness.is_stale(tmp_path, run) is stale


@pytest.mark.parametrize(
    ("line", "stale"),
    [
        ("REVISION = 2", False),
        ("REVISION = 3", True),
        ("REVISION: int = 3", True),
        ('REVISIONS = {"dcgan": 3, "wgan": 2}', False),
        ('REVISIONS = {"dcgan": 2, "wgan": 3}', True),
        ("OTHER = 9", False),
    ],
)
def test_a_raised_revision_makes_a_record_stale(tmp_path: Path, line: str, stale: bool) -> None:
    write_method(tmp_path, line)
    run = evidence.read_run(write_record(tmp_path))
    assert run is not None
    assert staleness.is_stale(tmp_path, run) is stale


PART = st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789-_/.", min_size=1)


@given(st.lists(PART, min_size=2, max_size=2), st.sampled_from(["", ".3g", ",", ".1%", ">+8.2f"]))
def test_a_target_splits_into_what_it_was_joined_from(parts: list[str], spec: str) -> None:
    target = ":".join([*parts, spec] if spec else parts)
    assert numbers.split_target(target, parts=2) == [*parts, spec]


@pytest.mark.parametrize("target", ["", "a", "a:", ":b", "a: :.3g"])
def test_a_target_with_a_part_missing_is_refused(target: str) -> None:
    with pytest.raises(evidence.EvidenceError):
        numbers.split_target(target, parts=2)


def test_a_published_row_is_found_by_its_leading_columns() -> None:
    rows = [
        {"model": "wgan", "sequence": "t1", "size": "128", "accuracy": "64"},
        {"model": "wgan", "sequence": "t1c", "size": "128", "accuracy": "55"},
    ]
    assert evidence.published_row(rows, "wgan-t1c-128")["accuracy"] == "55"
    for key in ("wgan", "wgan-t1c-64", "t1c"):
        with pytest.raises(evidence.EvidenceError):
            evidence.published_row(rows, key)


def test_missing_words_explain_themselves() -> None:
    for word in (tables.NOT_RUN, tables.STALE):
        node = tables.missing(word)
        assert node.astext() == word
        assert node["explanation"]
        assert "pg-missing" in node["classes"]


def test_a_scoreboard_cell_shows_value_and_interval_and_tells_n_and_origin(tmp_path: Path) -> None:
    run = evidence.read_run(write_record(tmp_path))
    assert run is not None
    cell = scoreboard._metric(run, "kid")
    assert cell.astext() == "0.0123 (0.01 to 0.0151)"
    assert cell["explanation"].startswith("n 500 · ")
    assert run.provenance in cell["explanation"]
    assert scoreboard._metric(run, "fid").astext() == tables.NOT_RUN
    assert scoreboard._metric(tables.STALE, "kid").astext() == tables.STALE


def test_a_measure_stands_beside_what_real_images_score(tmp_path: Path) -> None:
    run = evidence.read_run(write_record(tmp_path))
    assert run is not None
    assert "|" not in nodes.inline("", "", *scoreboard._beside_floor(run, "kid")).astext()
    run.record["metrics"]["kid_floor"] = {"value": 0.004, "n": 500, "interval": [0.003, 0.006]}
    cell = nodes.inline("", "", *scoreboard._beside_floor(run, "kid")).astext()
    assert cell == "0.0123 (0.01 to 0.0151) | 0.004"


def test_only_measures_that_some_run_has_get_a_column(tmp_path: Path) -> None:
    run = evidence.read_run(write_record(tmp_path))
    assert run is not None
    run.record["metrics"]["kid_floor"] = run.record["metrics"]["kid"]
    assert scoreboard._measured([run]) == ["kid"]
    assert scoreboard._measured([]) == []


def test_a_table_has_one_cell_for_each_header() -> None:
    grid = tables.table(["a", "b"], [["1", [nodes.literal("", "2")]]], "x")
    rows = list(grid.findall(nodes.row))
    assert [[cell.astext() for cell in row.children] for row in rows] == [["a", "b"], ["1", "2"]]


def test_committed_and_local_runs_are_told_apart(tmp_path: Path) -> None:
    write_record(tmp_path)
    local = tmp_path / "runs" / "wgan-x" / "record.json"
    local.parent.mkdir(parents=True)
    local.write_text(json.dumps(RECORD | {"run": "wgan-x", "scale": "demo"}))
    found = evidence.all_runs(tmp_path)
    assert [(run["scale"], run.committed) for run in found] == [("study", True), ("demo", False)]


def write_local(store: Path, name: str, **changes: object) -> None:
    (store / name).mkdir(parents=True)
    (store / name / "record.json").write_text(json.dumps(RECORD | {"run": name} | changes))


def test_a_committed_run_that_is_also_in_the_store_is_listed_once(tmp_path: Path) -> None:
    write_record(tmp_path)
    write_local(tmp_path / "runs", str(RECORD["run"]))
    assert [run.committed for run in evidence.all_runs(tmp_path)] == [True]


def test_the_store_is_where_the_library_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_local(tmp_path / "runs", "wgan-here")
    write_local(tmp_path / "elsewhere", "wgan-there")
    monkeypatch.delenv("PATHOGAN_RUNS", raising=False)
    assert [run["run"] for run in evidence.all_runs(tmp_path)] == ["wgan-here"]
    monkeypatch.setenv("PATHOGAN_RUNS", str(tmp_path / "elsewhere"))
    assert [run["run"] for run in evidence.all_runs(tmp_path)] == ["wgan-there"]


def built_text(source: Path, body: str) -> str:
    """The text of a page that holds only `body`, read by Sphinx with the directive `runs`."""
    (source / "conf.py").write_text("extensions = ['pathogan_book.runs']\n")
    (source / "index.rst").write_text(f"Runs\n====\n\n{body}\n")
    out = source / "out"
    app = Sphinx(source, source, out, out, "dummy", status=None, warning=None, freshenv=True)
    app.build()
    return app.env.get_doctree("index").astext()


def test_local_and_committed_runs_have_tables_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PATHOGAN_RUNS", raising=False)
    write_record(tmp_path)
    (tmp_path / runs.PLAN).write_text("- {chapter: ch3, setup: wgan-t2-128, scale: study}\n")
    assert "no finished runs" in built_text(tmp_path, ".. runs::\n   :origin: local")
    write_local(tmp_path / "runs", "dcgan-x", setup="dcgan-t1-64", scale="demo")
    local = built_text(tmp_path, ".. runs::\n   :origin: local")
    assert "DCGAN T1 64 dcgan-x" in local
    assert "WGAN T1c 128" not in local
    assert "WGAN T2 128" not in local  # still to be done, which is the book's business
    committed = built_text(tmp_path, ".. runs::\n   :origin: committed")
    assert "DCGAN T1 64" not in committed
    assert "WGAN T1c 128" in committed
    assert "WGAN T2 128" in committed


def test_a_plan_needs_its_keys(tmp_path: Path) -> None:
    assert runs.read_plan(tmp_path / "none.yaml") == []
    plan = tmp_path / "runs.yaml"
    plan.write_text("- {chapter: ch3, setup: wgan-t1-128, scale: study}\n")
    assert runs.read_plan(plan)[0]["setup"] == "wgan-t1-128"
    plan.write_text("- {chapter: ch3}\n")
    with pytest.raises(evidence.EvidenceError):
        runs.read_plan(plan)
