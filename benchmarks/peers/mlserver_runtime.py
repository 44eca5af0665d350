"""
MLServer: its own runtime in parallel workers; the CSV is a BYTES tensor.

    python mlserver_runtime.py PORT FOLDER

writes the settings into FOLDER and serves it.
"""

import json
import os
import sys
from io import BytesIO
from pathlib import Path

import fares
import pandas as pd
from mlserver import MLModel
from mlserver.cli.main import main
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Fares(MLModel):
    async def load(self) -> bool:
        self.estimator = fares.load()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        csv = StringCodec.decode_input(payload.inputs[0])[0]
        predictions = fares.predict(self.estimator, pd.read_csv(BytesIO(csv.encode())))
        output = NumpyCodec.encode_output("fares", predictions)
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
    }
    model = {"name": "fares", "implementation": "mlserver_runtime.Fares"}
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "model-settings.json").write_text(json.dumps(model))
    sys.argv[1:] = ["start", str(folder)]
    main()
