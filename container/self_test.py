"""
Loads a model and predicts the example as ``serve`` does: ``train`` starts this before it publishes.

It writes why the model cannot be served, or nothing when it can, into the failure file below
``SAGEMAKER_BASE_DIR``.
"""

import os
import sys

from predictor import Predictor
from sagemaker_runtime.algorithm import find_algorithm
from sagemaker_runtime.errors import NoServingCode
from sagemaker_runtime.paths import Paths

if __name__ == "__main__":
    paths = Paths.from_environ(os.environ)
    predictor = Predictor(find_algorithm(), paths.model)
    reason = predictor.health() or ""
    if isinstance(predictor.error, NoServingCode):
        print("the model is published untested")
        reason = ""
    paths.failure.parent.mkdir(exist_ok=True)
    paths.failure.write_text(reason, encoding="utf-8", errors="backslashreplace")
    sys.stdout.flush()
    os._exit(0)  # without waiting for threads that loading has started
