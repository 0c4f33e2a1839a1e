"""The machine that figures were measured on; without it they say nothing."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from pathogan_core.experiments.records import environment

CPU_INFO = Path("/proc/cpuinfo")


def machine() -> dict[str, Any]:
    """What the figures depend on, besides the code, as it stands now."""
    known = environment()
    cuda = torch.cuda.is_available()
    return {
        "processor": _processor(),
        "logical_processors": os.cpu_count(),
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
        "load_average": round(os.getloadavg()[0], 2),
        "cuda_device": torch.cuda.get_device_name() if cuda else None,
        "system": f"{platform.system()} {platform.machine()}",
        "code_version": known["code_version"],
        "libraries": known["libraries"],
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def described(facts: dict[str, Any]) -> str:
    """The machine's facts in a line, to stand above a table."""
    parts = [
        f"{facts['processor']} ({facts['logical_processors']} logical processors, "
        f"{facts['instruction_set']})",
        facts["cuda_device"] or "no CUDA device",
        f"torch {facts['libraries']['torch']}",
        f"pathogan_core {facts['code_version']}",
        f"load {facts['load_average']} when begun",
        facts["started"][:10],
    ]
    return "; ".join(parts)


def _processor() -> str:
    """The processor's trade name where the operating system tells it."""
    if CPU_INFO.exists() and (found := re.search(r"model name\s*:\s*(.+)", CPU_INFO.read_text())):
        return found[1].strip()
    if platform.system() == "Darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()
    return platform.processor() or platform.machine()
