"""The package's public names, which are imported when they are used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import container_image
import container_image.api
import container_image.audit.policy


def test_every_public_name_is_there_and_in_its_list() -> None:
    names = {*container_image.api.__all__, "exec", "progress"}
    assert names <= set(dir(container_image))
    for name in names:
        assert getattr(container_image, name) is not None
    assert not hasattr(container_image, "no_such_name")
    with pytest.raises(AttributeError, match="module 'container_image' has no attribute 'no_such_name'"):
        _ = container_image.no_such_name


def test_audit_is_the_function_whatever_was_imported_first() -> None:
    for first in ("container_image", "container_image.audit.policy"):
        script = (
            f"import {first}\n"
            "import container_image\n"
            "from container_image import *\n"
            "from container_image.audit import AuditReport\n"
            "print(audit.__qualname__, container_image.audit is audit, container_image.AuditReport is AuditReport)"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
        assert done.stdout == "audit True True\n"


def test_importing_the_package_imports_nothing_else() -> None:
    script = "import sys, container_image; print([name for name in sys.modules if name.startswith('container_image.')])"
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, check=True, text=True)
    assert done.stdout == "[]\n"


def test_a_name_that_is_asked_for_during_the_import_is_none_yet() -> None:
    script = (
        "import sys, types, container_image\n"
        "sys.modules['container_image.api'] = types.ModuleType('container_image.api')\n"
        "print(hasattr(container_image, 'ContainerImage'))\n"
        "from container_image import state\n"
        "print(state.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    assert done.stdout.split() == ["False", "container_image.state"]
