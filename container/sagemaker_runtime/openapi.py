"""
An OpenAPI 3.1 description of what is served, made of an algorithm's INPUT and OUTPUT.

``serve --openapi`` prints it and ``train`` puts it beside the model; the server itself does not
show it. A Reader and a Writer may offer ``json_schema(media_type)``: a JSON Schema of the body of
that type, whose ``$defs`` become components here. Without it, JSON is any JSON, ``text/…`` a
string, and everything else bytes.
"""

import json
from typing import Any

from sagemaker_runtime.algorithm import Algorithm, Reader, Writer
from sagemaker_runtime.formats.media_types import JSON

FILE = "openapi.json"

# What SageMaker passes on, and its limits; see answers.py.
HEADERS = {"X-Amzn-SageMaker-Inference-Id": 64, "X-Amzn-SageMaker-Custom-Attributes": 1024}

ERRORS = {
    400: "The body is not what its Content-Type says, or the request is not valid HTTP.",
    404: "No model of this name is loaded.",
    406: "None of the media types in Accept can be written.",
    408: "The body stopped coming.",
    409: "A model of this name is loaded.",
    413: "The body is larger than the setting MODEL_SERVER_MAX_PAYLOAD_MB.",
    414: "The URL is too long, as with a very long name of a model.",
    415: "The Content-Type or the Content-Encoding is not one that is read.",
    417: "Expect is something else than 100-continue.",
    422: "A value, row or column breaks the rules of the input.",
    431: "The headers are too large.",
    500: "The prediction failed; the log has the cause under the request id.",
    501: "The Transfer-Encoding is not known.",
    502: "The worker ended before it answered.",
    503: "The model does not answer, or the server is stopping.",
    504: "No answer within the setting MODEL_SERVER_TIMEOUT.",
    507: "The model does not fit beside those that are loaded.",
}
# What any route may answer, and what only those for several models do.
ALWAYS = 500, 502, 503, 504
OF_MODELS = 404, 409, 414, 507

Schema = dict[str, Any]


def text(algorithm: Algorithm, multi_model: bool = False) -> str:
    """
    Return the description as JSON.
    """
    return json.dumps(describe(algorithm, multi_model), indent=2, ensure_ascii=False) + "\n"


def describe(algorithm: Algorithm, multi_model: bool = False) -> Schema:
    """
    Return the description as an OpenAPI document, of an endpoint with one model or with several.
    """
    components: dict[str, Schema] = {"Error": _error()}
    question = _contents(algorithm.input, "Input", components)
    answer = _contents(algorithm.output, "Output", components)
    for media_type, example in _examples(algorithm.input).items():
        question[media_type]["example"] = example
    predict = _invocations(question, answer)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": algorithm.name,
            "version": "1",
            "description": "A model as SageMaker serves it. A body may be compressed by gzip, "
            "which Content-Encoding then says.",
        },
        "paths": {
            "/ping": {"get": _ping()},
            "/execution-parameters": {"get": _execution_parameters()},
            "/metrics": {"get": _metrics()},
            **(_models(predict) if multi_model else {"/invocations": {"post": predict}}),
        },
        "components": {"schemas": components},
    }


def _ping() -> Schema:
    return {
        "operationId": "ping",
        "summary": "Tell whether the model answers.",
        "responses": {
            "200": _answer_of("The model has answered its example.", status={"const": "healthy"}),
            **_refusals(*ALWAYS),
        },
    }


def _execution_parameters() -> Schema:
    number = {"type": "integer", "minimum": 1}
    return {
        "operationId": "execution_parameters",
        "summary": "Tell batch transform jobs what to send.",
        "responses": {
            "200": _answer_of(
                "How many requests at a time, of what size, and with how many records.",
                MaxConcurrentTransforms=number,
                MaxPayloadInMB=number,
                BatchStrategy={"enum": ["MULTI_RECORD", "SINGLE_RECORD"]},
            ),
            **_refusals(*ALWAYS),
        },
    }


def _metrics() -> Schema:
    described = {
        "description": "Counters and histograms over all workers, as Prometheus reads them."
    }
    content = {"text/plain": {"schema": {"type": "string"}}}
    return {
        "operationId": "metrics",
        "summary": "Tell how many requests, how fast, and what they held.",
        "responses": {"200": described | {"content": content}, **_refusals(*ALWAYS)},
    }


def _models(predict: Schema) -> Schema:
    """
    Return the routes of a multi-model endpoint, where ``predict`` is what each model does.
    """
    name: Schema = {"type": "string", "minLength": 1, "maxLength": 1024}
    named = [{"name": "model_name", "in": "path", "required": True, "schema": name}]
    model = _object({"modelName": {"type": "string"}, "modelUrl": {"type": "string"}})
    wanted = {"model_name": name, "url": {"type": "string"}}
    described = {"description": "The model.", "content": {JSON: {"schema": model}}}
    page = _answer_of("The models, at most 100.", models={"type": "array", "items": model})
    page["content"][JSON]["schema"]["properties"]["nextPageToken"] = {"type": "string"}
    return {
        "/models": {
            "get": {
                "operationId": "list_models",
                "summary": "List the models that are loaded, by pages.",
                "parameters": [
                    {"name": "next_page_token", "in": "query", "schema": {"type": "string"}}
                ],
                "responses": {"200": page, **_refusals(414, *ALWAYS)},
            },
            "post": {
                "operationId": "load_model",
                "summary": "Load the model in a folder.",
                "requestBody": {"required": True, "content": {JSON: {"schema": _object(wanted)}}},
                "responses": {"200": described, **_refusals(400, 408, 409, 413, *ALWAYS, 507)},
            },
        },
        "/models/{model_name}/invoke": {
            "parameters": named,
            "post": predict | {"responses": predict["responses"] | _refusals(404, 414)},
        },
        "/models/{model_name}": {
            "parameters": named,
            "get": {
                "operationId": "describe_model",
                "summary": "Tell from which folder a model was loaded.",
                "responses": {"200": described, **_refusals(404, 414, *ALWAYS)},
            },
            "delete": {
                "operationId": "unload_model",
                "summary": "Unload a model once no request uses it.",
                "responses": {"200": described, **_refusals(404, 414, *ALWAYS)},
            },
        },
    }


def _object(properties: Schema) -> Schema:
    return {"type": "object", "required": list(properties), "properties": properties}


def _answer_of(description: str, **properties: Schema) -> Schema:
    return {"description": description, "content": {JSON: {"schema": _object(properties)}}}


def _invocations(question: dict[str, Schema], answer: dict[str, Schema]) -> Schema:
    return {
        "operationId": "invocations",
        "summary": "Predict.",
        "parameters": [
            {"name": name, "in": "header", "schema": {"type": "string", "maxLength": length}}
            for name, length in HEADERS.items()
        ],
        "requestBody": {"required": True, "content": question},
        "responses": {
            "200": {
                "description": "The prediction, in the type that Accept asks for; without it, in "
                "the request's where that can be written.",
                "headers": {
                    "X-Request-Id": {
                        "description": "What names the request in the log.",
                        "required": True,
                        "schema": {"type": "string"},
                    }
                },
                "content": answer,
            },
            **_refusals(*(each for each in ERRORS if each not in OF_MODELS)),
        },
    }


def _refusals(*statuses: int) -> dict[str, Schema]:
    content = {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {str(each): {"description": ERRORS[each], "content": content} for each in statuses}


def _error() -> Schema:
    where = {"row": {"type": "integer", "minimum": 1}, "column": {"type": "string"}}
    error = {
        "code": {"type": "string", "description": "What went wrong, for programs."},
        "message": {"type": "string", "description": "What went wrong and what to do."},
        "where": {"type": "object", "properties": where},
        "request_id": {"type": "string"},
    }
    required = ["code", "message", "request_id"]
    return {
        "type": "object",
        "required": ["error"],
        "properties": {"error": {"type": "object", "required": required, "properties": error}},
    }


def _contents(
    part: Reader | Writer, prefix: str, components: dict[str, Schema]
) -> dict[str, Schema]:
    """
    Return each media type of INPUT or OUTPUT with its schema, and add what these refer to to
    ``components``, under names that begin with ``prefix``.
    """
    schema_of = getattr(part, "json_schema", _usual_schema)
    contents = {}
    for media_type in part.media_types:
        # References within the schema become references within the document.
        whole = json.dumps(schema_of(media_type))
        schema = json.loads(
            whole.replace('"$ref": "#/$defs/', f'"$ref": "#/components/schemas/{prefix}')
        )
        definitions = schema.pop("$defs", {})
        components |= {f"{prefix}{name}": each for name, each in definitions.items()}
        contents[media_type] = {"schema": schema}
    return contents


def _usual_schema(media_type: str) -> Schema:
    if media_type == JSON or media_type.endswith("+json"):
        return {}
    return {"type": "string"} if media_type.startswith("text/") else _bytes()


def _bytes() -> Schema:
    return {"type": "string", "format": "binary"}


def _examples(reader: Reader) -> dict[str, Any]:
    """
    Return the example of the self-test by its media type, where it is JSON or text.
    """
    found = reader.example()
    if found is None:
        return {}
    media_type, body = found
    if media_type not in reader.media_types:
        return {}
    if media_type == JSON or media_type.endswith("+json"):
        return {media_type: json.loads(body)}
    return {media_type: body.decode()} if media_type.startswith("text/") else {}
