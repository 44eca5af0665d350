"""
Hosting: several models in one container.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from conformance.client import Answer, ask
from conformance.endpoint import Endpoint
from conformance.verdicts import Area, Failed, NotOffered

if TYPE_CHECKING:
    from conformance.lab import Lab

area = Area("several models")

LABEL = "com.amazonaws.sagemaker.capabilities.multi-models=true"
ABSENT = (404, 405, 501)
MODELS = "/opt/ml/models"
CALLS = 30  # more than a server has workers


class Models:
    """
    The calls by which the platform loads, lists, asks and unloads models.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def call(self, method: str, path: str, body: object = None) -> Answer:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if data else {}
        limit = self._endpoint.limits.answer
        return ask(self._endpoint.address, path, data, headers, method=method, timeout=limit)

    def load(self, name: str, folder: str) -> Answer:
        url = f"{MODELS}/{folder}/model"
        return self.call("POST", "/models", {"model_name": name, "url": url})

    def unload(self, name: str) -> Answer:
        return self.call("DELETE", f"/models/{quote(name, safe='')}")

    def get(self, name: str) -> Answer:
        return self.call("GET", f"/models/{quote(name, safe='')}")

    def names(self) -> list[str]:
        """
        Return the names of the loaded models, over all pages.
        """
        names: list[str] = []
        token = ""
        while True:
            query = f"?next_page_token={quote(token, safe='')}" if token else ""
            found = expect(self.call("GET", f"/models{query}"), 200, "GET /models").json()
            if not isinstance(found, dict) or not isinstance(found.get("models"), list):
                raise Failed(f'GET /models: expected {{"models": [...]}}, got {found!r}'[:300])
            names += [str(model.get("modelName")) for model in found["models"]]
            token = found.get("nextPageToken") or ""
            if not token:
                return names

    def invoke(self, name: str, lab: "Lab") -> Answer:
        path = f"/models/{quote(name, safe='')}/invoke"
        headers = {"Content-Type": lab.sample.content_type}
        limit = lab.limits.answer
        return ask(self._endpoint.address, path, lab.sample.body, headers, timeout=limit)


def expect(answer: Answer, status: int, what: str) -> Answer:
    """
    Return the answer; raises Failed when it has another status.
    """
    if answer.status != status:
        raise Failed(f"{what}: expected {status}, got {answer}")
    return answer


@contextmanager
def _models(lab: "Lab", *, offered: bool = True) -> Iterator[Models]:
    """
    Serve models "first", "second" and one that is damaged; raises NotOffered where the image does
    not serve several.
    """
    lab.servers.need_healthy()
    if offered and not lab.label("multi-models"):
        raise NotOffered("the label is not there")
    folder = lab.new_folder("models")
    for name in ("first", "second"):
        shutil.copytree(lab.model, folder / name / "model")
    damage = lambda _, to: Path(to).write_bytes(b"damaged\n")  # noqa: E731
    shutil.copytree(lab.model, folder / "damaged/model", copy_function=damage)
    options = ("--mount", f"type=bind,source={folder},target={MODELS},readonly")
    variables = {"SAGEMAKER_MULTI_MODEL": "true"}
    with lab.servers.serving(None, options=options, variables=variables) as endpoint:
        try:
            endpoint.wait(lab.servers.patience if offered else 2 * lab.servers.start.seconds + 3)
        except Failed as error:
            if not offered:
                raise NotOffered(f"no label, and with SAGEMAKER_MULTI_MODEL=true {error}") from None
            raise Failed(f"labelled, but with SAGEMAKER_MULTI_MODEL=true {error}") from None
        yield Models(endpoint)


@area.check(
    "models-label",
    "Where the label says so, the calls for several models are there.",
    consequence="SageMaker takes the image for multi-model endpoints, and every call fails.",
    remedy=f"Answer the five calls below /models and set LABEL {LABEL}, or neither.",
)
def models_label(lab: "Lab") -> str:
    labelled = lab.label("multi-models")
    with _models(lab, offered=labelled) as models:
        answer = models.call("GET", "/models")
        there = answer.status == 200 and answer.content_type.endswith("json")
    if labelled and not there:
        raise Failed(f"labelled, but GET /models is answered with {answer}")
    if not labelled and there:
        # Nothing on SageMaker uses it: a build may leave the label out on purpose.
        raise NotOffered(
            f"the calls are there, but not the label, so SageMaker offers none: {LABEL}"
        )
    if not labelled:
        raise NotOffered(f"no label, and GET /models is answered with {answer.status}")
    return f"labelled, and GET /models is answered with {answer}"


@area.check(
    "models-load",
    "A model is loaded once: 200, and 409 when it is loaded already.",
    consequence="The platform's loads fail, or the same model takes memory twice.",
    remedy="Answer POST /models with 200, and with 409 for a name that is loaded.",
)
def models_load(lab: "Lab") -> str:
    with _models(lab) as models:
        expect(models.load("one", "first"), 200, "POST /models")
        expect(models.load("one", "first"), 409, "POST /models again")
        expect(models.load("two", "second"), 200, "POST /models for a second model")
    return "200, 409, and 200 for another"


@area.check(
    "models-list",
    "All workers agree, call by call, on which models are loaded.",
    consequence="The platform loads models that are there and asks those that are not.",
    remedy="Keep one registry for all workers.",
)
def models_list(lab: "Lab") -> str:
    with _models(lab) as models:
        if models.names():
            raise Failed(f"before a load: {models.names()}")
        expect(models.load("one", "first"), 200, "POST /models")
        expect(models.load("two", "second"), 200, "POST /models")
        for _ in range(CALLS):
            if sorted(models.names()) != ["one", "two"]:
                raise Failed(f"of one and two, GET /models shows {models.names()}")
            one = expect(models.get("one"), 200, "GET /models/one").json()
            if one.get("modelName") != "one" or "modelUrl" not in one:
                raise Failed(f"GET /models/one: expected modelName and modelUrl, got {one}")
    return f"the same in {CALLS} calls"


@area.check(
    "models-invoke",
    "Each loaded model answers, whichever worker is asked.",
    consequence="Some invocations of a loaded model fail.",
    remedy="Load a model in each worker, or send its requests to the one that has it.",
)
def models_invoke(lab: "Lab") -> str:
    with _models(lab) as models:
        for name, folder in (("one", "first"), ("two", "second")):
            expect(models.load(name, folder), 200, "POST /models")
        for number in range(CALLS):
            name = ("one", "two")[number % 2]
            expect(models.invoke(name, lab), 200, f"POST /models/{name}/invoke")
    return f"{CALLS} answers of two models"


@area.check(
    "models-unload",
    "An unloaded model is gone: 200, then 404.",
    consequence="Memory is not freed, and models that were replaced go on answering.",
    remedy="Answer DELETE /models/NAME with 200 once the memory is free, then with 404.",
)
def models_unload(lab: "Lab") -> str:
    with _models(lab) as models:
        expect(models.load("one", "first"), 200, "POST /models")
        expect(models.unload("one"), 200, "DELETE /models/one")
        for _ in range(CALLS // 3):
            expect(models.invoke("one", lab), 404, "POST /models/one/invoke after DELETE")
        expect(models.get("one"), 404, "GET /models/one after DELETE")
        expect(models.unload("one"), 404, "DELETE /models/one again")
        expect(models.load("one", "second"), 200, "POST /models after DELETE")
        expect(models.invoke("one", lab), 200, "POST /models/one/invoke")
    return "200, then 404; the name can be loaded again"


@area.check(
    "models-unknown",
    "A model that is not loaded is 404 in every call.",
    consequence="The platform does not load the model, since the error is another one.",
    remedy="Answer 404 for names that are not loaded.",
)
def models_unknown(lab: "Lab") -> str:
    with _models(lab) as models:
        expect(models.get("nobody"), 404, "GET /models/nobody")
        expect(models.unload("nobody"), 404, "DELETE /models/nobody")
        expect(models.invoke("nobody", lab), 404, "POST /models/nobody/invoke")
    return "404"


@area.check(
    "models-names",
    "A model's name may hold any character that a URL can encode.",
    consequence="Models whose archives lie in folders, or have blanks in their names, fail.",
    remedy="Decode the name once, take it as it is, and never as a path.",
)
def models_names(lab: "Lab") -> str:
    names = ("folder/model v1.tar.gz", "größe+%2F&x=1", "0a1b" * 16)
    with _models(lab) as models:
        for name in names:
            expect(models.load(name, "first"), 200, f"POST /models for {name!r}")
            found = expect(models.get(name), 200, f"GET for {name!r}").json()
            if found.get("modelName") != name:
                raise Failed(f"{name!r} was loaded, {found} is listed")
            expect(models.invoke(name, lab), 200, f"invoke for {name!r}")
            expect(models.unload(name), 200, f"DELETE for {name!r}")
    return ", ".join(names)[:100]


@area.check(
    "models-damaged",
    "A model that cannot be loaded fails its own load and harms no other.",
    consequence="One bad archive takes down all models of the instance.",
    remedy="Answer 4xx or 500 to its load, keep the others.",
)
def models_damaged(lab: "Lab") -> str:
    with _models(lab) as models:
        expect(models.load("one", "first"), 200, "POST /models")
        answer = models.load("bad", "damaged")
        if answer.status < 400 or answer.status in (409, 507):
            raise Failed(f"POST /models for a damaged model: {answer}")
        expect(models.invoke("one", lab), 200, "POST /models/one/invoke")
        if models.names() != ["one"]:
            raise Failed(f"after that, GET /models shows {models.names()}")
        expect(models.call("GET", "/ping"), 200, "GET /ping")
    return f"refused with {answer.status}, the other answers"
