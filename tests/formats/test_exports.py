"""
What pandas writes of its frames.
"""

from io import BytesIO

import numpy as np
import pandas as pd
import pytest

from sagemaker_runtime.algorithm import Column, Table
from sagemaker_runtime.formats.columns import join
from sagemaker_runtime.formats.media_types import CSV, JSON, JSON_LINES

TABLE = Table(
    Column("size", "number", "3.5", optional=True),
    Column("open", "boolean", "true"),
    Column("known", "boolean", "true", optional=True),
    Column("when", "timestamp", "2014-02-25 12:17:00", optional=True, unit="ms"),
    Column("day", "timestamp", "2014-02-25", unit="ms"),
    Column("name", "text", "Tom", optional=True),
    Column("code", "text", "01067"),
    Column("vector", "numbers", "[1, 2]"),
)
FRAME = pd.DataFrame(
    {
        "size": [1.5, np.nan, -3.0],
        "open": [True, False, True],
        "known": pd.array([True, None, False], "boolean"),
        "when": pd.to_datetime(["2014-02-25 12:17:09.5", None, "2013-01-01 00:00:01.0"]),
        "day": pd.to_datetime(["2014-02-25", "2014-02-26", "1969-12-31"]),
        "name": ["a, b", None, 'say "no"\nplease'],
        "code": ["01067", "NA", "7"],
        "vector": [[1.0, 2.5], [], [3.0]],
    }
)
EXPORTS = {
    "csv": (CSV, lambda: FRAME.to_csv(index=False)),
    "csv with index": (CSV, FRAME.to_csv),
    "records": (JSON, lambda: FRAME.to_json(orient="records")),
    "lines": (JSON_LINES, lambda: FRAME.to_json(orient="records", lines=True)),
    "split": (JSON, lambda: FRAME.to_json(orient="split")),
    "columns": (JSON, FRAME.to_json),
    "iso records": (JSON, lambda: FRAME.to_json(orient="records", date_format="iso")),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*'epoch' date format")
@pytest.mark.parametrize("export", EXPORTS)
@pytest.mark.parametrize("times", [1, 2000])
def test_pandas_exports_of_every_kind_are_read(export: str, times: int) -> None:
    """A frame with columns of each kind and gaps arrives as it was, however pandas wrote it."""
    media_type, write = EXPORTS[export]
    body = write()
    if times > 1 and export == "csv":
        header, rows = body.split("\n", 1)
        body = header + "\n" + rows * times
    columns = join(list(TABLE.read(BytesIO(body.encode()), media_type, "utf-8")))
    got = {name: values[:3] for name, values in columns.items()}
    np.testing.assert_array_equal(got["size"], FRAME["size"])
    assert got["open"].tolist() == [True, False, True]
    assert got["open"].dtype == bool
    np.testing.assert_array_equal(got["known"], [1.0, np.nan, 0.0])
    seconds = FRAME["when"].to_numpy().astype("datetime64[s]")
    np.testing.assert_array_equal(got["when"], seconds)
    np.testing.assert_array_equal(got["day"], FRAME["day"].to_numpy().astype("datetime64[s]"))
    assert got["name"].tolist() == ["a, b", "", 'say "no"\nplease']
    assert got["code"].tolist() == ["01067", "NA", "7"]
    assert [list(each) for each in got["vector"]] == [[1.0, 2.5], [], [3.0]]
