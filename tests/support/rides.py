"""
The table of the tests' own algorithms: rides, with every kind of column.
"""

from sagemaker_runtime.algorithm import Column, Table

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
