"""Alembic's entry: runs each migration in its own transaction on the engine that `db.migrate` hands over.

Alembic calls it by its place; nothing of it is imported by the rest of the connector.
"""

from alembic import context

with context.config.attributes["engine"].connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True, transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()
