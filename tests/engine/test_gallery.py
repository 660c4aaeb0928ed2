"""The leak gallery: each case of `dockerfiles/` is built and audited for real, and says what it is expected to say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.gallery import CASES, GALLERY, check, opened


@pytest.mark.usefixtures("busybox_image", "base_image", "tools_image")
@pytest.mark.parametrize("name", CASES)
def test_case(name: str, tmp_path: Path) -> None:
    with opened(name, tmp_path / "context") as case:
        _, problems = check(case)
    assert problems == []


def test_the_index_lists_every_case() -> None:
    index = (GALLERY / "README.md").read_text()
    for case in CASES:
        about = (GALLERY / case / "README.md").read_text().strip()
        verdict = json.loads((GALLERY / case / "expect.json").read_text())["verdict"]
        assert f"| [{case}]({case}) | {about} | {verdict} |" in index
