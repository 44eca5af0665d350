"""
The columns of the Kaggle competition "New York City Taxi Fare Prediction".
"""

from sagemaker_runtime.algorithm import Column, Table

KEY = Column("key", "text", "2014-02-25 12:17:00.00000097", optional=True)
FARE = Column("fare_amount", "number", "8.5", optional=True)

# Times are New York wall-clock times although the files say "UTC".
INPUT = Table(
    Column("pickup_datetime", "timestamp", "2014-02-25 12:17:00 UTC"),
    Column("pickup_longitude", "number", "-74.014833", optional=True),
    Column("pickup_latitude", "number", "40.715937", optional=True),
    Column("dropoff_longitude", "number", "-74.003920", optional=True),
    Column("dropoff_latitude", "number", "40.725517", optional=True),
    Column("passenger_count", "number", "1", optional=True, omittable=True),
    label=FARE,
    ignored=(KEY,),
)
