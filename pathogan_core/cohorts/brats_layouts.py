"""How the public BraTS releases, and the plain layouts beside them, name files and number tissues.

A label number means different tissues in different releases (4 is enhancing tumour until 2021, 3 is
from 2023, and in 2016 3 is non-enhancing tumour), so that a number never leaves the reader.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pathogan_core.cohorts.cases import SEQUENCES, TISSUES

SEGMENTATION = "segmentation"
MULTICHANNEL = "image"  # the role of the Medical Decathlon's 4D file
LESION_MASK = "lesion mask"  # a segmentation that does not tell tissues apart
LABELLED, BINARY = "labelled", "binary"
NORMAL = "normal"
"""The grade of subjects without a lesion, who need no segmentation."""


@dataclass(frozen=True)
class Layout:
    """One family of releases.

    Attributes:
        name: what `--layout` and records call it.
        releases: the releases that are distributed in this form.
        labels: number in the segmentation file to tissue; 0 is everything else.
        note: what the release merges or adds.
    """

    name: str
    releases: str
    labels: Mapping[int, str]
    note: str

    def tissues(self, segmentation: np.ndarray) -> dict[str, np.ndarray]:
        """Bool masks for each of `TISSUES`, from a label array of any shape."""
        masks = {name: np.zeros(segmentation.shape, bool) for name in TISSUES}
        for number, tissue in self.labels.items():
            masks[tissue] |= segmentation == number
        return masks

    def unknown_labels(self, segmentation: np.ndarray) -> list[float]:
        """Values that this release does not have."""
        found = np.unique(segmentation)
        return [float(value) for value in found if value not in {0, *self.labels}]


LAYOUTS = {
    layout.name: layout
    for layout in (
        Layout(
            "2016",
            "BRATS 2013 to 2016 (VSD folders, .mha)",
            {1: "necrosis", 2: "oedema", 3: "non_enhancing", 4: "enhancing"},
            "all four tissues are labelled apart",
        ),
        Layout(
            "2020",
            "BraTS 2017 to 2021 (*_t1ce.nii.gz)",
            {1: "necrosis", 2: "oedema", 4: "enhancing"},
            "label 1 is necrosis and non-enhancing tumour together; read as necrosis",
        ),
        Layout(
            "2023",
            "BraTS 2023 and later (*-t1c.nii.gz)",
            {1: "necrosis", 2: "oedema", 3: "enhancing"},
            "label 1 is necrosis and non-enhancing tumour together, read as necrosis; label 4, the "
            "resection cavity of post-treatment releases, is no tissue of this project",
        ),
        Layout(
            "decathlon",
            "Medical Segmentation Decathlon, Task01_BrainTumour (4D .nii.gz)",
            {1: "oedema", 2: "non_enhancing", 3: "enhancing"},
            "label 2 is called non-enhancing tumour and holds the necrosis too; grades are unknown",
        ),
        Layout(
            LABELLED,
            "T1c and its labels (*-t1c.nii.gz, *-seg.nii.gz)",
            {1: "necrosis", 2: "oedema", 3: "enhancing", 5: "non_enhancing"},
            "labels as in 2023, and one more; 4 stays free, for there it is the resection cavity",
        ),
        Layout(
            BINARY,
            "T1c and a mask of its lesions (*-t1c.nii.gz, *-lesion.nii.gz)",
            {1: "enhancing"},
            "the mask does not tell tissues apart: all of a lesion is read as enhancing",
        ),
    )
}


@dataclass(frozen=True)
class Contents:
    """What a cohort's folder may hold.

    Attributes:
        layouts: names of `LAYOUTS`.
        sequences: those that are read; others may lie beside them.
        grades: what cases are told apart by, which is the name of a folder above them.
    """

    layouts: tuple[str, ...]
    sequences: tuple[str, ...]
    grades: tuple[str, ...]

    @property
    def plain(self) -> bool:
        """Whether scans may come in the layouts that are no release's: see `layout_of`."""
        return LABELLED in self.layouts or BINARY in self.layouts


GLIOMAS = Contents(("2016", "2020", "2023", "decathlon"), SEQUENCES, ("HGG", "LGG"))

_VSD_SEQUENCE = re.compile(r"\.MR_(T1c|T1|T2|Flair)(?![A-Za-z0-9])", re.IGNORECASE)
_VSD_SEGMENTATION = re.compile(r"^VSD\.Brain.*\.OT(?![A-Za-z0-9])|^VSD\.Brain_\w*more\b", re.I)
_UNDERSCORED = re.compile(r"_(t1|t1ce|t2|flair|seg|segm)\.nii(\.gz)?$", re.IGNORECASE)
_HYPHENED = re.compile(r"-(t1n|t1c|t2w|t2f|seg)\.nii(\.gz)?$", re.IGNORECASE)
_PLAIN = re.compile(r"-(t1n|t1c|t2w|t2f|seg|lesion)\.nii(\.gz)?$", re.IGNORECASE)
_ROLES = {
    "t1ce": "t1c",
    "t1n": "t1",
    "t2w": "t2",
    "t2f": "flair",
    "seg": SEGMENTATION,
    "lesion": LESION_MASK,
    "segm": SEGMENTATION,  # BraTS20_Training_355 was published as W39_1998.09.19_Segm.nii
}


@dataclass(frozen=True)
class ScanFile:
    """What a file name says: whose it is and what it holds."""

    layout: str
    role: str
    case_folder: Path
    scan: str


def classify(path: Path, contents: Contents = GLIOMAS) -> ScanFile | None:
    """Recognise a file of any layout by its name and its folders; None if it is none of them.

    In a cohort with plain layouts a scan is called as its files begin, since a patient's folder may
    hold several, and is said to have layout 2023 until all its files are known: see `layout_of`.
    """
    folder = path.parent
    if path.suffix.lower() == ".mha":
        if role := _vsd_role(path.name) or _vsd_role(folder.name):
            case = folder.parent if folder.name.upper().startswith("VSD.") else folder
            return ScanFile("2016", role, case, case.name)
        return None
    if contents.plain and (match := _PLAIN.search(path.name)):
        return ScanFile("2023", _role(match), folder, path.name[: match.start()])
    if match := _HYPHENED.search(path.name):
        return ScanFile("2023", _role(match), folder, folder.name)
    if match := _UNDERSCORED.search(path.name):
        return ScanFile("2020", _role(match), folder, folder.name)
    if folder.name in ("imagesTr", "labelsTr") and path.name.endswith((".nii.gz", ".nii")):
        role = MULTICHANNEL if folder.name == "imagesTr" else SEGMENTATION
        return ScanFile("decathlon", role, folder.parent, path.name.split(".nii")[0])
    return None


def layout_of(roles: Collection[str], named: str, contents: Contents) -> str:
    """The layout of a scan that has files of these roles, and whose names are those of `named`."""
    if named != "2023" or not contents.plain:
        return named
    if LESION_MASK in roles:
        return BINARY
    return "2023" if set(roles) & set(SEQUENCES) - {"t1c"} else LABELLED


def _role(match: re.Match[str]) -> str:
    name = match.group(1).lower()
    return _ROLES.get(name, name)


def _vsd_role(name: str) -> str | None:
    if match := _VSD_SEQUENCE.search(name):
        return match.group(1).lower()
    return SEGMENTATION if _VSD_SEGMENTATION.search(name) else None


_GRADES = {
    "HGG": "HGG", "HG": "HGG", "LGG": "LGG", "LG": "LGG",
    "METASTASES": "metastases", "NORMAL": NORMAL,
}  # fmt: skip
_METASTASES = re.compile(r"^BraTS-MET-\d+")
# Follow-up examinations of one person: BRATS 2016 has six scans of brats_tcia_pat153, told apart by
# the day, 2017-2019 append a running number, 2023 a time point.
_FOLLOW_UP = re.compile(
    r"^(?P<person>brats_[a-z0-9]+_pat\d+|Brats1[789]_\w+?|BraTS-[A-Za-z]+-\d+)[_-]\d+$"
)
# Names that HGG and LGG use both, for different people.
_AMBIGUOUS = re.compile(r"^(brats_2013_pat\d+_\d+|\d+)$")


def grade_of_folder(path: Path, root: Path, grades: Collection[str]) -> str | None:
    """The grade, of `grades`, that one of the folders between `root` and the case states."""
    for part in (*path.relative_to(root).parts, root.name):
        if (grade := _GRADES.get(part.upper())) in grades:
            return grade
    return None


def grade_of_name(name: str, grades: Collection[str]) -> str | None:
    """The grade, of `grades`, that a release states in the names of its scans."""
    return "metastases" if "metastases" in grades and _METASTASES.match(name) else None


def name_scan(name: str, grade: str) -> tuple[str, str]:
    """(scan, patient): names that are unique in the cohort, and the same for one person's scans."""
    match = _FOLLOW_UP.match(name)
    person = match["person"] if match else name
    if _AMBIGUOUS.match(name):
        return f"{grade}_{name}", f"{grade}_{person}"
    return name, person


def name_in_folder(name: str, folder: str, grade: str) -> tuple[str, str]:
    """(scan, patient) where a patient's folder may hold several scans: else as `name_scan`."""
    scan, patient = name_scan(name, grade)
    return (scan, patient) if patient != scan else (scan, name_scan(folder, grade)[0])
