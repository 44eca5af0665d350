"""
Measures the models that people bring: this project, what they would pick, and both with batching.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any

from environments import FITTED, Absent
from load import wrk
from machine import speed
from server import START_S, Server, running
from subjects import Body, Subject

CHECKED = 10
# A run must end, also when a peer does not answer.
ANSWER_S = 20.0
# Of a prediction: engines and libraries may differ by a rounding in single precision.
NEAR = 1e-4
# The connections at which each model is asked; those that no ratio needs are left out.
CONNECTIONS = {
    "pipeline": (1, 16, 64),
    "lightgbm": (1, 16, 64),
    "xgboost": (1, 16, 64),
    "image": (16,),
    "text": (16,),
    "waiting": (16,),
}
# A look at everybody, which also warms them up.
LOOK_S, LOOK_CONNECTIONS = 1, 16

Figures = dict[str, dict[str, list[float]]]
Say = Callable[[str], None]


@dataclass
class Run:
    """
    What is up, who is absent and why, and the figures: by subject and name, one for each round.
    """

    models: Sequence[str]
    bodies: dict[str, list[Body]]
    servers: dict[tuple[str, str], Server] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    looks: Figures = field(default_factory=dict)
    figures: Figures = field(default_factory=dict)
    speeds: list[float] = field(default_factory=list)

    def asked(self, model: str, subjects: Sequence[Subject]) -> Iterator[tuple[Subject, Server]]:
        """
        Yield those that answer for a model.
        """
        for subject in subjects:
            if (subject.name, model) in self.servers:
                yield subject, self.servers[subject.name, model]

    def lose(self, subject: Subject, model: str, why: object) -> None:
        """
        Note that a subject does not answer for a model.
        """
        self.servers.pop((subject.name, model), None)
        self.absent[f"{subject.name} {model}"] = str(why)
        print(f"{subject.name} {model}: absent: {why}", flush=True)


def sent(model: str) -> list[Body]:
    """
    Read the bodies that were written when the model was fitted.
    """
    content_type = _about(model)["content_type"]
    rest, bodies = (FITTED / f"{model}.bodies").read_bytes(), []
    while rest:
        length, _, rest = rest.partition(b"\n")
        bodies.append(Body(model, rest[: int(length)], content_type))
        rest = rest[int(length) :]
    return bodies


def _about(model: str) -> dict[str, Any]:
    return json.loads((FITTED / f"{model}.json").read_text())


def predictions(answer: bytes) -> list[float]:
    """
    Find the numbers in an answer, the one list of a JSON or lines of a CSV; raises Absent.
    """
    try:
        if not answer.startswith((b"{", b"[")):
            return [float(line) for line in answer.split()]
        found: Any = json.loads(answer)
        while not isinstance(found, list) or isinstance(found[0], dict | list):
            if isinstance(found, list):
                (found,) = found
            else:
                (name,) = {"predictions", "outputs", "data"} & found.keys()
                found = found[name]
        return [float(each) for each in found]
    except (ValueError, TypeError, AttributeError, IndexError):
        raise Absent(f"the answer holds no predictions: {answer[:200]!r}") from None


def measure(
    subjects: Sequence[Subject], models: Sequence[str], rounds: int, seconds: int, root: Path
) -> Run:
    """
    Start all subjects, look at each briefly, and then measure the contenders next to each other.
    """
    run = Run(models, {model: sent(model) for model in models})
    with ExitStack() as started:
        for subject in subjects:
            _start(run, subject, root, started)
        for model in models:
            for subject, server in list(run.asked(model, subjects)):
                try:
                    with server.alone():
                        _check(server, model, run.bodies[model])
                except (Absent, OSError, HTTPException) as error:
                    run.lose(subject, model, error)
        print(f"looking at {len(run.servers)} pairs of a subject and a model", flush=True)
        for model in models:
            _ask(run, run.looks, model, subjects, LOOK_CONNECTIONS, LOOK_S)
        for number in range(rounds):
            began = time.monotonic()
            for model in models:
                chosen = contenders(run, model, subjects)
                for connections in CONNECTIONS[model]:
                    _ask(run, run.figures, model, chosen, connections, seconds)
            run.speeds.append(speed())
            print(f"round {number + 1}: {time.monotonic() - began:.0f} s", flush=True)
    return run


def _start(run: Run, subject: Subject, root: Path, started: ExitStack) -> None:
    """
    Start a peer once for all its models, this project once for each.
    """
    models = [model for model in run.models if model in subject.models]
    starts = [[model] for model in models] if subject.role == "ours" else [models] if models else []
    for some in starts:
        began = time.monotonic()
        try:
            with ExitStack() as one:
                server = one.enter_context(running(subject, root, some))
                server.wait_for_ping()
                # Some answer a ping before their workers are up.
                with server.alone():
                    server.predict(run.bodies[some[0]][0], START_S)
                started.push(one.pop_all())
        except (Absent, OSError, HTTPException) as error:
            for model in some:
                run.lose(subject, model, error)
            continue
        run.servers |= {(subject.name, model): server for model in some}
        print(
            f"started {subject.name} {','.join(some)}: {time.monotonic() - began:.0f} s", flush=True
        )


def _check(server: Server, model: str, bodies: Sequence[Body]) -> None:
    """
    Raise Absent unless the answers are those of the model.
    """
    wanted = _about(model)["predictions"]
    for body, expected in list(zip(bodies, wanted, strict=True))[:CHECKED]:
        found = predictions(server.predict(body, ANSWER_S))
        if len(found) != 1 or abs(found[0] - expected) > NEAR * max(1, abs(expected)):
            raise Absent(f"{model} was answered {found}; expected {expected}")


def _ask(
    run: Run, into: Figures, model: str, subjects: Sequence[Subject], connections: int, seconds: int
) -> None:
    """
    Ask those that are given one after the other, so that what is compared is measured together.
    """
    for subject, server in list(run.asked(model, subjects)):
        try:
            with server.alone():
                found = wrk(server, run.bodies[model], connections, seconds)
        except (Absent, OSError) as error:
            run.lose(subject, model, error)
            continue
        figures = into.setdefault(subject.name, {})
        for name, value in vars(found).items():
            figures.setdefault(f"{model}_{connections}_{name}", []).append(value)


def contenders(run: Run, model: str, subjects: Sequence[Subject]) -> list[Subject]:
    """
    Return this project, naive Flask, and the peer that had most requests/s at first sight, without
    batching and with.
    """

    def most(batches: bool) -> list[Subject]:
        peers = [each for each, _ in run.asked(model, subjects) if each.batches == batches]
        peers = [each for each in peers if each.role == "peer" and each.name in run.looks]
        figure = f"{model}_{LOOK_CONNECTIONS}_per_s"
        return sorted(peers, key=lambda each: -run.looks[each.name].get(figure, [0.0])[-1])[:1]

    chosen = {each.name for each in (*most(False), *most(True))} | {"flask"}
    return [each for each in subjects if each.role == "ours" or each.name in chosen]
