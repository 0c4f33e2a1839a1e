"""The benchmark command: every row is there, and what it says is what was spent."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import cohorts, detection
from benchmarks.__main__ import main
from benchmarks.cohorts import CohortCase
from benchmarks.detection import DETECTORS, DetectionCase
from benchmarks.elsewhere import CPU_S_PER_STEP, compared
from benchmarks.evaluation import FrocCase
from benchmarks.methods import METHODS
from benchmarks.rows import Row, table
from benchmarks.training import TrainingCase
from benchmarks.usage import Reading, in_fresh_process, now
from pathogan_core.cad import yolov3
from pathogan_core.cohorts import brain_simulation, simulated
from pathogan_core.cohorts.brain_patient import SimulatedPatient, draw_grade
from pathogan_core.cohorts.cases import SEQUENCES, TISSUES
from pathogan_core.cohorts.manifest import Volume, load_manifest
from pathogan_core.errors import PathoganError
from pathogan_core.gans import dcgan, pggan, simgan
from pathogan_core.gans.growth import Stage
from pathogan_core.training.loop import train

SHAPE = (20, 28, 24)
TRAININGS = {
    f"{method} {size} px {precision}"
    for method, sizes in {
        "dcgan": (64, 128), "wgan": (64, 128), "pggan": (64,), "pggan-plain": (64,),
        "cpggan": (64,), "pix2pix": (64,), "munit": (60, 224), "simgan": (60, 224),
        "resnet18": (60, 224), "resnet50": (60, 224),
        "yolov3": (128,),
    }.items()
    for size in sizes
    for precision in ("fp32", "bf16")
}  # fmt: skip
DETECTIONS = {"yolov3-detect 416 px fp32"}
OPERATIONS = {"simulate", "check", "prepare", "prepare-simulated"}
EVALUATIONS = {"froc 3 scans, 50 marks each"}


def tiny(method: str, size: int = 64, *, bf16: bool = False) -> TrainingCase:
    settings = METHODS[method].at(size, quick=True)
    return TrainingCase(method, size, bf16, "cpu", settings, warmup=2, steps=3)


def directly(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


def never(*_: Any) -> Any:
    raise AssertionError("something was measured")


@pytest.fixture(autouse=True)
def same_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def small_brains(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patients of a few thousand random voxels, and the manifest that goes with them."""

    def simulate(index: int, seed: int) -> SimulatedPatient:
        stream = np.random.default_rng([seed, index])
        brain = np.zeros(SHAPE, bool)
        brain[3:-3, 3:-3, 3:-3] = True
        volumes = {s: (stream.integers(1, 999, SHAPE) * brain).astype(np.int16) for s in SEQUENCES}
        labels = stream.integers(0, 5, SHAPE) * brain
        tissues = {name: labels == number for number, name in enumerate(TISSUES, 1)}
        return SimulatedPatient(f"{index}", draw_grade(index, seed), volumes, tissues, {})

    whole = load_manifest("brats2016")
    first = whole.preparation()
    first = first.model_copy(
        update={
            "selection": first.selection.model_copy(update={"first_slice": 8, "last_slice": 13}),
            "images": first.images.model_copy(update={"sizes": [16, 8]}),
        }
    )
    small = whole.model_copy(
        update={
            "volume": Volume(shape_zyx=SHAPE, spacing_mm=(1, 1, 1)),
            "preparations": {"section3": first},
        }
    )
    monkeypatch.setattr(brain_simulation, "simulate_patient", simulate)
    monkeypatch.setattr(simulated, "simulate_patient", simulate)
    monkeypatch.setattr(cohorts, "load_manifest", lambda name: small)


@dataclass
class FakeClock:
    wall_s: float = 0.0
    cpu_s: float = 0.0

    def advance(self, wall_s: float, cpu_s: float) -> None:
        self.wall_s += wall_s
        self.cpu_s += cpu_s

    def read(self) -> Reading:
        return Reading(self.wall_s, self.cpu_s)


def test_a_quick_run_prints_every_row_and_writes_the_same_figures(tmp_path, capsys, small_brains):
    path = tmp_path / "made" / "figures.json"
    options = ["--quick", "--device", "cpu", "--threads", "1", "--json", str(path)]
    assert main(options, directly) == 0
    written = json.loads(path.read_text())
    names = [field.name for field in fields(Row)]
    rows = [Row(**{name: row[name] for name in names}) for row in written["rows"]]
    everything = TRAININGS | DETECTIONS | OPERATIONS | EVALUATIONS
    assert {row.measured for row in rows} == everything
    assert len(rows) == len(everything)
    assert written["settings"].keys() == TRAININGS | DETECTIONS
    assert written["rows"] == [row.as_json() for row in rows]
    assert written["quick"] is True
    assert written["machine"]["libraries"]["torch"] == version("torch")
    printed = capsys.readouterr().out
    assert printed.startswith("QUICK")
    assert table(rows) in printed
    for row in rows:
        assert min(row.units_per_s, row.cpu_s_per_unit, row.peak_memory_bytes) > 0
        assert (row.on, row.unit) == next(
            expected
            for names, expected in (
                (TRAININGS, ("cpu, 1 thread", "step")),
                (DETECTIONS, ("cpu, 1 thread", "image")),
                (OPERATIONS, ("1 worker", "scan")),
                (EVALUATIONS, ("1 process", "command")),
            )
            if row.measured in names
        )
        assert row.peak_device_bytes is None


def test_only_what_is_asked_for_is_measured_as_often_as_it_is(tmp_path, capsys, small_brains):
    path = tmp_path / "figures.json"
    asked = ["--only", "prepare", "dcgan", "--steps", "3", "--scans", "2", "--device", "cpu"]
    assert main(["--quick", "--markdown", "--json", str(path), *asked], directly) == 0
    units = {row["measured"]: row["units"] for row in json.loads(path.read_text())["rows"]}
    dcgans = {name: 3 for name in TRAININGS if name.startswith("dcgan")}
    assert units == {**dcgans, "prepare": 2}
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if line.startswith("| ")]) == 2 + len(units)


# Of one execution after the warm-up: wall-clock and processor seconds.
PRICES = {"D": (2.0, 3.0), "G": (1.0, 0.5)}


@pytest.mark.parametrize(("objective", "critic_updates"), [("dcgan", 1), ("wgan", 5)])
@pytest.mark.parametrize(("warmup", "steps"), [(1, 4), (2, 3), (3, 2)])
def test_rates_are_those_of_the_steps_after_the_warm_up(
    monkeypatch, objective, critic_updates, warmup, steps
):
    clock = FakeClock()
    build = dcgan.program

    def charging_program(*arguments: Any) -> Any:
        program = build(*arguments)
        program.phases = [charged(phase) for phase in program.phases]
        return program

    def charged(phase: Any) -> Any:
        def loss(turn: Any) -> Any:
            clock.advance(*((1000.0, 1000.0) if turn.step < warmup else PRICES[phase.name]))
            return phase.loss(turn)

        return replace(phase, loss=loss)

    monkeypatch.setattr(dcgan, "program", charging_program)
    case = replace(tiny(objective), warmup=warmup, steps=steps)
    row = case.measure(clock.read)
    batch = case.settings["batch_size"]
    seconds = critic_updates * 2 + 1
    assert row.units == steps
    assert row.units_per_s == pytest.approx(1 / seconds)
    assert row.cpu_s_per_unit == pytest.approx(critic_updates * 3 + 0.5)
    assert row.images == steps * critic_updates * batch
    assert row.images_per_s == pytest.approx(critic_updates * batch / seconds)


def test_every_wgan_step_has_the_usual_critic_updates():
    config = dcgan.DCGANConfig(image_size=64, **METHODS["wgan"].at(64, quick=False))
    assert {config.critic_updates(step) for step in range(1001)} == {5}


def test_pggan_is_timed_with_all_its_levels():
    config = pggan.PGGANConfig(
        image_size=64, stable_images=1, fade_images=0, **METHODS["pggan"].at(64, quick=False)
    )
    assert config.channels == (128,) * 5
    assert config.growth.at(config.batch_sizes[0]) == Stage(config.levels - 1)


def test_the_plain_script_computes_the_same_with_more_work(tmp_path):
    learning: list[bool] = []

    def generator_of(method: str) -> torch.Tensor:
        """Its weights after two steps; notes whether the critic gets gradients in phase G."""
        program = METHODS[method].build(64, METHODS[method].at(64, quick=True), torch.device("cpu"))
        critic, phase = program.modules["discriminator"], program.phases[1]

        def noting(turn: Any) -> Any:
            loss = phase.loss(turn)
            learning.append(all(weight.requires_grad for weight in critic.parameters()))
            return loss

        program.phases[1] = replace(phase, loss=noting)
        train(program, tmp_path / method, steps=2, seed=0)
        return torch.cat([w.flatten() for w in program.modules["generator"].parameters()])

    ours, plain = generator_of("pggan"), generator_of("pggan-plain")
    assert learning == [False, False, True, True]
    torch.testing.assert_close(plain, ours, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("method", ["munit", "simgan", "resnet18", "yolov3"])
def test_a_row_counts_the_real_images_that_its_steps_consumed(method):
    case = tiny(method, 128 if method == "yolov3" else 60)
    batches = 2 if method == "munit" else 1  # its translators see real images, too
    assert case.measure().images == 3 * batches * case.settings.get("batch_size", 1)


def test_a_detector_is_timed_on_the_images_after_those_that_are_not(monkeypatch):
    clock, find = FakeClock(5, 5), detection.predict

    def charging(network: Any, images: Any, *arguments: Any, **options: Any) -> Any:
        clock.advance(len(images) * 3, len(images) * 4)
        return find(network, images, *arguments, **options)

    monkeypatch.setattr(detection, "predict", charging)
    settings = DETECTORS["yolov3-detect"].at(416, quick=True)
    row = DetectionCase("yolov3-detect", 416, "cpu", settings, warmup=1, images=2).measure(
        clock.read
    )
    assert (row.units, row.units_per_s, row.cpu_s_per_unit) == (2, 1 / 3, 4)
    assert (row.unit, row.images) == ("image", None)


def test_a_detector_is_measured_at_the_papers_width():
    config = yolov3.YOLOv3Config(**DETECTORS["yolov3-detect"].at(416, quick=False))
    trained = yolov3.YOLOv3Config(**METHODS["yolov3"].at(128, quick=False))
    assert (config.width, config.depth, trained.width, trained.depth) == (1, 1, 1, 1)
    assert trained.batch_size == 2


def test_figures_from_elsewhere_stand_beside_those_of_a_processor_only():
    row = Row("pggan 64 px fp32", "cpu, 1 thread", "step", 10, 40.0, 31.4, 1)
    told = compared([row, replace(row, measured="munit 60 px fp32")])
    assert "3.14 CPU s/step here" in told
    assert all(str(seconds) in told for seconds in CPU_S_PER_STEP[row.measured].values())
    assert "munit" not in told
    assert compared([replace(row, on="cuda, 1 thread")]) == ""
    assert set(CPU_S_PER_STEP) <= TRAININGS


def test_every_simgan_step_is_an_adversarial_round():
    config = simgan.SimGANConfig(image_size=60, **METHODS["simgan"].at(60, quick=False))
    rounds = {(config.refines(step), config.discriminates(step)) for step in range(100)}
    assert rounds == {(2, 1)}


def test_rates_of_a_cohort_are_shared_by_its_scans(tmp_path, monkeypatch):
    clock = FakeClock(50, 70)
    monkeypatch.setitem(cohorts.OPERATIONS, "check", lambda case: clock.advance(12, 20))
    row = CohortCase("check", 2, 4, tmp_path).measure(clock.read)
    assert (row.units_per_s, row.cpu_s_per_unit) == (4 / 12, 5)
    assert (row.on, row.images, row.images_per_s) == ("2 workers", None, None)


def test_the_marks_that_are_judged_are_as_many_as_the_row_says(tmp_path):
    clock, case = FakeClock(), FrocCase(5, 20, tmp_path)
    case.provide()
    row = case.measure(clock.read)
    counts = json.loads((tmp_path / "froc.json").read_text())["counts"]
    assert (counts["scans"], counts["marks"], counts["nodules"]) == (5, 100, 7)
    assert 0 < counts["found"] <= 5
    assert (row.measured, row.units) == ("froc 5 scans, 20 marks each", 1)


def test_a_command_that_fails_is_not_measured(tmp_path):
    case = FrocCase(2, 2, tmp_path)
    case.provide()
    (tmp_path / "series.csv").write_text("")
    with pytest.raises(subprocess.CalledProcessError):
        case.measure()


def test_a_broken_cohort_is_not_measured(tmp_path, small_brains):
    case = CohortCase("check", 1, 2, tmp_path)
    case.provide()
    next(case.cohort.rglob("*.mha")).write_bytes(b"no volume")
    with pytest.raises(PathoganError):
        case.measure()


def test_simulating_begins_with_no_cohort_and_reading_with_a_whole_one(tmp_path, small_brains):
    reading = CohortCase("prepare", 1, 2, tmp_path)
    reading.provide()
    volumes = {path: path.stat().st_mtime_ns for path in reading.cohort.rglob("*.mha")}
    assert len(volumes) == 2 * (len(SEQUENCES) + 1)
    reading.provide()
    assert {path: path.stat().st_mtime_ns for path in reading.cohort.rglob("*.mha")} == volumes
    CohortCase("simulate", 1, 2, tmp_path).provide()
    assert not reading.cohort.exists()


@pytest.fixture
def spender(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module that fresh processes can import, without torch: what it spends is known."""
    (tmp_path / "spender.py").write_text(
        "import time\n"
        "from benchmarks.usage import in_fresh_process, peak_memory\n"
        "def peak_holding(count):\n"
        "    held = b'1' * count\n"
        "    return peak_memory() + 0 * len(held)\n"
        "def peak_with_child_holding(count):\n"
        "    in_fresh_process(peak_holding, count)\n"
        "    return peak_memory()\n"
        "def burn(seconds):\n"
        "    begun = time.process_time()\n"
        "    while (spent := time.process_time() - begun) < seconds:\n"
        "        pass\n"
        "    return spent\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import spender

    yield spender
    del sys.modules["spender"]


def test_a_row_s_peak_memory_is_its_own_process_and_workers(spender):
    held = 300_000_000  # more than Python, less than this test's process with torch, adds to it
    before = in_fresh_process(spender.peak_holding, 0)
    assert before < 100_000_000
    for peak in (spender.peak_holding, spender.peak_with_child_holding):
        assert 0 <= in_fresh_process(peak, held) - held <= before + 20_000_000
    assert in_fresh_process(spender.peak_holding, 0) < 100_000_000


def test_processor_time_includes_that_of_ended_workers(spender):
    begun = now()
    burnt = in_fresh_process(spender.burn, 0.5)
    assert (now() - begun).cpu_s >= burnt >= 0.5


def test_a_killed_measurement_is_one_line():
    with pytest.raises(PathoganError, match="killed"):
        in_fresh_process(os._exit, 1)


@pytest.mark.parametrize(
    "case",
    [
        tiny("pggan"),
        DetectionCase("yolov3-detect", 416, "cpu", {}, 1, 1),
        CohortCase("prepare", 2, 8, Path("folder")),
        FrocCase(888, 50, Path("folder")),
    ],
)
def test_cases_can_be_sent_to_a_process(case):
    assert pickle.loads(pickle.dumps(case.measure)).__self__ == case


@pytest.mark.parametrize(
    "options",
    [
        ["--only", "cyclegan"],
        ["--size", "100"],
        ["--size", "224", "--only", "pggan"],
        ["--size", "128", "--only", "yolov3-detect"],
        ["--size", "64", "--only", "check"],
        ["--only"],
        ["--device", "tpu"],
        ["--threads", "0"],
        ["--threads", "two"],
        ["--steps", "-1"],
        ["--steps", "1.5"],
        ["--scans", ""],
        ["--workers", "1", "0"],
        ["--workers", "3", "--scans", "2"],
        ["--json", "."],
        ["--json", f"{__file__}/figures.json"],
        ["--frobnicate"],
        ["dcgan"],
    ],
)
def test_bad_options_are_one_line_and_nothing_is_measured(capsys, options):
    assert main(options, never) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("benchmarks: ")
    assert told.err.count("\n") == 1


def test_a_missing_device_is_one_line(capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["--device", "cuda"], never) == 1
    assert capsys.readouterr().err == "benchmarks: --device cuda: there is none; use --device cpu\n"


def test_columns_are_aligned_and_numbers_keep_three_digits():
    rows = [
        Row("wgan 128 px bf16", "cuda, 1 thread", "step", 500, 4.0, 2.0, 2 * 10**9, 160000, 10**8),
        Row("check", "2 workers", "scan", 8, 1000.0, 7.996, 99_960_000),
    ]
    head, *lines = table(rows).splitlines()
    assert lines[0].split()[-6:] == ["125", "0.00800", "0.00400", "40,000", "2,000", "100"]
    assert lines[1].split()[-6:] == ["0.00800", "125", "1.00", "-", "100", "-"]
    assert len({len(line) for line in (head, *lines)}) == 1
    marked = table(rows, markdown=True).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in marked]
    assert {len(line) for line in cells} == {9}
    assert [cell.strip("-") for cell in cells[1]] == [""] * 3 + [":"] * 6
    assert len({len(line) for line in marked}) == 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_its_memory_is_told():
    case = replace(tiny("wgan"), device="cuda")
    config = dcgan.DCGANConfig(image_size=64, **case.settings)
    weights = sum(p.numel() * 4 for p in dcgan.Generator(config).parameters())
    assert case.measure().peak_device_bytes > weights
