"""The main job, for real: a private index in a container, an image that needs its token, and its leaking twin."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parent.parent
INDEX, BASE = "container-image-demo-index", "container-image-base:bookworm"
CLEAN, LEAKING = "greeting:demo", "greeting:demo-leaking"


def run(*command: str, env: dict[str, str] | None = None) -> int:
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **(env or {})}, check=False).returncode


def output(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout.strip()


def title(text: str) -> None:
    print(f"\n── {text}", flush=True)


def main() -> int:
    token = secrets.token_hex(20)
    image = f"{INDEX}:latest"
    title("a private index in a container: it refuses whoever has no token")
    output(
        "docker", "buildx", "build", "--quiet", "--build-arg", f"BASE_IMAGE={BASE}", "-t", image, "tests/services/index"
    )
    container = output(
        "docker", "run", "--detach", "--rm", "--env", f"INDEX_TOKEN={token}", "--publish", "127.0.0.1::8080", image
    )
    try:
        host = output("docker", "port", container, "8080/tcp").splitlines()[0]
        refused = wait(host)
        print(f"without the token, it answers {refused}")
        env = {"PIP_TOKEN": token, "INDEX_HOST": host, "BASE_IMAGE": BASE}
        program = str(Path(sys.executable).with_name("container-image"))
        build = (program, "build", "--network=host")

        title("container-image build examples/app.py::greeting -t greeting:demo")
        if run(*build, "examples/app.py::greeting", "-t", CLEAN, env=env):
            return 1
        title("docker run greeting:demo")
        run("docker", "run", "--rm", CLEAN)

        title("container-image build examples/app.py::leaking -t greeting:demo-leaking")
        status = run(*build, "examples/app.py::leaking", "-t", LEAKING, env=env)
        withheld = (
            subprocess.run(["docker", "image", "inspect", LEAKING], capture_output=True, check=False).returncode != 0
        )
        print(f"\nexit code {status}; the tag {LEAKING} {'does not exist' if withheld else 'EXISTS'}")
        return 0 if status == 1 and withheld else 1
    finally:
        output("docker", "stop", "--time", "1", container)
        subprocess.run(["docker", "image", "rm", "--force", CLEAN], capture_output=True, check=False)


def wait(host: str) -> int:
    """Waits for the index; returns the status that a request without a token gets."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(100):
        try:
            with opener.open(f"http://{host}/simple/", timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the index does not answer")


if __name__ == "__main__":
    sys.exit(main())
