"""
LitServe: the CSV is a field of a JSON request.

    python litserve_app.py PORT
"""

import os
import sys
from io import StringIO

import fares
import litserve
import pandas as pd


class Fares(litserve.LitAPI):
    def setup(self, device):
        self.estimator = fares.load()

    def decode_request(self, request):
        return pd.read_csv(StringIO(request["csv"]))

    def predict(self, x):
        return fares.predict(self.estimator, x)

    def encode_response(self, output):
        return {"fares": output.tolist()}


if __name__ == "__main__":
    workers = int(os.environ["WORKERS"])
    api = Fares(api_path="/invocations")
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=workers, timeout=600)
    server.run(
        host="127.0.0.1", port=int(sys.argv[1]), num_api_servers=workers, generate_client_file=False
    )
