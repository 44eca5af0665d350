"""
Ray Serve: a deployment with as many replicas as workers.

    python ray_app.py PORT FOLDER
"""

import os
import sys

import ray
import work
from ray import serve
from starlette.requests import Request

WORKERS = int(os.environ["WORKERS"])
BATCHING = bool(os.environ.get("BATCHING"))


@serve.deployment(num_replicas=WORKERS, max_ongoing_requests=64)
class People:
    def __init__(self) -> None:
        self.models = work.Models()

    async def __call__(self, request: Request) -> dict[str, list[float]]:
        name = request.url.path.removeprefix("/invocations").strip("/") or "fares"
        body = await request.body()
        found = await self.batch((name, body)) if BATCHING else self.models.answer(name, body)
        return {"predictions": found}

    @serve.batch(max_batch_size=64, batch_wait_timeout_s=0.005)
    async def batch(self, questions: list[tuple[str, bytes]]) -> list[list[float]]:
        return self.models.answer_all(questions[0][0], [body for _, body in questions])


if __name__ == "__main__":
    port, folder = int(sys.argv[1]), sys.argv[2]
    # More than the machine has: Ray would not start the controller beside two replicas.
    ray.init(
        num_cpus=WORKERS + 2,
        include_dashboard=False,
        _temp_dir=folder,
        _node_ip_address="127.0.0.1",
        object_store_memory=512 * 1024**2,
    )
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run(People.bind(), route_prefix="/invocations", blocking=True)
