"""What AWS's inference toolkit calls: its default handler with the four functions below."""

import os

import joblib
from sagemaker_inference import decoder, encoder
from sagemaker_inference.default_handler_service import DefaultHandlerService
from sagemaker_inference.default_inference_handler import DefaultInferenceHandler
from sagemaker_inference.transformer import Transformer


class Handler(DefaultInferenceHandler):
    def default_model_fn(self, model_dir, context=None):
        return joblib.load(os.path.join(model_dir, "model.joblib"))

    def default_input_fn(self, input_data, content_type, context=None):
        return decoder.decode(input_data, content_type)

    def default_predict_fn(self, data, model, context=None):
        return model.predict(data.reshape(-1, 2))

    def default_output_fn(self, prediction, accept, context=None):
        return encoder.encode(prediction, accept)


service = DefaultHandlerService(Transformer(Handler()))


def handle(data, context):
    if data is None:
        return service.initialize(context)
    return service.handle(data, context)
