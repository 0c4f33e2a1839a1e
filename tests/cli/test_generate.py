"""`pathogan generate`: which images it draws, of which run, and what it refuses."""

from __future__ import annotations

import errno
import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pathogan_core.cli import generate
from pathogan_core.errors import PathoganError
from pathogan_core.experiments import chapter3
from pathogan_core.experiments.store import (
    CONFIG,
    GENERATOR,
    RECORD,
    Outcome,
    Run,
    RunSpec,
    RunStore,
)
from pathogan_core.gans import sampling
from pathogan_core.gans.dcgan import DCGANConfig, Generator
from pathogan_core.training.checkpoint import load_tensors, save_tensors
from pathogan_core.training.randomness import generator_for

ROOT = Path(__file__).resolve().parents[2]
MODEL = DCGANConfig(image_size=16, width=2, latent=5)
SPEC = RunSpec(
    chapter="ch3",
    setup="wgan-t1c-16",
    method="wgan",
    revision=1,
    config={**asdict(MODEL), "steps": 1, "split": "all"},
    inputs={"images": {"cohort": "toy", "source": "simulated", "fingerprint": "aa"}},
    scale="smoke",
    seed=0,
)


def weights_of(model: DCGANConfig, seed: int) -> dict[str, torch.Tensor]:
    """Weights so large that images have contrast, as after training."""
    generator = Generator(model)
    for name, parameter in generator.named_parameters():
        torch.nn.init.normal_(parameter, std=0.5, generator=generator_for(seed, name))
    return generator.state_dict()


def made(store: Path, spec: RunSpec = SPEC, model: DCGANConfig = MODEL) -> Run:
    """A finished run whose generator is drawn at random."""

    def train(folder: Path) -> Outcome:
        save_tensors(folder / GENERATOR, weights_of(model, spec.seed), {"config": asdict(model)})
        return Outcome(steps=1, images_seen=1, wall_s=0.0)

    return RunStore(store).train_or_load(spec, train)


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """A project, its run store below it, and an empty working folder."""
    (tmp_path / "home" / "book" / "results").mkdir(parents=True)
    (tmp_path / "here").mkdir()
    monkeypatch.setenv("PATHOGAN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATHOGAN_RUNS", str(tmp_path / "home" / "runs"))
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "home"


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Run:
    return made(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def run(home, original) -> Run:
    folder = home / "runs" / original.folder.name
    return replace(original, folder=shutil.copytree(original.folder, folder))


@pytest.fixture
def draw(pathogan) -> Callable[..., tuple[int, str, str]]:
    """`pathogan generate`; returns status, stdout and the last line of stderr."""
    return lambda *arguments: pathogan("generate", *arguments)


def pixels(folder: Path) -> np.ndarray:
    """The images of a folder by name; every one must be 8-bit grey."""
    images = [Image.open(path) for path in sorted(folder.glob("*.png"))]
    assert {image.mode for image in images} == {"L"}
    return np.stack([np.asarray(image) for image in images])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_images_are_those_of_the_library(draw, run):
    status, out, _ = draw(run.record.run, "--out", "a", "-n", generate.BATCH, "--seed", 3)
    assert status == 0
    assert f"64 images by {run.record.run} (wgan-t1c-16, trained on simulated data" in out
    assert names(Path("a")) == [*(f"{i:06}.png" for i in range(64)), "generated.json"]
    assert np.array_equal(pixels(Path("a")), chapter3.generated(run, 64, seed=3))
    assert pixels(Path("a")).std() > 5


def test_image_i_does_not_depend_on_how_many_are_drawn(draw, run, monkeypatch):
    exactly = sampling.draw
    # Some devices round otherwise in batches of another size; here that is exaggerated.
    monkeypatch.setattr(
        sampling, "draw", lambda g, latents: exactly(g, latents) + len(latents) / 999
    )
    for count in (3, 150):
        assert draw(run.record.run, "--out", f"of-{count}", "-n", count)[0] == 0
    few, many = content(Path("of-3")), content(Path("of-150"))
    images = [name for name in few if name.endswith(".png")]
    assert len(images) == 3
    assert [few[name] for name in images] == [many[name] for name in images]
    assert len(np.unique(pixels(Path("of-150")), axis=0)) == 150
    draw(run.record.run, "--out", "other", "-n", 3, "--seed", 1)
    assert not (pixels(Path("other")) == pixels(Path("of-3"))).all(axis=(1, 2)).any()


def test_where_the_images_come_from_is_written_beside_them(draw, home):
    inputs = {
        "a": {"cohort": "x", "source": "simulated", "fingerprint": "aa"},
        "b": {"cohort": "y", "source": "real", "fingerprint": "bb"},
    }
    run = made(home / "runs", replace(SPEC, inputs=inputs))
    assert draw(run.record.run, "--out", "a", "-n", 2, "--seed", 7)[0] == 0
    told = json.loads(Path("a/generated.json").read_text())
    assert (told["seed"], told["count"], told["source"]) == (7, 2, "real+simulated")
    record = json.loads((run.folder / RECORD).read_text())
    assert told["run"] == {key: record[key] for key in told["run"]}
    assert {"run", "setup", "config", "seed", "inputs", "scale", "code_version"} <= set(told["run"])
    assert told["code_version"].startswith("0.")
    shipped = run.folder / GENERATOR
    before = told["weights_sha256"]
    save_tensors(shipped, weights_of(MODEL, 99), {"config": asdict(MODEL)})
    draw(run.record.run, "--out", "b", "-n", 2, "--seed", 7)
    assert json.loads(Path("b/generated.json").read_text())["weights_sha256"] != before


def test_a_run_is_found_by_name_beginning_folder_and_set_up(draw, run, home):
    committed = home / "book" / "results" / "ch3" / "wgan-t1c-16"
    committed.parent.mkdir()
    shutil.copytree(run.folder, committed)
    made(home / "runs", replace(SPEC, method="dcgan", setup="dcgan-t1c-16"))
    ways = [run.record.run, run.record.run[:9], "ch3/wgan-t1c-16", "ch3/wg", run.folder, committed]
    for number, way in enumerate(ways):
        assert draw(way, "--out", f"{number}", "-n", 2)[0] == 0
    folders = [content(Path(str(number))) for number in range(len(ways))]
    assert all(folder == folders[0] for folder in folders)


def test_a_sheet_shows_the_first_images_in_a_square(draw, run, monkeypatch):
    monkeypatch.setattr(generate, "SHEET_IMAGES", 7)
    assert draw(run.record.run, "--out", "a", "-n", 10, "--sheet", "s/sheet.png")[0] == 0
    images, sheet = pixels(Path("a")), np.asarray(Image.open("s/sheet.png"))
    assert len(images) == 10
    assert sheet.shape == (48, 48)
    for number in range(9):
        row, column = divmod(number, 3)
        tile = sheet[16 * row : 16 * row + 16, 16 * column : 16 * column + 16]
        assert np.array_equal(tile, images[number] if number < 7 else np.zeros((16, 16)))


def test_a_sheet_may_lie_with_the_images_and_the_folder_may_exist_empty(draw, run):
    Path("a").mkdir()
    assert draw(run.record.run, "--out", "a", "-n", 1, "--sheet", "a/sheet.png")[0] == 0
    assert names(Path("a")) == ["000000.png", "generated.json", "sheet.png"]
    assert names(Path()) == ["a"]
    assert np.array_equal(*pixels(Path("a")))  # a sheet of one image is that image


class Trap:
    """Writes a file into the working folder when unpickled."""

    def __reduce__(self):
        return Path.touch, (Path("trapped"),)


def truncated(run: Run) -> None:
    path = run.folder / GENERATOR
    path.write_bytes(path.read_bytes()[:-100])


def spoilt(run: Run) -> None:
    tensors, header = load_tensors(run.folder / GENERATOR)
    tensors["layers.0.weight"][0, 0] = torch.nan
    save_tensors(run.folder / GENERATOR, tensors, header)


def of_model(**changes: object) -> Callable[[Run], None]:
    model = replace(MODEL, **changes)
    return lambda run: save_tensors(
        run.folder / GENERATOR, weights_of(model, 0), {"config": asdict(model)}
    )


def with_header(header: dict[str, object]) -> Callable[[Run], None]:
    return lambda run: save_tensors(run.folder / GENERATOR, weights_of(MODEL, 0), header)


def edited(**changes: object) -> Callable[[Run], None]:
    def edit(run: Run) -> None:
        path = run.folder / RECORD
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return edit


NO_WEIGHTS = "generator.safetensors: is not a readable safetensors file (damaged, or pickled"
MISFIT = "generator.safetensors: does not fit the record beside it"


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda run: (run.folder / GENERATOR).unlink(), "generator.safetensors: does not exist"),
        (truncated, NO_WEIGHTS),
        (lambda run: (run.folder / GENERATOR).write_bytes(b""), NO_WEIGHTS),
        (lambda run: torch.save(weights_of(MODEL, 0), run.folder / GENERATOR), NO_WEIGHTS),
        (lambda run: (run.folder / GENERATOR).write_bytes(pickle.dumps(Trap())), NO_WEIGHTS),
        (with_header([]), NO_WEIGHTS),  # type: ignore[arg-type]
        (with_header({}), MISFIT),
        (with_header({"config": {**asdict(MODEL), "unheard_of": 1}}), MISFIT),
        (of_model(width=4), MISFIT),
        (of_model(learning_rate=1.0), MISFIT),  # same shapes: only the settings tell
        (spoilt, "generator.safetensors: has weights that are not finite numbers"),
        (edited(run="wgan-000000000000", setup="x"), "record.json: is the record of another run"),
        (edited(schema=9), "record.json: has schema 9, not 1"),
        (edited(method="map"), "is a run of map, which draws nothing from noise"),
        (lambda run: (run.folder / RECORD).write_text("{"), "record.json: is not valid JSON"),
        (lambda run: (run.folder / RECORD).unlink(), "is not finished; train it to its end"),
    ],
)
def test_a_damaged_run_is_one_line_and_leaves_nothing(draw, run, harm, words):
    harm(run)
    status, out, told = draw(run.folder.name, "--out", "a")
    assert (status, out) == (1, "")
    assert told.startswith("pathogan: ")
    assert words in told
    assert "; " in told  # a remedy
    assert names(Path()) == []


def test_weights_of_other_shapes_are_refused_whatever_their_header_says(draw, run):
    other = weights_of(replace(MODEL, width=4), 0)
    save_tensors(run.folder / GENERATOR, other, {"config": asdict(MODEL)})
    assert MISFIT in draw(run.folder.name, "--out", "a")[2]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{run}x", "--out", "a"], "{run}x: is no finished run; there is {run}"),
        (["zzz", "--out", "a"], "zzz: is no finished run; there is dcgan-"),
        (["", "--out", "a"], "fits several runs; choose one of dcgan-"),
        (["{run}", "--out", "a", "-n", 0], "-n: is 0; draw at least 1 image"),
        (["{run}", "--out", "a", "--sheet", "a.jpg"], "--sheet: is a.jpg; name a .png file"),
        (["{run}", "--out", "full"], "full: holds files; name a new or an empty folder"),
        (["{run}", "--out", "full/file"], "full/file: is not a folder"),
        (["{run}", "--out", "full/file/a"], "cannot be written (Not a directory)"),
        (["{run}", "--out", "."], "here: is the working folder; name another one"),
        (["{run}", "--out", "a", "--sheet", "d.png"], "d.png: cannot be written (Is a directory)"),
    ],
)
def test_mistakes_are_one_line_and_leave_everything_as_it_was(draw, run, home, arguments, words):
    made(home / "runs", replace(SPEC, method="dcgan", setup="dcgan-t1c-16"))
    Path("full").mkdir()
    Path("full/file").write_text("mine")
    Path("d.png").mkdir()
    before = sorted(Path().rglob("*"))
    name = run.record.run
    status, out, told = draw(*(str(each).format(run=name) for each in arguments))
    assert (status, out) == (1, "")
    assert words.format(run=name) in told
    assert sorted(Path().rglob("*")) == before
    assert Path("full/file").read_text() == "mine"


def test_without_any_run_it_says_so(draw, home):
    assert "there is none yet" in draw("wgan", "--out", "a")[2]
    unfinished = home / "runs" / "wgan-0123456789ab"
    unfinished.mkdir(parents=True)
    (unfinished / CONFIG).write_text("{}")
    for way in ("wgan-01", unfinished):
        assert "is not finished" in draw(way, "--out", "a")[2]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
@pytest.mark.parametrize("nth", [1, 4, 5, 6])  # an image; the last one; provenance; the sheet
def test_a_disk_that_fails_at_any_moment(draw, run, monkeypatch, code, nth):
    real, calls = os.fsync, 0

    def fsync(handle: int) -> None:
        nonlocal calls
        calls += 1
        if calls == nth:
            raise OSError(code, os.strerror(code))
        real(handle)

    command = [run.record.run, "--out", "a", "-n", 4, "--sheet", "sheet.png"]
    monkeypatch.setattr(os, "fsync", fsync)
    status, _, told = draw(*command)
    assert status == 1
    assert f"cannot be written ({os.strerror(code)}); free space or choose" in told
    assert names(Path()) == []
    assert draw(*command)[0] == 0
    assert names(Path()) == ["a", "sheet.png"]


def test_an_unwritable_place_is_one_line(draw, run, monkeypatch):
    def mkdir(path: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(Path, "mkdir", mkdir)
    status, _, told = draw(run.record.run, "--out", "a")
    assert status == 1
    assert "cannot be written (Read-only file system)" in told


KILLED = """
import os, signal, sys
from pathogan_core import cli

real, calls = os.fsync, 0

def fsync(handle):
    global calls
    calls += 1
    if calls == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    real(handle)

os.fsync = fsync
sys.argv = ["pathogan", "generate", sys.argv[1], "--out", "a", "-n", "9"]
cli.main()
"""


def test_a_killed_call_leaves_no_folder_and_the_next_one_clears_up(draw, run):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, run.record.run],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == -9, done.stderr
    assert not Path("a").exists()
    assert "000000.png" in names(Path(".a.partial"))
    assert draw(run.record.run, "--out", "a", "-n", 2)[0] == 0
    assert names(Path("a")) == ["000000.png", "000001.png", "generated.json"]
    assert names(Path()) == ["a"]


def test_an_interrupted_call_leaves_nothing(home):
    def stopped(out: Path) -> None:
        with generate.whole_folder(out) as folder:
            (folder / "000000.png").write_text("begun")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped(Path("a").resolve())
    assert names(Path()) == []


def test_a_quicker_process_is_not_overwritten(home):
    def slow(out: Path) -> None:
        with generate.whole_folder(out) as folder:
            (folder / "000000.png").write_text("late")
            out.mkdir()
            (out / "000000.png").write_text("early")

    with pytest.raises(PathoganError, match="cannot be written"):
        slow(Path("a").resolve())
    assert Path("a/000000.png").read_text() == "early"
    assert names(Path()) == ["a"]


def test_the_command_line_starts_without_torch():
    code = (
        "import sys, pathogan_core.cli; print({'torch', 'numpy', 'PIL', 'plotly'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    assert (done.stdout, done.stderr) == ("set()\n", "")
