"""
BentoML: a service with a route for single requests and one with its adaptive batching.
"""

import os

import bentoml
import work
from pydantic import BaseModel


class Question(BaseModel):
    model: str
    body: str


@bentoml.service(workers=int(os.environ["WORKERS"]), traffic={"timeout": 600})
class People:
    def __init__(self) -> None:
        self.models = work.Models()

    @bentoml.api(route="/invocations")
    def invocations(self, question: Question) -> list[float]:
        return self.models.answer(question.model, question.body)

    @bentoml.api(route="/batching", batchable=True, max_batch_size=64, max_latency_ms=10_000)
    def batching(self, questions: list[Question]) -> list[list[float]]:
        bodies = [question.body for question in questions]
        return self.models.answer_all(questions[0].model, bodies)
