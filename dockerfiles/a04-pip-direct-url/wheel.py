"""Writes the smallest wheel that pip installs."""

import zipfile

INFO = "acme_tools-1.0.dist-info"
with zipfile.ZipFile("acme_tools-1.0-py3-none-any.whl", "w") as wheel:
    wheel.writestr(f"{INFO}/METADATA", "Metadata-Version: 2.1\nName: acme-tools\nVersion: 1.0\n")
    wheel.writestr(f"{INFO}/WHEEL", "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr(f"{INFO}/RECORD", "")
