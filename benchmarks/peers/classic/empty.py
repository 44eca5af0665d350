"""
An empty route for the classic stack: what nginx and gunicorn cost by themselves.
"""

import flask

app = flask.Flask(__name__)


@app.route("/ping", methods=["GET"])
def ping():
    return flask.Response("\n", status=200, mimetype="application/json")


@app.route("/invocations", methods=["POST"])
def invocations():
    _ = flask.request.data
    return flask.Response("11.30\n", status=200, mimetype="text/csv")
