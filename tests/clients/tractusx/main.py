"""Drive the whole exchange with the SDK: main.py <jupiter or saturn> <world.json>

Started by `run.py` with the Python of the SDK's own environment; of this project it uses nothing.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from clients.tractusx import checks, consuming, offering, processes, saturn
from clients.tractusx.world import World, described


def main() -> int:
    """Run every check of a version; return 1 if one failed."""
    version, path = sys.argv[1:]
    logging.disable(logging.CRITICAL)
    world = World(described(path), version)
    table = [*offering.TABLE, *consuming.TABLE, *processes.TABLE]
    if version == "saturn":
        table += saturn.TABLE
    return 1 if checks.run(table, world) else 0


if __name__ == "__main__":
    sys.exit(main())
