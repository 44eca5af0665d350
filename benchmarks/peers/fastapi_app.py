"""
FastAPI: the work in its thread pool, so that pings are answered meanwhile.
"""

import fares
from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool

app = FastAPI()
estimator = fares.load()


@app.get("/ping")
async def ping() -> Response:
    return Response()


@app.post("/invocations")
async def invocations(request: Request) -> Response:
    text = await run_in_threadpool(fares.answer, estimator, await request.body())
    return Response(text, media_type="text/csv")
