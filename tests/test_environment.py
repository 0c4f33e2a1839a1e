"""pyproject.toml, requirements.lock and environment.yml describe one environment."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
HOST = re.compile(r"https?://|file:|@ ", re.IGNORECASE)


def locked() -> dict[str, Version]:
    """Canonical name -> version, of every line of the lock."""
    found: dict[str, Version] = {}
    for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        requirement = Requirement(line)
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", line
        name = canonicalize_name(requirement.name)
        assert name not in found, f"{name} is locked twice"
        found[name] = Version(specifier.version)
    return found


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def environment() -> dict:
    return yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))


def test_every_dependency_is_locked_at_a_version_that_is_allowed() -> None:
    wanted = list(project()["dependencies"])
    for extra in project()["optional-dependencies"].values():
        wanted += extra
    versions = locked()
    wrong = []
    for text in wanted:
        requirement = Requirement(text)
        version = versions.get(canonicalize_name(requirement.name))
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{text} is locked at {version}")
    assert wrong == []


def test_the_lock_names_no_place_to_get_packages_from() -> None:
    for name in ("requirements.lock", "environment.yml"):
        assert HOST.search((ROOT / name).read_text(encoding="utf-8")) is None


def test_the_lock_of_the_site_s_scripts_has_checksums_and_names_no_host() -> None:
    lock = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert packages
    for name, entry in packages.items():
        assert entry["integrity"].startswith("sha512-"), name
        assert "resolved" not in entry, name
    wanted = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))["dependencies"]
    for name, version in wanted.items():
        assert packages[f"node_modules/{name}"]["version"] == version


def test_conda_installs_the_same_lock_under_an_allowed_python() -> None:
    dependencies = environment()["dependencies"]
    (pip,) = [entry["pip"] for entry in dependencies if isinstance(entry, dict)]
    assert "--requirement requirements.lock" in pip
    (python,) = [d for d in dependencies if isinstance(d, str) and d.startswith("python")]
    conda = SpecifierSet(python.removeprefix("python"))
    allowed = SpecifierSet(project()["requires-python"])
    for minor in (11, 12, 13):
        assert conda.contains(f"3.{minor}")
        assert allowed.contains(f"3.{minor}")
    assert not conda.contains("3.10")
    assert not allowed.contains("3.10")
