"""
The classic sample's Flask application: a class that keeps the model, two routes, pandas.
"""

from io import StringIO

import fares
import flask
import pandas as pd


class ScoringService:
    model = None

    @classmethod
    def get_model(cls):
        if cls.model is None:
            cls.model = fares.load()
        return cls.model

    @classmethod
    def predict(cls, trips):
        return fares.predict(cls.get_model(), trips)


app = flask.Flask(__name__)


@app.route("/ping", methods=["GET"])
def ping():
    healthy = ScoringService.get_model() is not None
    return flask.Response("\n", status=200 if healthy else 404, mimetype="application/json")


@app.route("/invocations", methods=["POST"])
def invocations():
    if flask.request.content_type != "text/csv":
        return flask.Response("only CSV is taken", status=415, mimetype="text/plain")
    trips = pd.read_csv(StringIO(flask.request.data.decode("utf-8")))
    predictions = ScoringService.predict(trips)
    out = StringIO()
    pd.DataFrame({"results": predictions}).to_csv(out, header=False, index=False)
    return flask.Response(out.getvalue(), status=200, mimetype="text/csv")
