"""
One model over the rows of several hosts: LightGBM's own socket learner, and what the hosts must
agree on first. Each function is called by all hosts, and trivial on one.

LightGBM finds the bins of each feature on one host, from its rows alone; with rows sorted by date
the error grew by 1 % so. Here all hosts find them from one sample of all rows, which is the same
however the rows are spread.
"""

import re
import socket
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sagemaker_runtime.algorithm import TrainingJob
from sagemaker_runtime.errors import HyperparameterError
from sagemaker_runtime.training.cluster import Cluster
from taxi_fare.blocks import Add
from taxi_fare.cleaning import HIGHEST_FARE, mixed
from taxi_fare.estimator import ROUGH_ROWS, pull, rough_model

# Minutes after which LightGBM gives up a host: more than the longest wait for a slow one, as the
# control plane finds the dead within seconds.
TIME_OUT = 60
# Dollars of which gradients are multiples. Those of 2^28 rows add up without rounding.
SMALLEST = np.float32(2.0**-16)
ROWS_AT_ONCE = 1 << 18  # whose hashes are computed together
NETWORK_LINES = re.compile(
    r"^\[(?:machines|num_machines|local_listen_port|time_out|tree_learner): .*\]\n", re.MULTILINE
)


def require_distributable(job: TrainingJob) -> None:
    """
    Raise HyperparameterError, before any data are read, for an estimator that trains on one host.
    """
    chosen = job.hyperparameters["estimator"]
    if len(job.cluster.hosts) > 1 and chosen != "lightgbm":
        raise HyperparameterError(
            f"estimator is {chosen!r}, which trains on one host, and the job has "
            f"{len(job.cluster.hosts)}; expected estimator=lightgbm, or instance_count=1."
        )


def added(cluster: Cluster) -> Add:
    """
    Return the function that adds up what each host hands in.
    """

    def add(values: ArrayLike) -> np.ndarray:
        return np.asarray(sum(cluster.gather(values)))

    return add


def median(fares: np.ndarray, cluster: Cluster) -> float:
    """
    Return the median of all hosts' fares; on several, to the cent, from how often each occurs.
    """
    if len(cluster.hosts) == 1:
        return float(np.median(fares))
    cents = np.rint(fares * 100).astype(np.int64)
    counts = added(cluster)(np.bincount(cents, minlength=int(HIGHEST_FARE * 100) + 1))
    up_to = np.cumsum(counts)
    middle = [(up_to[-1] - 1) // 2, up_to[-1] // 2]
    return float(np.mean(np.searchsorted(up_to, middle, side="right") / 100))


def fingerprint(own: str, cluster: Cluster) -> str:
    """
    Return one for the data of all hosts; where each has all of them, it is that of one host.
    """
    different = sorted({str(each) for each in cluster.gather(own)})
    return different[0] if len(different) == 1 else sha256("".join(different).encode()).hexdigest()


def sample(features: np.ndarray, fares: np.ndarray, cluster: Cluster) -> tuple[np.ndarray, Any]:
    """
    Return about ROUGH_ROWS rows of all hosts and their fares: the same on each host and in the same
    order, however the rows are spread over the hosts.
    """
    (rows,) = added(cluster)([len(fares)])
    hashes = _hashes(features)
    chosen = hashes / 2.0**64 < ROUGH_ROWS / max(rows, 1)
    features = np.concatenate(cluster.gather(features[chosen]))
    fares = np.concatenate(cluster.gather(fares[chosen]))
    order = np.lexsort((fares, _hashes(features)))
    return features[order], fares[order]


def _hashes(features: np.ndarray) -> np.ndarray:
    """
    Return a number for each row, uint64 and evenly spread, by its features alone.
    """
    factors = mixed(np.arange(features.shape[1], dtype=np.uint64)) | np.uint64(1)
    hashes = np.empty(len(features), np.uint64)
    for start in range(0, len(features), ROWS_AT_ONCE):
        bits = features[start : start + ROWS_AT_ONCE].astype(np.float32).view(np.uint32)
        hashes[start : start + ROWS_AT_ONCE] = (bits * factors).sum(1, dtype=np.uint64)
    return mixed(hashes)


def fit(
    estimator: Any,
    features: np.ndarray,
    fares: np.ndarray,
    stop: Callable[[int, Any], bool],
    cluster: Cluster,
    *,
    clip: float,
    begun: str = "",
) -> Any:
    """
    Return LightGBM's Booster, fitted as ``estimator`` says over the rows of all hosts, fares pulled
    to a rough model as on one host; the same trees on each host.

    ``stop(rounds, model)`` is called on every host after each round, and must say the same on all;
    ``model`` is None on a host without rows. ``begun`` is the text of a model to go on from.
    """
    import lightgbm as lgb

    asked = estimator.get_params()
    rounds = asked["n_estimators"]
    names = asked.keys() - {"n_estimators", "importance_type", "class_weight"}
    parameters = {name: asked[name] for name in names if asked[name] is not None}
    parameters |= {"pre_partition": True}
    some, some_fares = sample(features, fares, cluster)
    rough = rough_model(some, some_fares, estimator="lightgbm", seed=asked["random_state"])
    targets = pull(rough, features, fares, clip=clip)
    total, rows = added(cluster)([targets.sum(), len(targets)])
    mean = _rounded(total / max(rows, 1))
    bins = lgb.Dataset(some, params=parameters).construct()
    first = lgb.Booster(model_str=begun) if begun else None
    done = first.current_iteration() if first else 0

    ring, port = _ring(cluster, bool(len(fares)))
    if not len(fares):
        _keep_step(range(done + 1, rounds + 1), stop)
        text = _text_of_first(cluster, ring, None)
        return lgb.Booster(model_str=text)
    members = [address for address in ring if address]
    network = {
        "tree_learner": "data",
        "machines": ",".join(members),
        "num_machines": len(members),
        "local_listen_port": port,
        "time_out": TIME_OUT,
    }

    def after_round(state: Any) -> None:
        if state.iteration == 0:
            _raise_leaves(state.model, mean)
        if stop(state.iteration + 1, state.model):
            raise lgb.EarlyStopException(state.iteration, [])

    data = lgb.Dataset(
        features,
        targets.astype(np.float32),
        reference=bins,
        init_score=None if first else np.full(len(targets), mean),
        params=parameters,
        free_raw_data=first is None,
    )
    del targets
    booster = lgb.train(
        parameters | {"objective": exact_gradients} | (network if len(members) > 1 else {}),
        data,
        rounds - done,
        init_model=first,
        callbacks=[after_round],
    )
    booster.free_network()
    text = NETWORK_LINES.sub("", booster.model_to_string())
    _text_of_first(cluster, ring, text)
    return lgb.Booster(model_str=text)


def exact_gradients(scores: np.ndarray, data: Any) -> tuple[np.ndarray, np.ndarray]:
    """
    Return the derivatives of half the squared error, rounded so that their sums are exact.

    Sums of others depend on their order, and with it which of two features that divide the rows
    alike is taken: the models of two and of four hosts were 0.04 % apart.
    """
    errors = _rounded(scores.astype(np.float32) - data.get_label())
    return errors, np.ones_like(errors)


def _rounded(dollars: Any) -> Any:
    return np.rint(dollars / SMALLEST) * SMALLEST


def _raise_leaves(model: Any, mean: float) -> None:
    """
    Add to a model's first tree the mean that its fit started from, as LightGBM's own does.
    """
    (tree,) = model.dump_model(num_iteration=1)["tree_info"]
    for leaf in range(tree["num_leaves"]):
        model.set_leaf_output(0, leaf, model.get_leaf_output(0, leaf) + mean)


def _ring(cluster: Cluster, has_rows: bool) -> tuple[list[str], int]:
    """
    Return the address of each host that has rows, empty for others, and this one's port.

    A port serves one training: LightGBM does not open it a second time in a process.
    """
    with socket.create_server(("", 0)) as free:
        port = free.getsockname()[1]
    address = f"{cluster.address}:{port}" if has_rows else ""
    return [str(each) for each in cluster.gather(address)], port


def _keep_step(rounds: range, stop: Callable[[int, Any], bool]) -> None:
    """
    Make the calls of a fit on a host that LightGBM leaves out, having no rows.
    """
    for each in rounds:
        if stop(each, None):
            return


def _text_of_first(cluster: Cluster, ring: list[str], text: str | None) -> str:
    """
    Return the model to hosts without rows, if there are any: that of the first which has some.
    """
    if all(ring):
        return text or ""
    first = next(number for number, address in enumerate(ring) if address)
    own = (text or "").encode() if cluster.rank == first else b""
    return cluster.gather(np.frombuffer(own, np.uint8))[first].tobytes().decode()


def from_leader(model: Any, cluster: Cluster) -> str:
    """
    Return the text of the leader's Booster to all hosts, empty where it has none.
    """
    text = "" if model is None else model.model_to_string()
    return cluster.broadcast(np.frombuffer(text.encode(), np.uint8)).tobytes().decode()
