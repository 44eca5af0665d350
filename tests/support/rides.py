"""
The table of the tests' own algorithms: rides, with every kind of column.
"""

from io import BytesIO

from sagemaker_runtime.algorithm import Column, Columns, Table
from sagemaker_runtime.formats.columns import join
from sagemaker_runtime.formats.media_types import CSV
from sagemaker_runtime.formats.values import absent

INPUT = Table(
    Column("pickup_datetime", "timestamp", "2014-02-25 12:17:00 UTC"),
    Column("pickup_longitude", "number", "-74.014833", optional=True, omittable=True),
    Column("pickup_latitude", "number", "40.715937", optional=True, omittable=True),
    Column("dropoff_longitude", "number", "-74.003920", optional=True, omittable=True),
    Column("dropoff_latitude", "number", "40.725517", optional=True, omittable=True),
    Column("passenger_count", "number", "1", optional=True, omittable=True),
    label=Column("fare_amount", "number", "8.5", optional=True),
    ignored=(Column("key", "text", "2014-02-25 12:17:00.00000097", optional=True),),
)

NAMES = [column.name for column in INPUT.features]
KEY, FARE = "2014-02-25 12:17:00.00000097", "8.5"


def read(
    body: str | bytes, media_type: str = CSV, schema: Table = INPUT, charset: str = "utf-8"
) -> Columns:
    """
    Return the columns of a body, in one piece.
    """
    file = BytesIO(body.encode() if isinstance(body, str) else body)
    parts = list(schema.read(file, media_type, charset))
    return join(parts or [{column.name: absent(column, 0) for column in schema.features}])
