"""
LitServe: model and body are fields of a JSON request.

    python litserve_app.py PORT
"""

import os
import sys

import litserve
import work

BATCHING = {"max_batch_size": 64, "batch_timeout": 0.005} if os.environ.get("BATCHING") else {}


class People(litserve.LitAPI):
    def setup(self, device):
        self.models = work.Models()

    def decode_request(self, request):
        return request["model"], request["body"]

    def batch(self, inputs):
        return inputs

    def predict(self, x):
        if not BATCHING:
            return self.models.answer(*x)
        return self.models.answer_all(x[0][0], [body for _, body in x])

    def unbatch(self, output):
        return output

    def encode_response(self, output):
        return {"predictions": output}


if __name__ == "__main__":
    workers = int(os.environ["WORKERS"])
    api = People(api_path="/invocations", **BATCHING)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=workers, timeout=600)
    server.run(
        host="127.0.0.1", port=int(sys.argv[1]), num_api_servers=workers, generate_client_file=False
    )
