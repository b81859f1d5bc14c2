"""The store: SQLite behind one group-commit writer, one SQL module per aggregate, migrations. Only this speaks SQL."""
