"""Where a literal Dockerfile stands in its Python file, found by threads at once too."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from container_image.declared import literal_offset


@pytest.fixture
def switching() -> Iterator[None]:
    """Threads switch inside a parse, as they do wherever a collected object's finalizer waits for something."""

    def wait(phase: str, info: dict[str, int]) -> None:
        time.sleep(0)

    before = gc.get_threshold()
    gc.callbacks.append(wait)
    gc.set_threshold(5)
    yield
    gc.set_threshold(*before)
    gc.callbacks.remove(wait)


@pytest.mark.usefixtures("switching")
def test_threads_that_declare_at_once_each_find_the_line(tmp_path: Path) -> None:
    source = tmp_path / "app.py"
    functions = "".join(f"def f{n}(x):\n    return [x, {{'a': (1, 2, (3, [4]))}}]\n" for n in range(300))
    source.write_text(functions + 'dockerfile = """\nFROM base\n"""\n')
    found: list[int | None] = []

    def declare(depth: int) -> None:
        if depth:
            declare(depth - 1)
            return
        for _ in range(5):
            found.append(literal_offset(str(source), "\nFROM base\n"))

    threads = [threading.Thread(target=declare, args=(depth,)) for depth in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [600] * 40
