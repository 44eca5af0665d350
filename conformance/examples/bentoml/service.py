"""BentoML: a service whose route is where SageMaker asks; /ping is an ASGI application's."""

from io import StringIO

import bentoml
import joblib
import pandas as pd
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

health = Starlette(routes=[Route("/ping", lambda request: PlainTextResponse(""))])


@bentoml.service(workers=2, traffic={"timeout": 60})
@bentoml.asgi_app(health)
class Linear:
    def __init__(self) -> None:
        self.model = joblib.load("/opt/ml/model/model.joblib")

    @bentoml.api(route="/invocations")
    def invocations(self, csv: str, /) -> str:
        data = pd.read_csv(StringIO(csv), header=None)
        return "\n".join(map(str, self.model.predict(data.values))) + "\n"
