"""
AWS's inference toolkit on its multi-model-server, as AWS's framework images run it.

    python mms_server.py PORT FOLDER
"""

import json
import os
import shutil
import sys
from pathlib import Path

MANIFEST = {
    "specificationVersion": "1.0",
    "implementationVersion": "1.0",
    "model": {"modelName": "model", "handler": "mms_handler.py:handle"},
}

port, run = sys.argv[1], Path(sys.argv[2])
model = run / "models/model"
(model / "MAR-INF").mkdir(parents=True)
(model / "MAR-INF/MANIFEST.json").write_text(json.dumps(MANIFEST))
shutil.copy(Path(__file__).with_name("mms_handler.py"), model)
(run / "mms.properties").write_text(f"""\
inference_address=http://127.0.0.1:{port}
management_address=http://127.0.0.1:{port}
default_workers_per_model={os.environ["WORKERS"]}
max_request_size=209715200
max_response_size=209715200
default_response_timeout=600
decode_input_request=false
async_logging=true
""")
os.chdir(run)  # it writes its logs where it stands
start = str(Path(sys.executable).with_name("multi-model-server"))
options = ["--mms-config", str(run / "mms.properties"), "--model-store", str(run / "models")]
options += ["--start", "--foreground", "--models", "model=model"]
os.execv(sys.executable, [sys.executable, start, *options])  # noqa: S606 - the model server
