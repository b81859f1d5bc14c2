"""Alembic's entry: runs each migration in its own transaction on the engine that `db.migrate` hands over.

Without an engine it writes the statements down, in PostgreSQL's words: `db.migrate` executes them with the driver that
the store has. Alembic calls this by its place; nothing of it is imported by the rest of the connector.
"""

from alembic import context

if context.is_offline_mode():
    context.configure(
        dialect_name="postgresql",
        output_buffer=context.config.attributes["statements"],
        transaction_per_migration=True,
        transactional_ddl=context.config.attributes["transactional"],
    )
    with context.begin_transaction():
        context.run_migrations()
else:
    with context.config.attributes["engine"].connect() as connection:
        context.configure(connection=connection, transaction_per_migration=True, transactional_ddl=True)
        with context.begin_transaction():
            context.run_migrations()
