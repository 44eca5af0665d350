"""
Flask as one writes it first, under gunicorn.
"""

import work
from flask import Flask, jsonify, request

app = Flask(__name__)
models = work.Models()


@app.get("/ping")
def ping():
    return ""


@app.post("/invocations")
@app.post("/invocations/<name>")
def invocations(name="fares"):
    return jsonify(predictions=models.answer(name, request.get_data()))
