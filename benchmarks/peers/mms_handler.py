"""
What AWS's inference toolkit calls; the model server calls ``handle``, first of all with no data.
"""

import json
import os

import work
from sagemaker_inference.default_handler_service import DefaultHandlerService
from sagemaker_inference.default_inference_handler import DefaultInferenceHandler
from sagemaker_inference.transformer import Transformer

NAME = os.environ["BENCHMARK_MODELS"]


def load(model_dir, context=None):
    return work.Models()


def read(body, content_type, context=None):
    return body


def predict(body, models, context=None):
    return models.answer(NAME, body if isinstance(body, str) else bytes(body))


def write(prediction, accept, context=None):
    return json.dumps({"predictions": prediction})


handler = DefaultInferenceHandler()
handler.default_model_fn = load
handler.default_input_fn = read
handler.default_predict_fn = predict
handler.default_output_fn = write
service = DefaultHandlerService(Transformer(handler))


def handle(data, context):
    if data is None:
        return service.initialize(context)
    return service.handle(data, context)
