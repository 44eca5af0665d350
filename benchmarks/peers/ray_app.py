"""
Ray Serve: a deployment with as many replicas as workers.

    python ray_app.py PORT FOLDER
"""

import os
import sys

import fares
import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

WORKERS = int(os.environ["WORKERS"])


@serve.deployment(num_replicas=WORKERS, max_ongoing_requests=64)
class Fares:
    def __init__(self) -> None:
        self.estimator = fares.load()

    async def __call__(self, request: Request) -> Response:
        return Response(fares.answer(self.estimator, await request.body()), media_type="text/csv")


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
    serve.run(Fares.bind(), route_prefix="/invocations", blocking=True)
