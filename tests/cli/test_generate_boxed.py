"""`pathogan generate` of a CPGGAN: images with the boxes they were asked for."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pathogan_core.experiments.chapter5 import placing, reporting
from pathogan_core.experiments.store import GENERATOR, Outcome, Run, RunSpec, RunStore
from pathogan_core.gans import cpggan, sampling
from pathogan_core.gans.pggan import initialise
from pathogan_core.training.checkpoint import save_tensors

CONFIG = cpggan.CPGGANConfig(image_size=16, width=4, latent=5, ema_half_life_images=0.0)
STORED = [np.array([[2.0, 3, 6, 8]]), np.array([[4.0, 4, 9, 9], [10, 2, 13, 5]])]


@pytest.fixture
def run(tmp_path, monkeypatch) -> Run:
    """A finished CPGGAN of random weights, with boxes stored as in a committed one."""
    monkeypatch.setenv("PATHOGAN_RUNS", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)
    spec = RunSpec(
        "ch5", "cpggan-16", "cpggan", 1, asdict(CONFIG),
        {"images": {"cohort": "toy", "source": "simulated", "fingerprint": "aa"}}, "smoke", 0,
    )  # fmt: skip

    def train(folder: Path) -> Outcome:
        generator = CONFIG.generator()
        initialise(generator, 0)
        save_tensors(folder / GENERATOR, generator.state_dict(), {"config": asdict(CONFIG)})
        return Outcome(1, 1, 0.0)

    made = RunStore(tmp_path / "runs").train_or_load(spec, train)
    (made.folder / reporting.BOXES).write_bytes(reporting.packed_boxes(STORED))
    return made


def read(folder: Path) -> tuple[np.ndarray, dict[str, np.ndarray], dict]:
    """Images, boxes by image of the CSV, and the COCO file."""
    images = np.stack([np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))])
    boxes: dict[str, list] = {}
    with (folder / "boxes.csv").open() as handle:
        for row in csv.DictReader(handle):
            corners = [float(row[name]) for name in ("xmin", "ymin", "xmax", "ymax")]
            boxes.setdefault(row["image"], []).append(corners)
    coco = json.loads((folder / "boxes.coco.json").read_text())
    return images, {name: np.array(some) for name, some in boxes.items()}, coco


def test_images_come_with_the_boxes_that_they_were_asked_for(run, pathogan):
    assert pathogan("generate", run.record.run, "--out", "a", "-n", "5")[0] == 0
    images, boxes, coco = read(Path("a"))
    assert list(boxes) == [f"{n:06}.png" for n in range(5)]
    condition = placing.condition_of(CONFIG, list(boxes.values()))
    latents = sampling.latents(64, CONFIG.latent, 0)[:5]
    with torch.no_grad():
        drawn = cpggan.draw(placing.load_generator(run), latents, condition)
    expected = ((drawn[:, 0] + 1) * 127.5).round().clamp(0, 255).numpy()
    assert np.abs(images - expected).max() <= 1  # boxes are written with three decimals
    by_image = {image["id"]: image["file_name"] for image in coco["images"]}
    for name, some in boxes.items():
        own = [a["bbox"] for a in coco["annotations"] if by_image[a["image_id"]] == name]
        as_corners = [[x, y, x + width, y + height] for x, y, width, height in own]
        assert np.allclose(as_corners, some, atol=2e-3)


def test_an_image_and_its_boxes_do_not_depend_on_how_many_are_drawn(run, pathogan):
    for out, count in (("few", "2"), ("many", "7")):
        assert pathogan("generate", run.record.run, "--out", out, "-n", count)[0] == 0
    few, many = read(Path("few")), read(Path("many"))
    assert np.array_equal(few[0], many[0][:2])
    assert all(np.array_equal(some, many[1][name]) for name, some in few[1].items())


def test_given_boxes_are_asked_for_image_by_image_and_again_from_the_first(run, pathogan):
    Path("b.csv").write_text(
        "image,xmin,ymin,xmax,ymax\nx,1,1,4,4\ny,8,8,12,12\nx,10,1,12,3\n", encoding="utf-8"
    )
    arguments = ("generate", run.record.run, "--out", "a", "-n", "3", "--boxes", "b.csv")
    assert pathogan(*arguments)[0] == 0
    _, boxes, _ = read(Path("a"))
    assert boxes["000000.png"].tolist() == [[1, 1, 4, 4], [10, 1, 12, 3]]
    assert boxes["000001.png"].tolist() == [[8, 8, 12, 12]]
    assert np.array_equal(boxes["000002.png"], boxes["000000.png"])


def test_the_card_says_what_the_images_are(run, pathogan):
    assert pathogan("generate", run.record.run, "--out", "a", "-n", "1")[0] == 0
    card = Path("a/model_card.md").read_text()
    for words in ("simulated subjects (toy)", "not measured", "not for diagnosis", "MIT"):
        assert words in card


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("image,xmin,ymin,xmax,ymax\nx,4,1,1,4\n", "row 1 (line 2): box (4, 1, 1, 4) has swapped"),
        ("image,xmin,ymin,xmax,ymax\nx,1,1,1,4\n", "has no area"),
        ("image,xmin,ymin,xmax,ymax\nx,1,1,17,4\n", "leaves the image (width 16, height 16)"),
        ("image,xmin,ymin,xmax,ymax\nx,nan,1,2,4\n", "has a corner that is not finite"),
        ("image,xmin,ymin,xmax,ymax\nx,one,1,2,4\n", "has a corner that is no number"),
        ("image,xmin,ymin,xmax\nx,1,1,4\n", "column 'ymax' is missing"),
    ],
)
def test_bad_boxes_are_one_line_and_leave_nothing(run, pathogan, content, words):
    Path("b.csv").write_text(content, encoding="utf-8")
    arguments = ("generate", run.record.run, "--out", "a", "-n", "1", "--boxes", "b.csv")
    status, out, told = pathogan(*arguments)
    assert (status, out) == (1, "")
    assert words in told
    assert not Path("a").exists()


def test_a_run_without_stored_boxes_asks_for_some(run, pathogan):
    (run.folder / reporting.BOXES).unlink()
    status, _, told = pathogan("generate", run.record.run, "--out", "a", "-n", "1")
    assert status == 1
    assert "holds no boxes to ask for; give --boxes" in told
