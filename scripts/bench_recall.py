"""The leak gallery under three scanners: ours, kingfisher and gitleaks. Each is told the values that were planted.

kingfisher and gitleaks match patterns, so each gets a rule for every line of every value, and nothing else to look for.
Both read the image as it is saved, with its layers unpacked beside it; kingfisher also reads the archive itself. Limits
on sizes and depths are off. Called found is whatever they report.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from container_image import Secret, audit
from tests.gallery import CASES, GALLERY, Case, opened, reference, with_docker

ROOT = Path(__file__).parent.parent
PEERS = ROOT / ".peers"
WORKERS = 4
BUILDING = threading.Lock()
SCANNERS = ("container-image", "kingfisher", "gitleaks")


def main(prefixes: list[str]) -> int:
    version = subprocess.run([PEERS / "bin" / "kingfisher", "--version"], capture_output=True, check=True, text=True)
    print(
        f"{version.stdout.split()[0]} {version.stdout.split()[1]}, gitleaks {(PEERS / 'gitleaks.version').read_text().strip()}"
    )
    names = [name for name in CASES if (not prefixes or name.startswith(tuple(prefixes))) and not has_undeclared(name)]
    print(f"\n| case | the image | {' | '.join(SCANNERS)} |\n|---|---|---|---|---|")
    found: Counter[tuple[str, str]] = Counter()
    verdicts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as directory:
        os.environ["XDG_STATE_HOME"] = f"{directory}/state"
        with ThreadPoolExecutor(WORKERS) as pool:
            for name, (verdict, answers) in zip(names, pool.map(partial(run, Path(directory)), names), strict=True):
                verdicts[verdict] += 1
                found.update((verdict, scanner) for scanner, answer in answers.items() if answer == "found")
                print(f"| {name} | {verdict} | {' | '.join(answers.values())} |", flush=True)
    leaking, clean = verdicts["leaked"], verdicts["clean"]
    print(f"\n| | {' | '.join(SCANNERS)} |\n|---|---|---|---|")
    print(f"| found, of {leaking} leaking | {' | '.join(str(found['leaked', scanner]) for scanner in SCANNERS)} |")
    print(f"| false alarms, of {clean} clean | {' | '.join(str(found['clean', scanner]) for scanner in SCANNERS)} |")
    return 0 if found["leaked", SCANNERS[0]] == leaking and not found["clean", SCANNERS[0]] else 1


def has_undeclared(name: str) -> bool:
    """Whether a case's image has values on purpose that its audit is not given: the others would be told of them."""
    return "warnings" in json.loads((GALLERY / name / "expect.json").read_text())


def run(directory: Path, name: str) -> tuple[str, dict[str, str]]:
    """What the image of a case is, and what each scanner says of it."""
    with opened(name, directory / name) as case:
        scanned = directory / f"{name}-scanned"
        answers = scan(case, scanned)
    shutil.rmtree(scanned)
    return case.verdict, answers


def scan(case: Case, directory: Path) -> dict[str, str]:
    """What each scanner says of the case's image: `found` or `-`; ours has a third answer."""
    # BuildKit tells no values of a secret apart: what it made in another run, or makes at the same time, is not to be taken.
    with BUILDING:
        case.hook("prepare.sh")
        with_docker(case, *([] if case.expected["builder"] == "docker" else ["--no-cache"]))
    values = case.secrets or {name: Secret.from_value(case.values[name]) for name in case.expected["credentials"]}
    verdict = audit(reference(case), values).verdict.value
    saved, archive = unpacked(case, directory)
    lines = [value for value in case.hidden if "\n" not in value]
    rules = directory / "rules"
    rules.mkdir()
    return {
        "container-image": {"leaked": "found", "clean": "-"}.get(verdict, verdict),
        "kingfisher": "found" if kingfisher(saved, archive, lines, rules) else "-",
        "gitleaks": "found" if gitleaks(saved, lines, rules) else "-",
    }


def unpacked(case: Case, directory: Path) -> tuple[Path, Path | None]:
    """The image as files, each layer unpacked beside its blob, and the archive that it was saved in, if it was."""
    saved, archive = directory / "image", None
    saved.mkdir(parents=True)
    transport, _, path = reference(case).partition(":")
    if transport == "oci":
        subprocess.run(["cp", "-r", f"{path}/.", saved], check=True)
    else:
        archive = directory / "image.tar"
        subprocess.run(["docker", "image", "save", "--output", archive, case.tag], check=True)
        subprocess.run(["tar", "-xf", archive, "-C", saved], check=True)
    for blob in sorted((saved / "blobs" / "sha256").iterdir()):
        if tarfile.is_tarfile(blob):
            layer = saved / "layers" / blob.name
            layer.mkdir(parents=True)
            subprocess.run(["tar", "-xf", blob, "-C", layer, "--exclude=dev/*"], check=True, stderr=subprocess.DEVNULL)
    return saved, archive


def pattern(value: str) -> str:
    """An expression for exactly this text, in either syntax."""
    return "".join(c if c.isascii() and c.isalnum() else "".join(f"\\x{b:02x}" for b in c.encode()) for c in value)


def kingfisher(saved: Path, archive: Path | None, lines: list[str], rules: Path) -> bool:
    """Whether kingfisher reports anything, in the archive or in the files."""
    texts = [
        f"  - name: Planted {number}\n    id: planted.{number}\n    pattern: '({pattern(line)})'\n"
        f"    min_entropy: 0.0\n    confidence: high\n"
        for number, line in enumerate(lines)
    ]
    path = rules / "kingfisher.yml"
    path.write_text("rules:\n" + "".join(texts))
    options = [
        f"--rules-path={path}", "--load-builtins=false", "--no-rule-cache", "--no-update-check", "--no-validate", "--no-dedup",
        "--confidence=low", "--extraction-depth=0", "--no-limits", "--no-ignore", "--no-ignore-if-contains", "--format=jsonl",
    ]  # fmt: skip
    targets = [*([["scan", "docker", "--archive", str(archive)]] if archive else []), ["scan", str(saved)]]
    for target in targets:
        done = subprocess.run(
            [PEERS / "bin" / "kingfisher", *target, *options], capture_output=True, check=False, text=True
        )
        documents = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        if not any("scan_duration" in document for document in documents):
            raise SystemExit(f"kingfisher failed: {done.stderr}")
        if any("finding" in document for document in documents):
            return True
    return False


def gitleaks(saved: Path, lines: list[str], rules: Path) -> bool:
    """Whether gitleaks reports anything in the files."""
    config, report = rules / "gitleaks.toml", rules / "gitleaks.json"
    config.write_text(
        "".join(
            f"[[rules]]\nid = 'planted-{number}'\nregex = '''{pattern(line)}'''\n" for number, line in enumerate(lines)
        )
    )
    done = subprocess.run(
        [
            PEERS / "bin" / "gitleaks", "dir", saved, "--config", config, "--max-decode-depth=8", "--ignore-gitleaks-allow",
            "--no-banner", "--report-format=json", "--report-path", report, "--exit-code=0",
        ],
        capture_output=True, check=False, text=True,
    )  # fmt: skip
    if done.returncode or not report.exists():
        raise SystemExit(f"gitleaks failed: {done.stderr}")
    return bool(json.loads(report.read_text() or "[]"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
