"""What Alembic runs for a migration: in the transaction of the connection that it is handed."""

from __future__ import annotations

from alembic import context

from container_image.store.schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, version_table=VERSION_TABLE
)
with context.begin_transaction():
    context.run_migrations()
