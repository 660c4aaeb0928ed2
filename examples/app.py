"""An app that declares its image: a package from a private index, whose token the build needs and nobody else.

    container-image build examples/app.py::greeting -t greeting:dev

`leaking` is the same image with a mistake in it.
"""

import os
from pathlib import Path

from container_image import ContainerImage, Secret

dockerfiles = Path(__file__).parent.parent / "dockerfiles"
build_args = {"INDEX_HOST": os.environ.get("INDEX_HOST", "index.example.com")}
if "BASE_IMAGE" in os.environ:
    build_args["BASE_IMAGE"] = os.environ["BASE_IMAGE"]

greeting = ContainerImage.from_dockerfile(
    dockerfiles / "private-index.Dockerfile",
    build_args=build_args,
    secrets={"PIP_TOKEN": Secret.from_env("PIP_TOKEN")},
)

leaking = ContainerImage.from_dockerfile(
    dockerfiles / "private-index-leaking.Dockerfile",
    build_args=build_args,
    secrets={"PIP_TOKEN": Secret.from_env("PIP_TOKEN")},
)
