"""Fixtures: two connectors (`sides`), the provider with a Parquet file of 200 MB, of which libraries read little."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import zarr
from pyarrow import parquet

from support import distance

ROWS, GROUPS, COLUMNS = 480_000, 12, 52


@pytest.fixture(scope="session")
def sides(tmp_path_factory):
    with distance.running(tmp_path_factory.mktemp("distance")) as found:
        yield found


@pytest.fixture(scope="session")
def measured(sides):
    """The asset `measured`: 200 MB of numbers that do not compress, and a small table; made once, in about a second."""
    folder = sides.provider.folder.parent / "measured"
    folder.mkdir()
    chance = np.random.default_rng(7)
    columns = {"id": np.arange(ROWS)}
    columns |= {f"c{at:02}": chance.random(ROWS) for at in range(COLUMNS)}
    table = pa.table(columns)
    parquet.write_table(
        table,
        folder / "wide.parquet",
        row_group_size=ROWS // GROUPS,
        use_dictionary=False,
        compression="none",
    )
    assert (folder / "wide.parquet").stat().st_size > 200_000_000
    (folder / "parts.csv").write_text("part,quantity\nbody,1\nshaft,2\n")
    sides.publish("measured", folder)
    return table


@pytest.fixture(scope="session")
def field(sides):
    """The asset `field`: a zarr group with an array of 16 chunks."""
    folder = sides.provider.folder.parent / "field"
    values = np.arange(400 * 400, dtype="f8").reshape(400, 400)
    group = zarr.create_group(store=str(folder))
    group.create_array("speed", data=values, chunks=(100, 100), compressors=None)
    sides.publish("field", folder)
    return values


@pytest.fixture
def counted(sides, measured, record_property):
    """What the data plane has sent since the test began."""
    before = len(sides.data.sent)

    def sent(path="files/wide.parquet"):
        return sum(each.size_bytes for each in sides.data.sent[before:] if each.path == path)

    yield sent
    record_property("bytes sent by the data plane", sent())
