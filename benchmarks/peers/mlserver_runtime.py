"""
MLServer: its own runtime in parallel workers; the body is a BYTES tensor.

    python mlserver_runtime.py PORT FOLDER

writes the settings into FOLDER and serves it.
"""

import json
import os
import sys
from itertools import chain
from pathlib import Path

import numpy as np
import work
from mlserver import MLModel
from mlserver.cli.main import main
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse

BATCHING = {"max_batch_size": 64, "max_batch_time": 0.005} if os.environ.get("BATCHING") else {}


class People(MLModel):
    async def load(self) -> bool:
        self.models = work.Models(self.name)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        bodies = StringCodec.decode_input(payload.inputs[0])
        found = list(chain.from_iterable(self.models.answer_all(self.name, bodies)))
        output = NumpyCodec.encode_output("predictions", np.array(found))
        return InferenceResponse(model_name=self.name, outputs=[output])


if __name__ == "__main__":
    port, folder = int(sys.argv[1]), Path(sys.argv[2])
    settings = {
        "host": "127.0.0.1",
        "http_port": port,
        "grpc_port": port + 1,
        "metrics_port": port + 2,
        "parallel_workers": int(os.environ["WORKERS"]),
        "grpc_max_message_length": 2**31 - 1,
        "metrics_dir": str(folder / "metrics"),
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    for name in os.environ["BENCHMARK_MODELS"].split(","):
        model = {"name": name, "implementation": "mlserver_runtime.People"} | BATCHING
        (folder / name).mkdir()
        (folder / name / "model-settings.json").write_text(json.dumps(model))
    sys.argv[1:] = ["start", str(folder)]
    main()
