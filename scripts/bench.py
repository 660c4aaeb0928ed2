"""How long an audit of a real image takes, as a ratio to decompressing its layers and to `docker save` alone."""

from __future__ import annotations

import secrets
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from isal import igzip

from container_image import audit

IMAGE = "container-image-base:bookworm"
RUNS = 3


def timed(work: Callable[[], object]) -> float:
    """The median of a few runs, in seconds."""
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        archive = Path(directory) / "image.tar"
        subprocess.run(["docker", "save", "-o", archive, IMAGE], check=True)
        subprocess.run(["tar", "-xf", archive, "-C", directory], check=True)
        blobs = [path for path in Path(directory).glob("blobs/sha256/*") if path.read_bytes()[:2] == b"\x1f\x8b"]

        def decompress() -> int:
            return sum(len(igzip.decompress(path.read_bytes())) for path in blobs)

        size = decompress()
        base = timed(decompress)
        print(f"{IMAGE}: {size / 1e6:.0f} MB of layers; decompressing them takes 1.0")
        for count in (1, 10, 100):
            values = {f"TOKEN_{number}": secrets.token_hex(20) for number in range(count)}

            def search(values: dict[str, str] = values) -> None:
                audit(f"oci-archive:{archive}", values)

            print(f"audit for {count:3} secrets: {timed(search) / base:.1f}")


if __name__ == "__main__":
    main()
