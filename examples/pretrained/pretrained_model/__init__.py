"""
Serves a model that was trained elsewhere: one file called ``model`` and ``example.csv`` beside this
one. What may be changed is in this file and in transform.py.
"""

from pathlib import Path

from sagemaker_runtime.algorithm import Columns, Hyperparameter, Rows, Table, TrainingJob

from .columns import columns_of
from .forms import Kit
from .models import Answer, Model

HERE = Path(__file__).parent

# A pickle or joblib file runs whatever code stands in it while it is loaded. True says that you
# trust the one in this folder as you trust your own code; see README.md.
TRUST_PICKLE = False
# The types that a skops file may hold beyond those that skops itself trusts; these run nothing.
TRUST_TYPES: tuple[str, ...] = (
    "numpy.dtype",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
)
# The classes of a LightGBM or XGBoost classifier, such as ("no", "yes"): its file does not name
# them. Without them they are 0, 1, and so on.
CLASSES: tuple[str | int, ...] = ()

INPUT = Table(*columns_of(HERE / "example.csv"))
OUTPUT = Rows()  # the columns that predict names, if it names any
HYPERPARAMETERS: tuple[Hyperparameter, ...] = ()
KIT = Kit(HERE, TRUST_PICKLE, TRUST_TYPES, CLASSES)


def train(job: TrainingJob) -> None:
    """
    Fit nothing: put the model into a form that runs no code, so that ``Estimator.fit`` yields an
    archive. The file comes from the channel ``model`` where the job has one, else from this folder.
    """
    folder = job.channels["model"].folder if "model" in job.channels else HERE
    KIT.publish(folder, job.model_dir)


def load(model_dir: Path) -> Model:
    """
    Return the model; nothing in an archive is executed.
    """
    return KIT.load(model_dir)


def predict(model: Model, columns: Columns) -> Answer:
    """
    Return one prediction per row; of a classifier its label and the probability of each class.
    """
    return model(columns)
