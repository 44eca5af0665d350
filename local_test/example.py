"""
Writes the algorithm's own example request: its Content-Type on the first line, then its body.

predict.sh hands this file to the Python that has the program: in a container, or here.
"""

import sys
from pathlib import Path

# In an image the program's folder is the current one, here it lies beside this file's folder.
PROGRAM = Path("container") if Path("container/train").exists() else Path.cwd()
sys.path.insert(0, str(PROGRAM.resolve()))

from sagemaker_runtime.algorithm import find_algorithm  # noqa: E402

example = find_algorithm(PROGRAM.resolve()).input.example()
if example is None:
    sys.exit("this algorithm has no example")
content_type, body = example
sys.stdout.buffer.write(content_type.encode() + b"\n" + body)
