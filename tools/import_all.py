"""Imports every module of Comity, one after the other, and names those that cannot be imported.

With nothing but the runtime requirements installed, it shows a dependency that only the tests bring along.
Left out: `__main__`, which runs when imported, migration scripts, which only Alembic can run, and what needs an extra.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys

import comity

EXTRAS = (
    "comity.client.filesystem",
    "comity.db.copy",
    "comity.db.postgres",
    "comity.db.replicas",
    "comity.storage.hsm",
)
"""How the names of modules begin that need an extra, `comity[fsspec]`, `comity[postgres]` or `comity[hsm]`."""


def main() -> int:
    """Return the number of modules that could not be imported, as the exit code."""
    names = [
        found.name for found in pkgutil.walk_packages(comity.__path__, "comity.", onerror=lambda _: None)
    ]
    names = [name for name in names if name.rpartition(".")[2] != "__main__" and ".migrations." not in name]
    names = [name for name in names if not name.startswith(EXTRAS)]
    failed = 0
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError as error:
            failed += 1
            print(f"comity: {name} cannot be imported: {error}", file=sys.stderr)
    print(f"comity: {len(names) - failed} of {len(names)} modules import with the runtime requirements alone")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
