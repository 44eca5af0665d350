"""
The classic sample's Flask application: a class that keeps the model, two routes.
"""

import json

import flask
import work


class ScoringService:
    models = None

    @classmethod
    def get_models(cls):
        if cls.models is None:
            cls.models = work.Models()
        return cls.models

    @classmethod
    def predict(cls, name, body):
        return cls.get_models().answer(name, body)


app = flask.Flask(__name__)


@app.route("/ping", methods=["GET"])
def ping():
    healthy = ScoringService.get_models() is not None
    return flask.Response("\n", status=200 if healthy else 404, mimetype="application/json")


@app.route("/invocations", methods=["POST"])
@app.route("/invocations/<name>", methods=["POST"])
def invocations(name="fares"):
    predictions = ScoringService.predict(name, flask.request.data)
    result = json.dumps({"predictions": predictions})
    return flask.Response(result, status=200, mimetype="application/json")
