"""Resolves the runtime dependencies, and those of the extras, for every platform and Python that we support, from wheels alone."""

from __future__ import annotations

import itertools
import subprocess
import sys
import tempfile
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PLATFORMS = {
    "Linux x86-64": ["manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux_2_28_x86_64"],
    "Linux aarch64": ["manylinux_2_17_aarch64", "manylinux2014_aarch64", "manylinux_2_28_aarch64"],
    "macOS arm64": ["macosx_11_0_arm64", "macosx_12_0_arm64", "macosx_14_0_arm64"],
}
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")


def main() -> int:
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
    requirements = [*project["dependencies"], *itertools.chain(*project["optional-dependencies"].values())]
    failures = 0
    for name, tags in PLATFORMS.items():
        for python in PYTHONS:
            with tempfile.TemporaryDirectory() as directory:
                command = [
                    sys.executable,
                    "-m",
                    "pip",
                    "download",
                    "--quiet",
                    "--only-binary=:all:",
                    "--dest",
                    directory,
                ]
                command += [f"--python-version={python}", *(f"--platform={tag}" for tag in tags), *requirements]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
            failures += done.returncode != 0
            print(
                f"{name:14} Python {python:5} {'ok' if done.returncode == 0 else done.stderr.strip().splitlines()[-1]}"
            )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
