"""Audits images that hold a whole toolchain each, and no secret of ours: every one must be clean as it stands, but one.

A false alarm, or a file that the audit takes for one that it can't read, would be on every image that anyone builds
from such a base. Each image is the tests' base with packages of Debian's, and is removed afterwards.
"""

from __future__ import annotations

import base64
import json
import secrets
import subprocess
import sys

from container_image import AuditReport, audit

BASE = "container-image-base:bookworm"
PACKAGES = {
    "git": "git git-lfs mercurial",
    "gcc": "build-essential gdb cmake",
    "python": "python3-dev python3-venv python3-pip python3-cryptography python3-numpy python3-requests python3-lxml",
    "python-tests": "python3-full",
    "node": "nodejs npm",
    "go": "golang-go",
    "java": "default-jdk-headless maven",
}
# CPython's own tests, as bytecode, hold small zip files that are encrypted, or compressed as nobody does any more.
EXPECTED = {"python-tests": "incomplete"}


def values() -> dict[str, str]:
    """Fresh values of the kinds that builds are given."""
    body = base64.encodebytes(secrets.token_bytes(1216)).decode()
    pem = f"-----BEGIN PRIVATE KEY-----\n{body}-----END PRIVATE KEY-----\n"
    return {
        "TOKEN": secrets.token_hex(20),
        "PASSWORD": secrets.token_urlsafe(18),
        "SHORT": secrets.token_urlsafe(6),
        "KEY": pem,
        "npmrc": f"registry=https://npm.example.com/\n//npm.example.com/:_authToken={secrets.token_hex(18)}\n",
        "netrc": f"machine pypi.example.com\nlogin ci\npassword {secrets.token_urlsafe(15)}\n",
        "account": json.dumps({
            "type": "service_account", "project_id": "acme", "private_key_id": secrets.token_hex(20), "private_key": pem,
            "client_email": "ci@acme.iam.gserviceaccount.com", "token_uri": "https://oauth2.googleapis.com/token",
        }),
    }  # fmt: skip


def build(name: str, packages: str) -> str:
    """An image with the packages; its name."""
    image = f"container-image-stock:{name}"
    dockerfile = (
        f"FROM {BASE}\nRUN apt-get update -qq && "
        f"DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends {packages} >/dev/null\n"
    )
    command = ["docker", "buildx", "build", "--quiet", "--network=host", "--tag", image, "-"]
    subprocess.run(command, input=dockerfile, check=True, text=True, stdout=subprocess.DEVNULL)
    return image


def told(report: AuditReport) -> list[str]:
    """What keeps the image from being clean, a line each."""
    unread = [f"unread  {item.path}  {item.reason}  {item.bytes}  {item.digest}" for item in report.coverage.unread]
    found = [
        f"found   {item.path}  {item.secret} {item.form} {item.fraction} at {item.offset}, via {'/'.join(item.via)}"
        for item in report.findings
    ]
    return [
        *unread,
        *found,
        *(f"secret  {row.name}: {row.reason}" for row in report.secrets if row.reason not in (None, "public by key")),
    ]


def main(names: list[str]) -> int:
    failed = 0
    for name in names or PACKAGES:
        image = build(name, PACKAGES[name])
        try:
            report = audit(image, values())
        finally:
            subprocess.run(["docker", "image", "rm", "--force", image], capture_output=True, check=False)
        failed += report.verdict.value != EXPECTED.get(name, "clean")
        megabytes = report.coverage.bytes / 1e6
        print(
            f"{name:12} {report.verdict.value:10} {megabytes:6.0f} MB  {report.coverage.streams:6} streams, "
            f"{report.coverage.truncated} truncated  {report.duration_seconds:.1f} s",
            flush=True,
        )
        for line in told(report):
            print(f"    {line}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
