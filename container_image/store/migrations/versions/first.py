"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Makes them."""
    op.create_table(
        "container_image_store",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("key_check", sa.LargeBinary, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "container_image_environments",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(63), nullable=False, unique=True),
        sa.Column("description", sa.Text),
        sa.Column("created_at", sa.String(20), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary, nullable=False),
        sa.Column("key_check", sa.LargeBinary, nullable=False),
        sa.Column("head", sa.LargeBinary, nullable=False),
    )
    environment = sa.ForeignKey("container_image_environments.id", ondelete="CASCADE")
    op.create_table(
        "container_image_versions",
        sa.Column("environment_id", sa.String(32), environment, primary_key=True),
        sa.Column("name", sa.String(255), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("serial", sa.Integer, nullable=False),
        sa.Column("created_at", sa.String(20), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "container_image_log",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("time", sa.String(20), nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("environment", sa.String(63)),
        sa.Column("name", sa.String(255)),
        sa.Column("version", sa.Integer),
        sa.Column("image", sa.Text),
    )
