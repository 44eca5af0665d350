"""
The application that gunicorn serves; ``gunicorn.conf.py`` sets up its log lines.
"""

import os

from api import create_app
from predictor import Predictor
from sagemaker_runtime.algorithm import find_algorithm
from sagemaker_runtime.baseline.content import Baseline
from sagemaker_runtime.paths import Paths
from sagemaker_runtime.serving import imports, metrics
from sagemaker_runtime.settings import Settings

settings = Settings.from_environ(os.environ)
algorithm = find_algorithm()
if settings.multi_model == "true":
    from loading import Models  # here, since most endpoints do without

    app = create_app(Models(algorithm, settings), settings)
else:
    model_dir = Paths.from_environ(os.environ).model
    predictor = Predictor(algorithm, model_dir)
    metrics.recorder.describe(Baseline.load(model_dir), predictor.load_s)
    app = create_app(predictor, settings)
imports.tell()
