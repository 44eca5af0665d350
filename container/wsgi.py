"""
The application that gunicorn serves; ``gunicorn.conf.py`` sets up its log lines.
"""

import os

from api import create_app
from predictor import Predictor
from sagemaker_runtime.algorithm import find_algorithm
from sagemaker_runtime.paths import Paths
from sagemaker_runtime.settings import Settings

app = create_app(
    Predictor(find_algorithm(), Paths.from_environ(os.environ).model),
    Settings.from_environ(os.environ),
)
