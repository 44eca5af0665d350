"""{"inputs": …, "parameters": {…}} in, nested JSON out."""

from sagemaker_runtime.algorithm import Json
from sagemaker_runtime.errors import InvalidValue

INPUT = Json(example={"inputs": "to be or not to be", "parameters": {"top": 2}})
OUTPUT = Json()
HYPERPARAMETERS = ()


def train(job):
    (job.model_dir / "stop_words.txt").write_text("or not")


def load(model_dir):
    return set((model_dir / "stop_words.txt").read_text().split())


def predict(stop_words, request):
    top = request.get("parameters", {}).get("top", 1)
    if not isinstance(top, int):
        raise InvalidValue(f"parameters.top is {top!r}; expected a whole number such as 2")
    words = [word for word in request["inputs"].split() if word not in stop_words]
    counts = {word: words.count(word) for word in words}
    ranked = sorted(counts, key=counts.get, reverse=True)[:top]
    return [{"word": word, "details": {"count": counts[word], "score": None}} for word in ranked]
