"""Requirements with secrets in them: lines as pip has them go in, and a step of a Dockerfile that installs them comes out.

`template` reads the lines and the files that they name, on the developer's machine; `step` writes the instruction, in
which `${NAME}` is still a name; `install` is the script that runs in it, and the only place where a value is put in.
"""

from container_image.requirements.step import Installer, with_step
from container_image.requirements.template import Requirements, check_values, read_requirements

__all__ = ["Installer", "Requirements", "check_values", "read_requirements", "with_step"]
