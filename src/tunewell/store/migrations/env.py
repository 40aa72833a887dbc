"""Run migrations on the connection, and in the transaction, of whoever asked for them."""

from __future__ import annotations

from alembic import context

from tunewell.store.indexes import metadata
from tunewell.store.schema import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
context.run_migrations()
