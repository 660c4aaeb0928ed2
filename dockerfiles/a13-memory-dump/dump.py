"""Reads the secret, then writes the process's own memory to a file, as a core dump of it would be."""

from pathlib import Path

token = Path("/run/secrets/TOKEN").read_text()
with Path("/proc/self/mem").open("rb", buffering=0) as memory, Path("/core").open("wb") as core:
    for line in Path("/proc/self/maps").read_text().splitlines():
        addresses, mode, _, _, file = line.split()[:5]
        start, stop = (int(number, 16) for number in addresses.split("-"))
        if mode.startswith("rw") and file == "0":
            memory.seek(start)
            core.write(memory.read(stop - start))
