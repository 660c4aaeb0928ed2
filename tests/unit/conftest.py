"""Fixtures that tests without an engine share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.images import Builder


@pytest.fixture
def layout(tmp_path: Path) -> Callable[[str], str]:
    """An image with a text in it."""

    def make(text: str) -> str:
        builder = Builder()
        return builder.layout(
            builder.manifest([{"file": text.encode()}]), tmp_path / str(len(list(tmp_path.iterdir())))
        )

    return make
