"""
Makes a copy of container/ whose application answers at once: the limit of this nginx and gunicorn.

    python empty_route.py FOLDER
"""

import shutil
import sys
from pathlib import Path

APPLICATION = """\
from flask import Flask, request

app = Flask(__name__, static_folder=None)


@app.get("/ping")
def ping():
    return b""


@app.post("/invocations")
def invocations():
    request.get_data(cache=False)
    return b"11.30\\n"
"""

container = Path(__file__).parents[2] / "container"
folder = Path(sys.argv[1])
shutil.rmtree(folder, ignore_errors=True)
shutil.copytree(container, folder, ignore=shutil.ignore_patterns("taxi_fare", "__pycache__"))
(folder / "wsgi.py").write_text(APPLICATION)
