"""The run store, its lock and its records."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from pathogan_core.cli.runs import app
from pathogan_core.errors import PathoganError
from pathogan_core.experiments import store as store_module
from pathogan_core.experiments.lock import LOCK, _host, run_lock
from pathogan_core.experiments.records import read_record
from pathogan_core.experiments.store import (
    CONFIG,
    GENERATOR,
    RECORD,
    Measurement,
    Outcome,
    Run,
    RunSpec,
    RunStore,
    finished_runs,
    open_run,
)
from pathogan_core.training.checkpoint import load_tensors, save_tensors
from pathogan_core.training.loop import CHECKPOINT, LOG

SPEC = RunSpec(
    chapter="ch3",
    setup="toy-t1c-64",
    method="toy",
    revision=1,
    config={"size": 64, "betas": (0.5, 0.9)},
    inputs={"train": {"cohort": "toy", "source": "simulated", "fingerprint": "aa", "images": 7}},
    scale="smoke",
    seed=3,
)
ARRAYS = {"points": np.arange(6, dtype=np.float32).reshape(3, 2), "names": np.array(["a", "bc"])}
FAST = {"heartbeat_seconds": 0.05, "stale_seconds": 0.5, "poll_seconds": 0.02}
DEAD_FOR_LONG = {"heartbeat_seconds": 10, "stale_seconds": 3600, "poll_seconds": 0.02}


def toy_train(folder: Path) -> Outcome:
    """Two counted steps with a checkpoint after each; goes on where it was stopped."""
    done = 0
    if (folder / CHECKPOINT).exists():
        done = load_tensors(folder / CHECKPOINT)[1]["step"]
    for step in range(done + 1, 3):
        save_tensors(folder / CHECKPOINT, {"w": torch.tensor([float(step)])}, {"step": step})
        with (folder / LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps({"step": step}) + "\n")
    save_tensors(folder / GENERATOR, {"w": torch.tensor([2.0])}, {})
    return Outcome(steps=2, images_seen=8, wall_s=0.1)


def changed_bytes(content: bytes) -> Iterator[bytes]:
    """A file with one byte wrong, each in turn, and cut off at each."""
    for place in range(len(content)):
        for flip in (1, 0xFF):
            yield content[:place] + bytes([content[place] ^ flip]) + content[place + 1 :]
        yield content[:place]


def stopped_after_one_step(folder: Path) -> Outcome:
    save_tensors(folder / CHECKPOINT, {"w": torch.tensor([1.0])}, {"step": 1})
    (folder / LOG).write_text('{"step": 1}\n', encoding="utf-8")
    raise KeyboardInterrupt


def never(folder: Path) -> Outcome:
    raise AssertionError("a finished run was trained again")


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}), encoding="utf-8")


@pytest.mark.parametrize(
    "change",
    [
        {"scale": "full"},
        {"chapter": "ch9"},
        {"setup": "other"},
        {"config": {"betas": [0.5, 0.9], "size": 64}},
        {"inputs": {"train": {"fingerprint": "aa", "path": "elsewhere", "source": "real"}}},
    ],
)
def test_identity_ignores_names_paths_and_order(change):
    assert replace(SPEC, **change).folder_name == SPEC.folder_name


@pytest.mark.parametrize(
    "change",
    [
        {"method": "other"},
        {"revision": 2},
        {"seed": 4},
        {"config": {"size": 32, "betas": (0.5, 0.9)}},
        {"inputs": {"train": {"fingerprint": "bb"}}},
        {"inputs": {"test": {"fingerprint": "aa"}}},
        {"inputs": {}},
    ],
)
def test_identity_changes_with_whatever_changes_the_result(change):
    assert replace(SPEC, **change).identity != SPEC.identity


def test_a_configuration_that_is_not_finite_is_refused():
    with pytest.raises(PathoganError, match="not finite"):
        _ = replace(SPEC, config={"rate": float("nan")}).identity


def test_identity_is_twelve_hexadecimal_digits():
    assert len(SPEC.identity) == 12
    assert set(SPEC.identity) <= set("0123456789abcdef")


def test_a_run_is_trained_once_and_then_loaded(tmp_path):
    store = RunStore(tmp_path)
    assert store.find(SPEC) is None
    made = store.train_or_load(SPEC, toy_train)
    found = RunStore(tmp_path).train_or_load(replace(SPEC, scale="full"), never)
    assert found == made
    assert (found.record.run, found.record.scale) == (SPEC.folder_name, "smoke")
    assert (found.record.steps, found.record.device) == (2, "cpu")
    assert found.record.peak_memory_bytes > 1 << 20
    assert torch.__version__.startswith(found.record.libraries["torch"])
    assert torch.equal(found.load_tensors()[0]["w"], torch.tensor([2.0]))
    assert [line["step"] for line in found.log()] == [1, 2]
    left = {path.name for path in found.folder.iterdir()}
    assert left == {CONFIG, LOG, GENERATOR, RECORD}
    assert [open_run(folder) for folder in finished_runs(tmp_path)] == [found]


def test_a_stopped_training_leaves_no_record_and_is_resumed(tmp_path):
    store = RunStore(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        store.train_or_load(SPEC, stopped_after_one_step)
    folder = store.folder(SPEC)
    assert {path.name for path in folder.iterdir()} == {CONFIG, LOG, CHECKPOINT}
    assert store.find(SPEC) is None
    run = store.train_or_load(SPEC, toy_train)
    assert [line["step"] for line in run.log()] == [1, 2]


def measured_as(value: float) -> Measurement:
    """A measurement by the yardstick `value`, which reads the run's weights."""

    def measure(run: Run) -> dict[str, dict[str, Any]]:
        weight = run.load_tensors()[0]["w"].item()
        return {"toy": {"value": weight * value, "n": 1, "interval": None}}

    return Measurement({"yardstick": value}, measure)


def test_a_run_is_measured_again_with_a_new_yardstick_but_not_trained_again(tmp_path):
    store = RunStore(tmp_path)
    run = store.train_or_load(SPEC, toy_train)
    assert run.record.metrics == {}
    first = store.measured(run, measured_as(3.0))
    assert first.record.metrics["toy"]["value"] == 6.0
    assert first.record.measured_with == {"yardstick": 3.0}
    second = store.measured(store.train_or_load(SPEC, never), measured_as(5.0))
    assert second.record.metrics["toy"]["value"] == 10.0
    assert second.folder == first.folder
    assert store.find(SPEC) == second  # and it is the record on disk


def test_a_run_is_not_measured_twice_with_one_yardstick(tmp_path):
    store = RunStore(tmp_path)
    measured = store.measured(store.train_or_load(SPEC, toy_train), measured_as(3.0))

    def never_again(run: Run) -> dict[str, dict[str, Any]]:
        raise AssertionError("measured twice")

    again = replace(measured_as(3.0), measure=never_again)
    assert store.measured(store.train_or_load(SPEC, never), again) == measured


def test_a_failed_measurement_leaves_the_trained_run(tmp_path):
    def failing(run: Run) -> dict[str, dict[str, Any]]:
        raise PathoganError("no feature network")

    store = RunStore(tmp_path)
    run = store.train_or_load(SPEC, toy_train)
    with pytest.raises(PathoganError, match="feature network"):
        store.measured(run, Measurement({"a": 1}, failing))
    assert store.train_or_load(SPEC, never).record.metrics == {}


def test_the_record_is_written_after_everything_else(tmp_path, monkeypatch):
    def full_disk(path: Path, value: object) -> None:
        if path.name == RECORD:
            assert (path.parent / GENERATOR).exists()
            raise PathoganError("cannot be written (No space left on device)", where=path)
        write_json(path, value)

    write_json, store = store_module.write_json, RunStore(tmp_path)
    monkeypatch.setattr(store_module, "write_json", full_disk)
    with pytest.raises(PathoganError, match="No space left"):
        store.train_or_load(SPEC, toy_train)
    assert (store.folder(SPEC) / CHECKPOINT).exists()  # nothing to train again
    assert store.find(SPEC) is None


def test_a_full_disk_leaves_no_lock_behind(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathogan_core.experiments.lock.json.dump", full)
    with pytest.raises((PathoganError, OSError)), run_lock(tmp_path / "run", **FAST):
        pass
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.parametrize("name", [CONFIG, RECORD])
def test_a_folder_of_another_configuration_is_refused(tmp_path, name):
    store = RunStore(tmp_path)
    path = store.train_or_load(SPEC, toy_train).folder / name
    edit(path, seed=4)
    with pytest.raises(PathoganError, match="another configuration") as refused:
        store.train_or_load(SPEC, never)
    assert refused.value.where == path
    assert "delete" in refused.value.remedy
    if name == CONFIG:  # an unfinished one is refused before it is trained
        (path.parent / RECORD).unlink()
        with pytest.raises(PathoganError, match="another configuration"):
            store.train_or_load(SPEC, never)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"schema": 2}, "schema 2"),
        ({"surprise": 1}, "surprise"),
        ({"steps": "many"}, "steps"),
        ({"metrics": {"toy": 0.5}}, "metrics"),
    ],
)
def test_a_record_of_another_schema_is_refused(tmp_path, changes, told):
    path = RunStore(tmp_path).train_or_load(SPEC, toy_train).folder / RECORD
    edit(path, **changes)
    with pytest.raises(PathoganError, match=told):
        read_record(path)


def test_half_a_record_is_refused_and_a_whole_one_round_trips(tmp_path):
    run = RunStore(tmp_path).train_or_load(SPEC, toy_train)
    path = run.folder / RECORD
    text = path.read_text(encoding="utf-8")
    assert json.loads(text) == json.loads(json.dumps(run.record.as_json()))
    path.write_text(text[: len(text) // 2], encoding="utf-8")
    with pytest.raises(PathoganError, match="not valid JSON"):
        RunStore(tmp_path).find(SPEC)


@pytest.fixture
def run_with_arrays(tmp_path) -> Run:
    """A finished run with an npz file of two arrays."""
    run = RunStore(tmp_path).train_or_load(SPEC, toy_train)
    np.savez_compressed(run.folder / "two.npz", **ARRAYS)
    return run


def test_arrays_come_back_as_they_were_all_or_those_needed(run_with_arrays):
    for needed in ((), ("names",), ("names", "points")):
        found = run_with_arrays.arrays("two.npz", *needed)
        assert set(found) == set(needed or ARRAYS)
        for name, array in found.items():
            assert array.dtype == ARRAYS[name].dtype
            assert np.array_equal(array, ARRAYS[name])


def test_arrays_of_a_file_with_a_wrong_byte_are_right_or_refused(run_with_arrays):
    path, refused = run_with_arrays.folder / "two.npz", 0
    for content in changed_bytes(path.read_bytes()):
        path.write_bytes(content)
        try:
            found = run_with_arrays.arrays("two.npz", *ARRAYS)
        except PathoganError:
            refused += 1
        else:  # a date, say
            assert all(np.array_equal(found[name], ARRAYS[name]) for name in ARRAYS)
    assert refused > 500


@pytest.mark.parametrize(
    "arrays", [None, {"points": ARRAYS["points"]}, {**ARRAYS, "names": np.array([{}])}]
)
def test_arrays_that_are_missing_or_pickled_are_refused(run_with_arrays, arrays):
    path = run_with_arrays.folder / "two.npz"
    path.unlink()
    if arrays:
        np.savez(path, **arrays)
    with pytest.raises(PathoganError, match=r"two\.npz: holds no readable arrays; delete"):
        run_with_arrays.arrays("two.npz", "names")


def test_pickled_weights_and_a_missing_log_are_refused(tmp_path):
    run = RunStore(tmp_path).train_or_load(SPEC, toy_train)
    torch.save({"w": torch.zeros(1)}, run.folder / GENERATOR)
    with pytest.raises(PathoganError, match="pickled"):
        run.load_tensors()
    (run.folder / LOG).unlink()
    with pytest.raises(PathoganError, match="training log"):
        run.log()


WAITER = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_store import SPEC, RunStore, toy_train

def train(folder):
    (folder / "trained-by").open("a").write(sys.argv[3] + "\\n")
    time.sleep(0.5)
    return toy_train(folder)

print("ready", flush=True)
sys.stdin.readline()
print(RunStore(sys.argv[2]).train_or_load(SPEC, train).record.finished)
"""


def test_a_second_process_waits_and_loads(tmp_path):
    command = [sys.executable, "-c", WAITER, str(Path(__file__).parent), str(tmp_path)]
    pipe = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    both = [subprocess.Popen([*command, str(number)], **pipe) for number in range(2)]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert told[0] == told[1]
    trained = (tmp_path / SPEC.folder_name / "trained-by").read_text().splitlines()
    assert len(trained) == 1
    assert not list((tmp_path / SPEC.folder_name).glob(f"{LOCK}*"))


def write_lock(folder: Path, pid: int, host: str = "", age: float = 0) -> Path:
    path = folder / LOCK
    path.write_text(json.dumps({"host": host or _host(), "pid": pid, "token": "old"}))
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def taken_within(folder: Path, seconds: float, options: dict) -> bool:
    """Whether the lock is taken in that time; the try itself goes on until it is."""
    taken = threading.Event()

    def take() -> None:
        with run_lock(folder, **options):
            taken.set()

    threading.Thread(target=take, daemon=True).start()
    return taken.wait(seconds)


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    write_lock(tmp_path, dead.pid)
    assert taken_within(tmp_path, 10, DEAD_FOR_LONG)


def test_a_pid_says_nothing_about_another_machine(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    path = write_lock(tmp_path, dead.pid, host="elsewhere")
    assert not taken_within(tmp_path, 0.3, DEAD_FOR_LONG)
    path.unlink()


def test_an_untouched_lock_is_taken_over_and_a_touched_one_is_not(tmp_path):
    path = write_lock(tmp_path, os.getpid(), age=100)
    assert not taken_within(tmp_path, 0.3, DEAD_FOR_LONG)
    path.unlink()
    (tmp_path / "old").mkdir()
    write_lock(tmp_path / "old", os.getpid(), age=100)
    assert taken_within(tmp_path / "old", 10, FAST)
    (tmp_path / "beating").mkdir()
    with run_lock(tmp_path / "beating", **FAST):
        assert not taken_within(tmp_path / "beating", 3 * FAST["stale_seconds"], FAST)


def test_a_displaced_live_lock_keeps_newcomers_out(tmp_path):
    # What a waiter leaves for a moment when it renamed a lock that was not the one it had judged.
    displaced = write_lock(tmp_path, os.getpid()).rename(tmp_path / f"{LOCK}.displaced")
    assert not taken_within(tmp_path, 0.3, DEAD_FOR_LONG)
    displaced.unlink()


def test_a_run_whose_lock_was_lost_writes_no_record(tmp_path):
    def suspended(folder: Path) -> Outcome:
        (folder / LOCK).unlink()
        write_lock(folder, os.getpid())
        return toy_train(folder)

    store = RunStore(tmp_path)
    with pytest.raises(PathoganError, match="taken over"):
        store.train_or_load(SPEC, suspended)
    assert store.find(SPEC) is None
    assert json.loads((store.folder(SPEC) / LOCK).read_text())["token"] == "old"  # not ours


def add_alone(folder: Path, times: int) -> None:
    """Increase a counter by read, pause, write: an increment is lost if two are inside."""
    counter = folder / "counter"
    for _ in range(times):
        with run_lock(folder, heartbeat_seconds=1, stale_seconds=30, poll_seconds=0.001):
            value = int(counter.read_text())
            time.sleep(0.002)
            counter.write_text(str(value + 1))


def test_processes_that_fight_over_a_stale_lock_exclude_each_other(tmp_path):
    (tmp_path / "counter").write_text("0")
    write_lock(tmp_path, os.getpid(), age=100)
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=add_alone, args=(tmp_path, 10)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert (tmp_path / "counter").read_text() == "40"


def test_command_line_lists_shows_and_names_what_there_is(tmp_path):
    def call(*arguments: str):
        return CliRunner().invoke(app, [*arguments, "--root", str(tmp_path)])

    store = RunStore(tmp_path)
    run = store.train_or_load(SPEC, toy_train)
    begun = replace(SPEC, seed=4)
    with pytest.raises(KeyboardInterrupt):
        store.train_or_load(begun, stopped_after_one_step)
    listed = call("list").output
    assert f"{run.record.run}  ch3 toy-t1c-64" in listed
    assert "data simulated" in listed
    assert f"{begun.folder_name}  begun, not finished" in listed
    assert json.loads(call("show", run.record.run).output) == json.loads(
        (run.folder / RECORD).read_text()
    )
    unknown = call("show", "wgan-0").exception
    assert isinstance(unknown, PathoganError)
    assert run.record.run in str(unknown)
