"""Reading Dockerfiles: a text goes in; instructions, flags and mounts come out, each with its place in the text.

A scanner, not an interpreter: what a Dockerfile *means*, BuildKit says (`--call=outline`). The rules are those of
BuildKit's parser, oddities included, because an instruction that it sees and we don't is a secret left untagged; the
tests compare the two.
"""

from container_image.dockerfile.copy_sources import DockerfileParser
from container_image.dockerfile.located import Located
from container_image.dockerfile.model import Dockerfile, Flag, Instruction, Stage
from container_image.dockerfile.mounts import Mount, mounts, secret_mounts
from container_image.dockerfile.parser import KEYWORDS, parse
from container_image.dockerfile.variables import Scope, argument_defaults, expand, scopes

__all__ = [
    "KEYWORDS",
    "Dockerfile",
    "DockerfileParser",
    "Flag",
    "Instruction",
    "Located",
    "Mount",
    "Scope",
    "Stage",
    "argument_defaults",
    "expand",
    "mounts",
    "parse",
    "scopes",
    "secret_mounts",
]
