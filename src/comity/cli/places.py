"""Where files are or go, as a person names it: a folder, from the current one on, or the address of a bucket.

The connector has no current folder, so it is told whole paths; an address it knows as it is.
"""

from __future__ import annotations

import os
from pathlib import Path

from comity.storage import buckets


def absolute(place: str | Path) -> str:
    """Return a place as the connector is told it."""
    text = str(place)
    return text if buckets.is_address(text) else os.path.abspath(text)  # noqa: PTH100  keeps symlinks, takes out `..`
