"""What pages call the set-ups that records and tables name by ids."""

from __future__ import annotations

import re

MODELS = {"dcgan": "DCGAN", "wgan": "WGAN", "pggan": "PGGAN", "munit": "MUNIT", "simgan": "SimGAN"}
SEQUENCES = {"t1": "T1", "t1c": "T1c", "t2": "T2", "flair": "FLAIR", "concat": "Concat"}
CLASSES = {"tumour": "tumour", "non_tumour": "non-tumour"}
# Table 2, as the library calls them.
ARMS = {
    "real": "real only",
    "classic-200k": "200k classic",
    "classic-400k": "400k classic",
    "pggan": "PGGAN",
    "pggan-undiscarded": "PGGAN, none discarded",
    "classic-pggan": "classic + PGGAN",
    "munit": "MUNIT",
    "classic-munit": "classic + MUNIT",
    "simgan": "SimGAN",
    "classic-simgan": "classic + SimGAN",
}
GANS = {
    "cpggan": "CPGGAN",
    "cpggan-normal": "CPGGAN + normal",
    "image-to-image": "image-to-image",
}
# Table 4, as the library calls them.
DETECTION_ARMS = {"real": "real only"} | {
    f"{gan}-{thousands}k": f"{thousands}k {shown}"
    for gan, shown in GANS.items()
    for thousands in (4, 8, 12)
}
# With no place to break: the columns are narrow.
TRAININGS = {"pretrained": "pre\u2011trained", "scratch": "from\u00a0scratch"}

_WORDS = {
    "model": MODELS,
    "sequence": SEQUENCES,
    "class": CLASSES,
    "arm": ARMS,
    "training": TRAININGS,
    "gan": GANS,
    "detected": DETECTION_ARMS,
    "added": {"classic": "classic augmentation", **MODELS},
}
# Ids of set-ups, and what pages call them; {size} is any number.
_FORMS = {
    "{model}-{sequence}-{size}": "{model} {sequence} {size}",
    "{model}-{class}-{size}": "{model} {class} {size}",
    "discarding-{class}": "Discarding, {class}",
    "pool-{model}-{class}": "Pool of {model}, {class}",
    "pool-undiscarded-{class}": "Pool with none discarded, {class}",
    "stage-{model}-{class}": "Images of {model}, {class}",
    "map-{added}": "Map of {added}",
    "turing-{model}": "Turing test of {model}",
    "arm-{arm}-{training}": "Arm {arm}, {training}",
    "{gan}-{size}": "{gan} {size}",
    "pool-{gan}": "Pool of {gan}",
    "arm-{detected}": "Detector, {detected}",
}


def _pattern(form: str) -> re.Pattern[str]:
    def group(place: re.Match[str]) -> str:
        words = _WORDS.get(place[1])
        return f"(?P<{place[1]}>{'|'.join(map(re.escape, words)) if words else '[0-9]+'})"

    return re.compile(re.sub(r"{(\w+)}", group, form))


# What a variant's name adds: after the set-up's, `arm-real-scratch@patients16`.
_VARIANTS = {
    r"patients([0-9]+)": "{} patients",
    r"added([0-9]+)": "{} added",
    r"rough([0-9]+)": "roughness {}",
    r"framed": "not cropped first",
    r"epochs": "equally many epochs",
    r"thesis_loss": "the thesis' loss alone",
}

_PATTERNS = {_pattern(form): shown for form, shown in _FORMS.items()}


def split_seed(setup: str) -> tuple[str, int | None]:
    """`arm-real-scratch-seed2` -> ("arm-real-scratch", 2); None where the name has no seed."""
    found = re.fullmatch(r"(.+)-seed([0-9]+)", setup)
    return (found[1], int(found[2])) if found else (setup, None)


def setup_label(setup: str) -> str:
    """`wgan-t1c-128` -> "WGAN T1c 128"; a set-up of no known form is returned as it is."""
    setup, _, variant = setup.partition("@")
    return _label(setup) + (f", {_variant_label(variant)}" if variant else "")


def _variant_label(variant: str) -> str:
    for pattern, shown in _VARIANTS.items():
        if found := re.fullmatch(pattern, variant):
            return shown.format(*found.groups())
    return variant


def _label(setup: str) -> str:
    for pattern, shown in _PATTERNS.items():
        if found := pattern.fullmatch(setup):
            ids = found.groupdict()
            words = {kind: _WORDS.get(kind, {}).get(i, i) for kind, i in ids.items()}
            label = shown.format(**words)
            return label[0].upper() + label[1:]
    return setup
