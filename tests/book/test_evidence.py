"""Numbers on pages: copied from records and printed tables, or "not run", or "stale"."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import IO

import pytest
from docutils import nodes
from hypothesis import given
from hypothesis import strategies as st
from pathogan_book import (
    comparisons,
    evidence,
    labels,
    numbers,
    plan,
    scoreboard,
    seeds,
    staleness,
    tables,
)
from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]
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
    folder = root / staleness.METHOD_FOLDERS[0]
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
    folder = tmp_path / staleness.METHOD_FOLDERS[0]
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
    for word in (tables.NOT_RUN, tables.STALE, tables.MIXED):
        node = tables.missing(word)
        assert node.astext() == word
        assert node["explanation"]
        assert "pg-missing" in node["classes"]


def one(root: Path, **changes: object) -> seeds.Seeds:
    run = evidence.read_run(write_record(root, **changes))
    assert run is not None
    return seeds.Seeds([run])


def test_a_scoreboard_cell_shows_value_and_interval_and_tells_n_and_origin(tmp_path: Path) -> None:
    found = one(tmp_path)
    cell = seeds.metric(found, "kid")
    assert text(cell) == "0.0123 (0.01 to 0.0151)"
    assert cell["explanation"].startswith("n 500 · bootstrap over patients · ")
    assert found.first.provenance in cell["explanation"]
    assert seeds.metric(found, "fid").astext() == tables.NOT_RUN
    assert seeds.metric(tables.STALE, "kid").astext() == tables.STALE


def test_a_measure_stands_beside_what_real_images_score(tmp_path: Path) -> None:
    found = one(tmp_path)
    assert "|" not in text(nodes.inline("", "", *scoreboard._beside_floor(found, "kid")))
    floor = {"value": 0.004, "n": 500, "interval": [0.003, 0.006]}
    found.first.record["metrics"]["kid_floor"] = floor
    cell = text(nodes.inline("", "", *scoreboard._beside_floor(found, "kid")))
    assert cell == "0.0123 (0.01 to 0.0151) | 0.004"


def test_only_measures_that_some_run_has_get_a_column(tmp_path: Path) -> None:
    found = one(tmp_path)
    found.first.record["metrics"]["kid_floor"] = found.first.record["metrics"]["kid"]
    assert scoreboard._measured([tables.NOT_RUN, found]) == ["kid"]
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


def built(source: Path, body: str, warnings: IO[str] | None = None) -> nodes.document:
    """A page that holds only `body`, read by Sphinx with the directives over runs."""
    extensions = ["pathogan_book.runs", "pathogan_book.scoreboard"]
    (source / "conf.py").write_text(f"extensions = {extensions}\n")
    (source / "index.rst").write_text(f"Runs\n====\n\n{body}\n")
    out = source / "out"
    app = Sphinx(source, source, out, out, "dummy", status=None, warning=warnings, freshenv=True)
    app.build()
    return app.env.get_doctree("index")


def built_text(source: Path, body: str) -> str:
    return built(source, body).astext()


def built_rows(source: Path, body: str) -> list[list[str]]:
    """The cells of the page's first table, line by line, headers first."""
    grid = next(iter(built(source, body).findall(nodes.table)))
    return [[text(cell) for cell in row.children] for row in grid.findall(nodes.row)]


def text(node: nodes.Node) -> str:
    """What is read, whether a line may break in it or not."""
    return node.astext().replace("\u00a0", " ").replace("\u2011", "-")


def test_local_and_committed_runs_have_tables_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PATHOGAN_RUNS", raising=False)
    write_record(tmp_path)
    (tmp_path / plan.PLAN).write_text("- {chapter: ch3, setup: wgan-t2-128, scale: study}\n")
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
    assert plan.read_plan(tmp_path / "none.yaml") == []
    path = tmp_path / "runs.yaml"
    path.write_text("- {chapter: ch3, setup: wgan-t1-128, scale: study}\n")
    assert plan.read_plan(path)[0]["setup"] == "wgan-t1-128"
    for item in ("{chapter: ch3}", "{chapter: ch4, setup: x, scale: study, hours: two}"):
        path.write_text(f"- {item}\n")
        with pytest.raises(evidence.EvidenceError):
            plan.read_plan(path)


PRINTED = """arm,training,accuracy_percent,sensitivity_percent,specificity_percent,reference
real,scratch,86.3,88.9,83.2,"section 4, Table 2"
classic-munit,scratch,96.3,97.5,95.0,"section 4, Table 2"
"""


@pytest.fixture
def chapter4(tmp_path: Path) -> Path:
    """A folder with two rows of a published Table 2 and no runs."""
    folder = tmp_path / evidence.PUBLISHED
    folder.mkdir(parents=True)
    (folder / "table2_classification.csv").write_text(PRINTED)
    return tmp_path


def write_arm(root: Path, number: int, accuracy: float = 0.75, **changes: object) -> None:
    """The run of seed `number`, or what `changes` make of it."""
    metrics = {
        name: {"value": value, "n": 1742, "interval": [value - 0.1, value + 0.1],
               "interval_method": "bootstrap over patients, 95%", "unit": "1"}
        for name, value in (("accuracy", accuracy), ("sensitivity", 0.5), ("specificity", 0.9))
    }  # fmt: skip
    setup = f"arm-classic-munit-scratch-seed{number}"
    record = RECORD | {
        "run": f"resnet18-{number}", "chapter": "ch4", "setup": setup, "method": "resnet18",
        "revision": 1, "seed": number, "metrics": metrics,
    } | changes  # fmt: skip
    path = evidence.record_path(root, f"ch4/{setup}")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(record))


def arm_line(root: Path) -> list[str]:
    """The line of Table 2's scoreboard that the made-up runs belong to, without printed numbers."""
    header, other, line = built_rows(root, ".. scoreboard:: table2")
    assert header[:4] == ["Training images", "Weights", "Accuracy (%), thesis", "here"]
    assert header[-3:] == ["Seeds", "Scale", "Data"]
    assert other == [
        *("real only", "from scratch"),
        *("86.3", tables.NOT_RUN, "88.9", tables.NOT_RUN, "83.2", tables.NOT_RUN),
        *("", "", ""),
    ]
    assert line[:2] == ["classic + MUNIT", "from scratch"]
    assert line[2:8:2] == ["96.3", "97.5", "95.0"]
    return [*line[3:9:2], *line[8:]]


def test_an_arm_s_number_is_the_mean_between_the_lowest_and_the_highest_seed(
    chapter4: Path,
) -> None:
    assert arm_line(chapter4) == [tables.NOT_RUN] * 3 + [""] * 3
    for seed, accuracy in ((0, 0.7), (10, 0.9), (2, 0.74)):
        write_arm(chapter4, seed, accuracy)
    assert arm_line(chapter4) == [
        "78.0 (70.0 to 90.0)", "50.0 (50.0 to 50.0)", "90.0 (90.0 to 90.0)",
        "3", "study", "simulated brats2016",
    ]  # fmt: skip


def test_a_single_seed_keeps_its_own_interval(chapter4: Path) -> None:
    write_arm(chapter4, 4)
    assert arm_line(chapter4)[0] == "75.0 (65.0 to 85.0)"
    assert arm_line(chapter4)[3:] == ["1", "study", "simulated brats2016"]


def test_a_demonstration_is_no_evidence(chapter4: Path) -> None:
    write_arm(chapter4, 0, scale="demo")
    write_arm(chapter4, 1, scale="smoke")
    assert arm_line(chapter4)[:3] == [tables.NOT_RUN] * 3
    write_arm(chapter4, 2, accuracy=0.8)
    assert arm_line(chapter4)[0] == "80.0 (70.0 to 90.0)"
    assert arm_line(chapter4)[3] == "1"


@pytest.mark.parametrize(
    "changes",
    [
        {"config": {"epochs": 2}},
        {"scale": "thesis"},
        {"measured_with": {"revision": 2}},
        {"inputs": {"train": {"cohort": "brats2016", "source": "real"}}},
        {"seed": 0},
    ],
)
def test_runs_that_differ_in_more_than_their_seed_have_no_mean(
    chapter4: Path, changes: dict[str, object]
) -> None:
    write_arm(chapter4, 0)
    write_arm(chapter4, 1, **changes)
    assert arm_line(chapter4) == [tables.MIXED] * 3 + [""] * 3


PRINTED_DETECTION = """arm,real_images,synthetic_images,sensitivity_iou50_percent,\
fps_per_slice_iou50,sensitivity_iou25_percent,fps_per_slice_iou25,reference
real,2813,0,67,4.11,83,3.59,"section 5.2.3, Table 4"
cpggan-normal-4k,2813,4000,69,7.16,86,6.60,"section 5.2.3, Table 4"
"""


@pytest.fixture
def chapter5(tmp_path: Path) -> Path:
    """A folder with two rows of a published Table 4 and no runs."""
    folder = tmp_path / evidence.PUBLISHED
    folder.mkdir(parents=True)
    (folder / "table4_detection.csv").write_text(PRINTED_DETECTION)
    return tmp_path


def write_detector(root: Path, number: int, sensitivity: float, fps: float) -> None:
    """The run of seed `number`; at IoU 0.25 it finds 0.1 more, and is wrong 0.5 times less."""
    values = {
        "annotated/rough/0.5": (sensitivity, fps),
        "annotated/rough/0.25": (sensitivity + 0.1, fps - 0.5),
        "annotated/exact/0.5": (0.0, 99.0),
        "all/rough/0.5": (0.0, 99.0),
    }
    metrics = {}
    for kind, (found, wrong) in values.items():
        for name, value in (("sensitivity", found), ("fps_per_image", wrong)):
            interval = [value - 0.25, value + 0.25]
            metrics[f"{kind}/{name}"] = {"value": value, "n": 321, "interval": interval}
    setup = f"arm-cpggan-normal-4k-seed{number}"
    record = RECORD | {
        "run": f"yolov3-{number}", "chapter": "ch5", "setup": setup, "method": "yolov3",
        "revision": 1, "seed": number, "metrics": metrics,
    }  # fmt: skip
    path = evidence.record_path(root, f"ch5/{setup}")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(record))


def detection_lines(root: Path) -> list[list[str]]:
    header, *lines = built_rows(root, ".. scoreboard:: table4")
    assert header == [
        "Training images",
        "Sensitivity, IoU 0.5 (%), thesis", "here", "FPs per slice, IoU 0.5, thesis", "here",
        "Sensitivity, IoU 0.25 (%), thesis", "here", "FPs per slice, IoU 0.25, thesis", "here",
        "Seeds", "Scale", "Data",
    ]  # fmt: skip
    return lines


def test_a_detector_s_shares_are_shown_in_per_cent_and_its_false_positives_as_they_are(
    chapter5: Path,
) -> None:
    for seed, sensitivity, fps in ((0, 0.5, 2.0), (1, 0.625, 4.0)):
        write_detector(chapter5, seed, sensitivity, fps)
    none, found = detection_lines(chapter5)
    assert none == [
        *("real only", "67", tables.NOT_RUN, "4.11", tables.NOT_RUN),
        *("83", tables.NOT_RUN, "3.59", tables.NOT_RUN, "", "", ""),
    ]
    assert found == [
        "4k CPGGAN + normal", "69", "56 (50 to 62)", "7.16", "3.00 (2.00 to 4.00)",
        "86", "66 (60 to 72)", "6.60", "2.50 (1.50 to 3.50)", "2", "study", "simulated brats2016",
    ]  # fmt: skip


def test_a_single_detector_keeps_its_own_intervals(chapter5: Path) -> None:
    write_detector(chapter5, 0, 0.5, 2.0)
    _, found = detection_lines(chapter5)
    assert found[2:5:2] == ["50 (25 to 75)", "2.00 (1.75 to 2.25)"]


def test_the_scoreboard_reads_what_the_library_writes() -> None:
    from pathogan_core.evaluation.detection import IOUS
    from pathogan_core.experiments.chapter5.detecting import arm_setup, metric_name

    comparison = comparisons.COMPARISONS["table4_detection"]
    written = {metric_name(name, iou) for name in ("sensitivity", "fps_per_image") for iou in IOUS}
    assert {column.metric for column in comparison.columns.values()} == written
    for arm in labels.DETECTION_ARMS:
        assert labels.split_seed(arm_setup(arm, 3)) == (comparison.setup({"arm": arm}), 3)


def write_revision(root: Path, file: str, line: str = "REVISION = 2") -> None:
    path = root / "pathogan_core" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(line + "\n")


def test_stale_seeds_are_left_out_and_only_stale_ones_are_stale(chapter4: Path) -> None:
    write_arm(chapter4, 0, accuracy=0.1)
    write_revision(chapter4, "cad/resnet50.py")
    assert arm_line(chapter4) == [tables.STALE] * 3 + [""] * 3
    write_arm(chapter4, 1, accuracy=0.6, revision=2)
    assert arm_line(chapter4)[0] == "60.0 (50.0 to 70.0)"


def write_source(root: Path, setup: str, run: str, method: str, **inputs: str) -> None:
    path = evidence.record_path(root, f"ch4/{setup}")
    path.parent.mkdir(parents=True)
    record = RECORD | {"run": run, "method": method, "revision": 1, "chapter": "ch4"}
    named = {name: {"fingerprint": fingerprint} for name, fingerprint in inputs.items()}
    path.write_text(json.dumps(record | {"setup": setup, "inputs": named}))


@pytest.mark.parametrize(
    ("file", "line", "stale"),
    [
        ("gans/munit.py", "REVISION = 2", True),
        ("gans/munit.py", "REVISION = 1", False),
        ("gans/simgan.py", "REVISION = 2", False),
        ("experiments/chapter4/pools.py", "REVISION = DISCARDING_REVISION = (\n    2\n)", True),
        ("experiments/chapter4/pools.py", "REVISION = 1\nDISCARDING_REVISION = 2", True),
        ("experiments/chapter4/pools.py", "REVISION = OTHER + 1", False),
        ("experiments/chapter4/mapping.py", "REVISION = 2", False),
    ],
)
def test_a_run_that_rests_on_a_stale_one_is_stale(
    chapter4: Path, file: str, line: str, stale: bool
) -> None:
    write_source(chapter4, "discarding-tumour", "discarding-1", "discarding")
    write_source(chapter4, "munit-tumour-60", "munit-1", "munit", synthetic="discarding-1")
    write_source(chapter4, "stage-munit-tumour", "pool-1", "pool", refiner="munit-1")
    inputs = {"synthetic": {"fingerprint": "pool-1", "cohort": "brats2016", "source": "simulated"}}
    write_arm(chapter4, 0, inputs=inputs)
    write_revision(chapter4, file, line)
    assert (arm_line(chapter4)[0] == tables.STALE) is stale


def test_a_map_is_judged_by_the_file_that_makes_it(tmp_path: Path) -> None:
    write_source(tmp_path, "map-munit", "map-1", "map")
    run = evidence.read_run(evidence.record_path(tmp_path, "ch4/map-munit"))
    assert run is not None
    assert not staleness.is_stale(tmp_path, run)
    write_revision(tmp_path, "experiments/chapter4/mapping.py")
    assert staleness.is_stale(tmp_path, run)


def test_a_table_that_nothing_can_stand_beside_is_a_mistake(chapter4: Path) -> None:
    (chapter4 / evidence.PUBLISHED / "section4_split.csv").write_text("split,patients\ntest,22\n")
    warnings = io.StringIO()
    page = built(chapter4, ".. scoreboard:: section4_split", warnings)
    assert not list(page.findall(nodes.table))
    assert "nothing is known to set beside section4_split" in warnings.getvalue()


def test_measures_of_a_chapter_are_those_of_its_planned_and_committed_set_ups(
    chapter4: Path,
) -> None:
    write_source(chapter4, "stage-munit-tumour", "pool-1", "pool")
    write_arm(chapter4, 0)
    (chapter4 / plan.PLAN).write_text(
        "- {chapter: ch4, setup: stage-pggan-tumour, scale: study}\n"
        "- {chapter: ch4, setup: munit-tumour-60, scale: study}\n"
        "- {chapter: ch3, setup: stage-pggan-tumour, scale: study}\n"
    )
    lines = built_rows(chapter4, ".. measures:: ch4\n   :setups: stage-*")
    assert [line[:2] for line in lines] == [
        ["Set-up", "KID ↓"],
        ["Images of PGGAN, tumour", tables.NOT_RUN],
        ["Images of MUNIT, tumour", "0.0123 (0.01 to 0.0151)"],
    ]
    assert len(built_rows(chapter4, ".. measures:: ch4")) == 5
    assert "real images" not in built_text(chapter4, ".. measures:: ch4")


def test_the_note_below_measures_tells_of_the_bar_where_there_is_one(tmp_path: Path) -> None:
    metrics = dict.fromkeys(("kid", "kid_floor"), RECORD["metrics"]["kid"])  # type: ignore[index]
    write_record(tmp_path, metrics=metrics)
    page = built_text(tmp_path, ".. measures:: ch3")
    assert "0.0123 (0.01 to 0.0151) | 0.0123" in page.replace("\u00a0", " ")
    assert "after the bar what real images of other patients score" in page


def test_the_plan_puts_seeds_together_and_adds_up_their_hours(chapter4: Path) -> None:
    write_arm(chapter4, 1)
    items = [f"setup: arm-classic-munit-scratch-seed{seed}, hours: 0.25" for seed in range(4)]
    items += ["setup: pggan-non_tumour-64, hours: 1.5, note: long"]
    items += ["setup: munit-tumour-60, note: short", "setup: simgan-tumour-60, note: short"]
    lines = [f"- {{chapter: ch4, scale: study, {item}}}\n" for item in items]
    (chapter4 / plan.PLAN).write_text("".join(lines))
    page = built(chapter4, ".. runs::\n   :origin: committed")
    grid = list(page.findall(nodes.table))[1]
    rows = [[text(cell) for cell in row.children] for row in grid.findall(nodes.row)]
    assert rows == [
        ["Run to do", "Chapter", "Scale", "State", "Seeds", "Hours"],
        ["Arm classic + MUNIT, from scratch", "4", "study", "not run", "0, 2, 3", "0.75"],
        ["PGGAN non-tumour 64", "4", "study", "not run", "", "1.5"],
        ["MUNIT tumour 60", "4", "study", "not run", "", ""],
        ["SimGAN tumour 60", "4", "study", "not run", "", ""],
    ]
    assert "PGGAN non-tumour 64: long." in page.astext()
    assert "MUNIT tumour 60; SimGAN tumour 60: short." in page.astext()
    assert "2.25 in all" in page.astext()


@pytest.mark.parametrize(
    ("setup", "label"),
    [
        ("wgan-t1c-128", "WGAN T1c 128"),
        ("pggan-non_tumour-64", "PGGAN non-tumour 64"),
        ("munit-tumour-60", "MUNIT tumour 60"),
        ("discarding-tumour", "Discarding, tumour"),
        ("pool-undiscarded-tumour", "Pool with none discarded, tumour"),
        ("stage-simgan-non_tumour", "Images of SimGAN, non-tumour"),
        ("map-classic", "Map of classic augmentation"),
        ("arm-pggan-undiscarded-pretrained", "Arm PGGAN, none discarded, pre\u2011trained"),
        ("arm-real-scratch@patients16", "Arm real only, from\u00a0scratch, 16 patients"),
        ("stage-pggan-tumour@framed", "Images of PGGAN, tumour, not cropped first"),
        ("arm-pggan-scratch@epochs", "Arm PGGAN, from\u00a0scratch, equally many epochs"),
        ("pggan-tumour-64@other", "PGGAN tumour 64, other"),
        ("cpggan-normal-64", "CPGGAN + normal 64"),
        ("cpggan-64@thesis_loss", "CPGGAN 64, the thesis' loss alone"),
        ("arm-real@rough2", "Detector, real only, roughness 2"),
        ("image-to-image-64", "Image-to-image 64"),
        ("arm-cpggan-normal-4k", "Detector, 4k CPGGAN + normal"),
        ("arm-real", "Detector, real only"),
        ("wgan-t1c-large", "wgan-t1c-large"),
        ("arm-real-somehow-seed0", "arm-real-somehow-seed0"),
        ("wgan-0123456789ab", "wgan-0123456789ab"),
    ],
)  # fmt: skip
def test_pages_have_words_for_set_ups(setup: str, label: str) -> None:
    assert labels.setup_label(setup) == label


def test_pages_call_arms_as_the_library_does() -> None:
    from pathogan_core.experiments import published_table2, published_table4

    assert labels.ARMS == published_table2.ARM_LABELS
    assert labels.TRAININGS.keys() == published_table2.TRAINING_LABELS.keys()
    detection = {row.arm: row.label for row in published_table4.load_detection()}
    assert detection == labels.DETECTION_ARMS


@pytest.mark.parametrize("table", ["table1", "table2", "table3", "table4"])
def test_every_published_row_and_column_has_its_place_beside_our_runs(table: str) -> None:
    path, rows = evidence.published_table(ROOT, table)
    comparison = comparisons.COMPARISONS[path.stem]
    assert set(comparison.columns) <= rows[0].keys()
    setups = [comparison.setup(row) for row in rows]
    assert len(set(setups)) == len(rows)
    assert all(labels.setup_label(setup) != setup for setup in setups)
    keys = {tuple(tell(row) for tell in comparison.keys.values()) for row in rows}
    assert len(keys) == len(rows)
