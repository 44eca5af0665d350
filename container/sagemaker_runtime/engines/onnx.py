"""
ONNX models, asked through onnxruntime.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sagemaker_runtime.errors import ModelError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


def session(file: Path) -> "InferenceSession":
    """
    Open an ONNX model with the threads that ``serve`` gives a worker's libraries.

    onnxruntime's own choice is a thread for each processor, in each worker, and they spin while
    they wait: docs/performance.md has what that costs.

    Raises ModelError for a file that onnxruntime cannot read.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "1"))  # set by serve
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(file), options, ["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions have no common base class
        raise ModelError(f"onnxruntime cannot read {file.name}: {error}") from error
