"""
The application around an algorithm of the tests, as a client for it.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient

from api import create_app
from fake_algorithm import FakeAlgorithm, latitude
from invocations import LARGE_BODY_BYTES
from predictor import Predictor
from sagemaker_runtime.algorithm import Columns
from sagemaker_runtime.settings import Settings

LINE = "2014-02-25 12:17:00 UTC,-74.014833,40.715937,-74.00392,40.725517,1\n"
RECORD = '{"pickup_datetime": "2014-02-25 12:17:00 UTC", "pickup_latitude": 40.715937}'
LARGE = LINE * (LARGE_BODY_BYTES // len(LINE) + 1)
# What stdout and stderr got, parsed.
Lines = Callable[[], tuple[list[dict[str, Any]], list[dict[str, Any]]]]


def client_of(
    answer: Callable[[Columns], Any] = latitude,
    algorithm: FakeAlgorithm | None = None,
    timeout_s: float = 60,
    **settings: Any,
) -> FlaskClient:
    """
    Return a client of the application; bodies may have 1 MB, and take less time than users can set.
    """
    in_force = replace(Settings.from_environ({}), timeout_s=timeout_s, max_payload_mb=1, **settings)
    predictor = Predictor(algorithm or FakeAlgorithm(answer), Path("nowhere"))
    return create_app(predictor, in_force).test_client()
