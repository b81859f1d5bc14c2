"""Libraries read what they need of a Parquet file of 200 MB at a partner, as each really takes a file system."""

import contextlib

import duckdb
import fsspec
import pandas as pd
import polars as pl
import pyarrow.compute as pc
import pytest
import zarr
from pyarrow import dataset, parquet

MB = 1_000_000
GROUP = 40_000
"""Rows of a row group: 0.32 MB of each column."""
WANTED = ["id", "c03"]


@pytest.fixture
def fs(sides, measured):
    """A file system with nothing in its cache."""
    return fsspec.filesystem("comity", **sides.options, skip_instance_cache=True)


@pytest.fixture
def options(sides, measured):
    """Storage options, with nothing in the cache of what they lead to."""
    fsspec.get_filesystem_class("comity").clear_instance_cache()
    return sides.options


def test_pandas_reads_two_columns(sides, measured, options, counted):
    url = sides.url("measured", "wide.parquet")
    frame = pd.read_parquet(url, columns=WANTED, storage_options=options)
    assert len(frame) == len(measured)
    assert (frame["c03"].to_numpy() == measured["c03"].to_numpy()).all()
    needed = 2 * 8 * len(measured)
    assert needed <= counted() <= needed + 2 * MB


def test_pandas_reads_a_csv(sides, options):
    frame = pd.read_csv(sides.url("measured", "parts.csv"), storage_options=options)
    assert frame["quantity"].tolist() == [1, 2]


def test_pyarrow_reads_one_row_group(sides, measured, fs, counted):
    with fs.open(sides.url("measured", "wide.parquet")) as file:
        found = parquet.ParquetFile(file).read_row_group(3, columns=WANTED)
    assert found["id"].to_pylist()[0] == 3 * GROUP
    assert 2 * 8 * GROUP <= counted() <= 1.5 * MB


def test_pyarrow_filters_a_dataset_by_statistics(sides, measured, fs, counted):
    table = dataset.dataset(sides.url("measured", "wide.parquet"), filesystem=fs, format="parquet")
    found = table.to_table(columns=WANTED, filter=pc.field("id") < 10)
    assert found["id"].to_pylist() == list(range(10))
    assert 0 < counted() <= 1.5 * MB


def test_polars_scans_a_dataset(sides, measured, fs, counted):
    table = dataset.dataset(sides.url("measured", "wide.parquet"), filesystem=fs, format="parquet")
    lazy = pl.scan_pyarrow_dataset(table)
    found = lazy.filter(pl.col("id") < 10).select("id", "c03").collect()
    assert found["c03"].to_list() == measured["c03"].to_pylist()[:10]
    assert 0 < counted() <= 1.5 * MB


def test_duckdb_queries_it(sides, measured, fs, counted):
    with contextlib.closing(duckdb.connect()) as database:
        database.register_filesystem(fs)
        url = sides.url("measured", "wide.parquet")
        found = database.execute(f"SELECT sum(c03) FROM '{url}' WHERE id < 1000").fetchone()
    assert found[0] == pytest.approx(pc.sum(measured["c03"].slice(0, 1000)).as_py())
    assert 0 < counted() <= 1.5 * MB


def test_zarr_reads_chunks_of_a_group(sides, field, options):
    before = len(sides.data.sent)
    store = zarr.storage.FsspecStore.from_url(sides.url("field"), storage_options=options)
    found = zarr.open_group(store, mode="r")["speed"][150:160, 250:260]
    assert (found == field[150:160, 250:260]).all()
    sent = [each for each in sides.data.sent[before:] if "/c/" in each.path and each.method == "GET"]
    assert {each.path for each in sent} == {"files/speed/c/1/2"}
    assert sum(each.size_bytes for each in sent) == 100 * 100 * 8
