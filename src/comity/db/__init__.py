"""The store: SQLite behind one group-commit writer, one module of SQL per aggregate, migrations. Only this speaks SQL."""
