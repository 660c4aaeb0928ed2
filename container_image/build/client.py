"""The `docker` command as one build runs it: which engine, in which environment, and calls that give what it prints."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from python_on_whales import DockerClient

from container_image.errors import EngineError
from container_image.state import inherited
from container_image.unreachable import denied, is_denied, unreachable

MIN_ENGINE = (25, 0)
MIN_BUILDX = (0, 21)
_TIMEOUT = 120


@dataclass(frozen=True, slots=True)
class Client:
    """How `docker` is run. `context` is None for the one that the environment chooses.

    `descriptors` are open files that the command inherits, for what `environment` names as `/proc/self/fd/N`.
    """

    environment: Mapping[str, str] = field(default_factory=inherited, repr=False)
    context: str | None = None
    descriptors: tuple[int, ...] = ()

    def command(self, *arguments: str) -> list[str]:
        """The command line of `docker ARGUMENTS…`.

        Raises:
            EngineError: there is no such command.
        """
        # Looked for here, because python-on-whales downloads one where there is none.
        if shutil.which("docker") is None:
            raise EngineError("there is no `docker` command on the PATH; install Docker with buildx, or correct PATH")
        return [*map(str, DockerClient(context=self.context).client_config.docker_cmd), *arguments]

    def call(
        self, *arguments: str, check: bool = True, timeout: float | None = _TIMEOUT, stdin: bytes = b"",
        directory: str | None = None,
    ) -> str:  # fmt: skip
        """What `docker ARGUMENTS…` prints on stdout, given `stdin`, in a directory if one is named.

        Raises:
            EngineError: there is no such command, it failed (unless not `check`), or it took too long.
        """
        done = self._run(arguments, timeout, stdin, directory)
        name = _name(arguments)
        if check and done.returncode:
            reason = _last_line(done.stderr.decode("utf-8", "replace"))
            raise denied(reason) if is_denied(reason) else EngineError(f"`{name}` failed: {reason}")
        return done.stdout.decode("utf-8", "replace")

    def _run(
        self,
        arguments: Sequence[str],
        timeout: float | None = _TIMEOUT,
        stdin: bytes = b"",
        directory: str | None = None,
    ) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                self.command(*arguments), capture_output=True, env=dict(self.environment), timeout=timeout,
                check=False, pass_fds=self.descriptors, input=stdin, start_new_session=True,
                cwd=directory,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise EngineError(f"`{_name(arguments)}` did not answer within {timeout} s; is the engine well?") from None

    def check_engine(self) -> None:
        """Makes sure that the engine answers and can do what builds need.

        Raises:
            EngineError: the engine can't be reached, which says why, or is too old, which names its version.
        """
        command = ("version", "--format", "{{json .}}")
        # A context that is named goes before the variable; `default` is what the variable says.
        host = self.environment.get("DOCKER_HOST") if self.context in (None, "default") else None
        where = host or f"the {self.context or 'current'} Docker context"
        done = self._run(command)
        try:
            versions = json.loads(done.stdout)
            engine = str((versions.get("Server") or {})["Version"])
        except (ValueError, KeyError):
            raise unreachable(where, _last_line(done.stderr.decode("utf-8", "replace"))) from None
        require("Docker Engine", engine, MIN_ENGINE)

    def check_buildx(self) -> None:
        """Makes sure that there is a buildx that can do what builds need.

        Raises:
            EngineError: there is no docker or no buildx, or it is too old; names the version that was found.
        """
        done = self._run(("buildx", "version"))
        if done.returncode:
            reason = _last_line(done.stderr.decode("utf-8", "replace"))
            raise EngineError(f"docker has no buildx; install the docker-buildx plugin ({reason})")
        buildx = done.stdout.decode("utf-8", "replace")
        found = re.search(r"\bv?(\d+\.\d+[^\s]*)", buildx)
        require("buildx", found[1] if found else buildx, MIN_BUILDX)


def _name(arguments: Sequence[str]) -> str:
    return f"docker {' '.join(arguments[:2])}"


def require(what: str, found: str, least: tuple[int, int]) -> None:
    """Raises EngineError where a version is too old or can't be read."""
    match = re.match(r"v?(\d+)\.(\d+)", found)
    if match is None or (int(match[1]), int(match[2])) < least:
        raise EngineError(f"{what} {found or '(unknown)'} is too old; install {least[0]}.{least[1]} or newer")


def _last_line(text: str) -> str:
    # Behind the reason there may be a hint: "Run 'docker create --help' for more information".
    lines = [line for line in text.strip().splitlines() if line and not line.startswith("Run '")]
    return lines[-1] if lines else "no message"
