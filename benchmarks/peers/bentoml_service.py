"""
BentoML: a service with one text in and one out.
"""

import os

import bentoml
import fares


@bentoml.service(workers=int(os.environ["WORKERS"]), traffic={"timeout": 600})
class Fares:
    def __init__(self) -> None:
        self.estimator = fares.load()

    @bentoml.api(route="/invocations")
    def invocations(self, csv: str, /) -> str:
        return fares.answer(self.estimator, csv)
