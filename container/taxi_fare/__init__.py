"""
Taxi fares in New York: the algorithm, and the one package to replace with your own.
"""

from sagemaker_runtime.algorithm import TrainingJob
from taxi_fare.artifact import load
from taxi_fare.groups import segments
from taxi_fare.hyperparameters import HYPERPARAMETERS
from taxi_fare.prediction import predict, repairs
from taxi_fare.schema import INPUT

DISTRIBUTED = True

__all__ = [
    "DISTRIBUTED",
    "HYPERPARAMETERS",
    "INPUT",
    "load",
    "predict",
    "repairs",
    "segments",
    "train",
]


def train(job: TrainingJob) -> None:
    """
    Train on the channel ``training``; the libraries for it are imported only here.
    """
    from taxi_fare import training

    training.train(job)
