"""Makes a technical data package to hand over: geometry, bill of materials, manual, table of measurements.

All of it is computed: the housing of a pump as a mesh (binary STL, over 16 MB), and documents that fit it.
"""

from __future__ import annotations

import csv
import math
import struct
from array import array
from itertools import pairwise
from pathlib import Path

RINGS = 700
SEGMENTS = 260
MEASUREMENTS = 60_000
PARTS = (
    ("10-1001", "Housing, cast", 1, "EN-GJL-250"),
    ("10-1002", "Cover", 1, "EN-GJL-250"),
    ("10-1003", "Impeller", 1, "CuSn10"),
    ("10-1004", "Shaft", 1, "X20Cr13"),
    ("10-1005", "Mechanical seal", 1, "SiC/SiC"),
    ("10-1006", "Ball bearing 6205", 2, "bought"),
    ("10-1007", "Hexagon bolt M8x25", 12, "8.8"),
)
MANUAL = """Pump P-100: manual of assembly and maintenance

1  Clean all faces. Press both bearings (10-1006) on the shaft (10-1004), 60 Nm at most.
2  Fit the mechanical seal (10-1005) dry. Never touch its faces.
3  Mount impeller (10-1003), close with cover (10-1002), twelve bolts (10-1007) crosswise, 25 Nm.
4  Test at 10 bar for 10 minutes. No drop may show.
5  Every 4,000 hours: change the seal; every 12,000 hours: change the bearings.
"""


def make(folder: Path) -> None:
    """Write the package's files below `folder`."""
    for name in ("geometry", "documents", "quality"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    _write_mesh(folder / "geometry" / "housing.stl")
    with (folder / "documents" / "bill-of-materials.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("part", "name", "quantity", "material"))
        table.writerows(PARTS)
    (folder / "documents" / "manual.txt").write_text(MANUAL, encoding="utf-8")
    _write_measurements(folder / "quality" / "measurements.csv")


def revise(folder: Path) -> Path:
    """Change what a new revision changes, and return the file."""
    manual = folder / "documents" / "manual.txt"
    manual.write_text(MANUAL.replace("25 Nm", "28 Nm"), encoding="utf-8")
    return manual


def _write_mesh(path: Path) -> None:
    """Write a ribbed housing, turned round an axis, as a binary STL: 50 bytes a triangle."""
    count = 2 * RINGS * SEGMENTS
    angles = [2 * math.pi * at / SEGMENTS for at in range(SEGMENTS + 1)]
    circle = [(math.cos(angle), math.sin(angle)) for angle in angles]
    rings = [[(x * r, y * r, z) for x, y in circle] for z, r in map(_profile, range(RINGS + 1))]
    record = struct.Struct("<12fH").pack
    chunks = bytearray(b"Pump P-100 housing".ljust(80) + struct.pack("<I", count))
    for below, above in pairwise(rings):
        for at in range(SEGMENTS):
            a, b, c, d = below[at], below[at + 1], above[at], above[at + 1]
            chunks += record(0.0, 0.0, 0.0, *a, *b, *d, 0)
            chunks += record(0.0, 0.0, 0.0, *a, *d, *c, 0)
    path.write_bytes(chunks)


def _profile(at: int) -> tuple[float, float]:
    z = 120.0 * at / RINGS
    return z, 60.0 + 12.0 * math.sin(z / 38.0) + (2.5 if at % 70 < 20 else 0.0)  # noqa: PLR2004  ribs


def _write_measurements(path: Path) -> None:
    """Write a table of measured bores: serial number, station, four diameters in mm."""
    noise = array("d", (math.sin(at * 12.9898) * 43758.5453 % 1.0 for at in range(1009)))
    with path.open("w", newline="", encoding="utf-8") as file:
        file.write("serial,station,d1_mm,d2_mm,d3_mm,d4_mm\n")
        file.writelines(
            f"P100-{at:06d},{at % 7},"
            + ",".join(f"{52.0 + 0.01 * (noise[(at * 7 + k * 131) % 1009] - 0.5):.5f}" for k in range(4))
            + "\n"
            for at in range(MEASUREMENTS)
        )
