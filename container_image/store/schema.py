"""The tables. What stands in them in the clear is what someone with the database alone learns.

A root row names the environments; each environment's row names its secrets and their versions, in its sealed head.
Times are text, `YYYY-MM-DDTHH:MM:SSZ`: they are bound into what is sealed, and must read the same on every database.
"""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Integer, LargeBinary, MetaData, String, Table, Text

REVISION = "0001"
"""The newest migration; a test compares it with `migrations/versions`."""

VERSION_TABLE = "container_image_revision"

metadata = MetaData()

root = Table(
    "container_image_store",
    metadata,
    Column("id", String(32), primary_key=True),
    # Tells the owner key from a wrong one.
    Column("key_check", LargeBinary, nullable=False),
    # Under the owner key: the name and the id of each environment.
    Column("sealed", LargeBinary, nullable=False),
)

environments = Table(
    "container_image_environments",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(63), nullable=False, unique=True),
    Column("description", Text),
    Column("created_at", String(20), nullable=False),
    # The environment's own key, under the owner key.
    Column("wrapped_key", LargeBinary, nullable=False),
    Column("key_check", LargeBinary, nullable=False),
    Column("head", LargeBinary, nullable=False),
)

versions = Table(
    "container_image_versions",
    metadata,
    Column("environment_id", String(32), ForeignKey(environments.c.id, ondelete="CASCADE"), primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("serial", Integer, nullable=False),
    Column("created_at", String(20), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)

log = Table(
    "container_image_log",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("time", String(20), nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", String(16), nullable=False),
    # Names, not references: what is deleted stays in the log.
    Column("environment", String(63)),
    Column("name", String(255)),
    Column("version", Integer),
    Column("image", Text),
)
