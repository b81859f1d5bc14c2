"""The store: SQLite behind one group-commit writer, one SQL module per aggregate, migrations. Only this speaks SQL.

Units of work are written against `database.Transaction`, so that another store can run them unchanged.
"""
