"""container-image and fal, installed from wheels into one fresh environment: both import, and mean the same."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
UV = str(Path(sys.executable).with_name("uv"))

# fal reads an ignore file and sources as this prints them; the same program runs against each of the two.
PROGRAM = """
import json, sys
from {module} import ContainerImage

image = ContainerImage.from_dockerfile_str(
    "FROM python:3.12-slim\\nCOPY --chown=1:1 app/*.py requirements.txt /srv/\\nADD https://example.com/x /x\\n",
    build_args={{"VERSION": "1.2"}},
    registries={{"registry.example": {{"username": "ci", "password": "pw"}}}},
    builder="depot",
    compression="zstd",
    force_compression=True,
    secrets={{"token": "a literal value"}},
    dockerignore=[".env", "*.md", "!README.md", "build/", "/dist", "a/**/b", "[a-c]?.log"],
    context_dir=sys.argv[1],
)
print(json.dumps(image.to_dict(), default=str))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with both, each from a wheel."""
    directory = tmp_path_factory.mktemp("beside-fal")
    run(UV, "build", "--quiet", "--wheel", "--out-dir", str(directory), str(ROOT))
    (wheel,) = directory.glob("*.whl")
    run(UV, "venv", "--quiet", "--python", sys.executable, str(directory / "venv"))
    python = directory / "venv" / "bin" / "python"
    run(UV, "pip", "install", "--quiet", "--python", str(python), "--only-binary=:all:", str(wheel), "fal")
    return python


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_both_import_in_either_order(python: Path) -> None:
    for first, second in (("fal", "container_image"), ("container_image", "fal")):
        assert run(str(python), "-c", f"import {first}, {second}; print('both')") == "both\n"
    assert run(str(python.with_name("container-image")), "--version").startswith("container-image")


def test_a_declaration_means_to_fal_what_it_means_here(python: Path, tmp_path: Path) -> None:
    ours, theirs = (
        json.loads(run(str(python), "-c", PROGRAM.format(module=module), str(tmp_path)))
        for module in ("container_image", "fal")
    )
    assert ours == theirs
