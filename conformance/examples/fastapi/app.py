"""FastAPI: one route for pings, one for predictions."""

from io import StringIO

import joblib
import pandas as pd
from fastapi import FastAPI, Request, Response

app = FastAPI()
model = joblib.load("/opt/ml/model/model.joblib")


@app.get("/ping")
def ping():
    return {"status": "ok"}


@app.post("/invocations")
async def invocations(request: Request):
    text = (await request.body()).decode("utf-8")
    data = pd.read_csv(StringIO(text), header=None)
    predictions = model.predict(data.values)
    return Response("\n".join(map(str, predictions)) + "\n", media_type="text/csv")
