"""Resolves the dependencies from wheels alone, for every platform and Python that we support, without fal and beside it."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PLATFORMS = {
    "Linux x86-64": "x86_64-manylinux_2_28",
    "Linux aarch64": "aarch64-manylinux_2_28",
    "macOS arm64": "aarch64-apple-darwin",
}
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
# People use us in apps that are fal's too. The older release is about a year old.
BESIDE = {"alone": "", "beside fal": "fal", "beside fal 1.60": "fal==1.60.0"}


def resolve(platform: str, python: str, beside: str) -> str | None:
    """Why there is no set of wheels for a platform and Python, or None where there is one."""
    command = [
        "uv", "pip", "compile", "--quiet", "--only-binary=:all:", f"--python-platform={platform}",
        f"--python-version={python}", "--all-extras", "pyproject.toml", "-",
    ]  # fmt: skip
    uv = str(Path(sys.executable).with_name(command[0]))
    done = subprocess.run([uv, *command[1:]], cwd=ROOT, input=beside, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else done.stderr.strip()


def main() -> int:
    failures = 0
    for (name, platform), python in itertools.product(PLATFORMS.items(), PYTHONS):
        for what, beside in BESIDE.items():
            problem = resolve(platform, python, beside)
            failures += problem is not None
            print(f"{name:14} Python {python:5} {what:16} {problem or 'ok'}", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
