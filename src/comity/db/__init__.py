"""The store: SQLite or PostgreSQL, one SQL module per aggregate, migrations. Only this speaks SQL.

Each has one writer that commits in groups. Units of work are written against `store.Transaction`: both run them.
"""
