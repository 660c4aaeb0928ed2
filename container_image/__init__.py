"""Declare a custom container image and its build secrets, build it, and get evidence that no secret stayed in it.

The public names are those of `container_image.api`. It is imported when the first of them is used: that takes half a
second, and the command line must answer signals before.
"""

import sys
import types
from importlib.util import find_spec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from container_image import progress as progress
    from container_image.api import *  # noqa: F403
    from container_image.api import exec as exec  # noqa: A004
else:
    # Checkers would take it for a promise of every name.
    def __getattr__(name: str) -> object:
        if name == "progress":
            import container_image.progress as module

            return module
        # `from container_image import state` asks here first, and so does Python for `__path__` and the like. Neither may
        # import everything.
        private = name == "api" or (name.startswith("__") and name != "__all__")
        if not private and find_spec(f"{__name__}.{name}") is None:
            import container_image.api as api

            if hasattr(api, name):
                return getattr(api, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    import container_image.api as api

    return sorted({*globals(), *api.__all__, "exec", "progress"})


class _Package(types.ModuleType):
    """This package, whose attribute `audit` is the function, although it has a subpackage of that name."""

    @property
    def audit(self) -> object:
        import container_image.api as api

        return api.audit

    @audit.setter
    def audit(self, _subpackage: object) -> None:
        """Importing the subpackage sets this attribute; the function stays."""


sys.modules[__name__].__class__ = _Package
