"""Of a channel that all hosts were given, each takes its own rows."""

import gzip

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from sagemaker_runtime.algorithm import Column, Table
from sagemaker_runtime.errors import DataError
from sagemaker_runtime.formats import csv_blocks
from sagemaker_runtime.formats.columns import join
from sagemaker_runtime.training import parquet_rows, tables
from sagemaker_runtime.training.channel import Channel
from sagemaker_runtime.training.cluster import Cluster
from sagemaker_runtime.training.resource_config import Resources
from sagemaker_runtime.training.shares import Share

TABLE = Table(Column("size", "number", "1.5"), label=Column("price", "number", "2"))
ROWS = 5_000


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    """Blocks of some hundred rows, so that few rows are many of them."""
    monkeypatch.setattr(csv_blocks, "BLOCK", 1 << 10)
    monkeypatch.setattr(parquet_rows, "TURN", 100)


def text(numbers):
    return "size,price\n" + "".join(f"{number},{number}\n" for number in numbers)


def write_csv(folder):
    (folder / "a.csv").write_text(text(range(ROWS)))


def write_gzip(folder):
    (folder / "a.csv.gz").write_bytes(gzip.compress(text(range(ROWS)).encode()))


def write_parquet(folder):
    numbers = np.arange(float(ROWS))
    table = pa.table({"size": numbers, "price": numbers})
    pyarrow.parquet.write_table(table, folder / "a.parquet")


def write_row_groups(folder):
    numbers = np.arange(float(ROWS))
    table = pa.table({"size": numbers, "price": numbers})
    pyarrow.parquet.write_table(table, folder / "a.parquet", row_group_size=100)


def write_many_files(folder):
    for number in range(50):
        (folder / f"{number}.csv").write_text(text(range(number * 100, (number + 1) * 100)))


@pytest.mark.parametrize(
    "write", [write_csv, write_gzip, write_parquet, write_row_groups, write_many_files]
)
@pytest.mark.parametrize("hosts", [2, 3])
def test_each_row_is_read_by_one_host(tmp_path, write, hosts):
    """Together they are all rows, and no host has much more than another."""
    folder = tmp_path / "training"
    folder.mkdir()
    write(folder)
    shares = [join(tables.read(folder, TABLE, Share(host, hosts)))["size"] for host in range(hosts)]
    assert sorted(np.concatenate(shares).tolist()) == list(range(ROWS))
    for share in shares:
        assert share.size == pytest.approx(ROWS / hosts, rel=0.2)


def test_a_bad_value_has_its_true_row(tmp_path):
    """Rows count from the file's first one, whoever reads them."""
    folder = tmp_path / "training"
    folder.mkdir()
    (folder / "a.csv").write_text(text(range(4_000)) + "many,1\n" + text(range(50))[11:])
    found = []
    for host in range(2):
        try:
            list(tables.read(folder, TABLE, Share(host, 2)))
        except DataError as error:
            found.append(str(error))
    assert len(found) == 1
    assert "row 4001" in found[0]


@pytest.mark.parametrize("there", [None, "_SUCCESS", "training-manifest"])
def test_a_host_without_files_gets_a_piece_without_rows(tmp_path, there):
    """With ShardedByS3Key there may be no folder, or a marker alone; others have rows."""
    if there:
        (tmp_path / "training").mkdir()
        (tmp_path / "training" / there).write_text("")
    cluster = Cluster(Resources(("algo-1", "algo-2"), "algo-2"))
    channel = Channel(tmp_path / "training", distribution="ShardedByS3Key")
    share = Share.of_host(cluster, channel.distribution)
    (columns,) = tables.read(channel, TABLE, share)
    assert {name: (len(each), each.dtype) for name, each in columns.items()} == {
        "price": (0, np.float64),
        "size": (0, np.float64),
    }


def test_a_channel_without_files_is_refused_where_all_have_the_same(tmp_path):
    """With FullyReplicated no host has any row."""
    (tmp_path / "training").mkdir()
    with pytest.raises(DataError, match="holds no file"):
        list(tables.read(tmp_path / "training", TABLE, Share(1, 2)))
