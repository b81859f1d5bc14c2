"""A disk that is soon full: a file system in memory, which takes root to mount."""

import contextlib
import os
import subprocess
from pathlib import Path

import pytest


@contextlib.contextmanager
def mounted(place: Path, mib: int):
    """Make a folder with room for so much; the test is skipped where nothing may be mounted."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", place]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("no small disk may be mounted here: that takes root")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)  # a server may still have files open there


def enlarge(place: Path, mib: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={mib}m", place], check=True)
