"""
FastAPI: the work in its thread pool, so that pings are answered meanwhile.
"""

import work
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool

app = FastAPI()
models = work.Models()


@app.get("/ping")
async def ping() -> str:
    return ""


@app.post("/invocations")
@app.post("/invocations/{name}")
async def invocations(request: Request, name: str = "fares") -> dict[str, list[float]]:
    return {"predictions": await run_in_threadpool(models.answer, name, await request.body())}
