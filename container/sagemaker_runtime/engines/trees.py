"""
Scores any model of boosted or random trees, from scikit-learn, LightGBM or XGBoost, several times
as fast as they do, without them, and from a file that runs nothing.

    Trees.from_estimator(estimator).save(path)
    Trees.load(path).predict(features)
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from sagemaker_runtime.engines import arrays, labels
from sagemaker_runtime.engines.ensemble import Ensemble
from sagemaker_runtime.engines.links import LINKS

ENSEMBLE = [field.name for field in fields(Ensemble)]
CLASSES = "classes_"  # and the target's number: the labels' name in the file


@dataclass(frozen=True, eq=False)
class Trees:
    """
    An ensemble, the link from its scores to predictions, and the labels of a classifier.

    ``link`` is one of LINKS and ``factor`` what it multiplies scores by. ``classes`` has one array
    of labels (numbers, booleans or text) for each target of a classifier, and is empty for others.
    A target takes as many outputs as it has classes, or one output if it has two. Raises
    ValueError for parts that do not fit together.
    """

    ensemble: Ensemble
    link: str = "identity"
    factor: float = 1.0
    classes: tuple[np.ndarray, ...] = ()

    def __post_init__(self) -> None:
        if self.link not in LINKS or not np.isfinite(self.factor):
            raise ValueError(
                f"link is {self.link!r} with factor {self.factor}; expected one of {list(LINKS)} "
                "and a finite factor"
            )
        if not labels.fit(self.classes, len(self.ensemble.base)):
            raise ValueError(
                f"{len(self.ensemble.base)} outputs do not fit "
                f"{[each.size for each in self.classes]} classes"
            )

    @classmethod
    def from_estimator(cls, estimator: Any) -> "Trees":
        """
        Take the trees out of a fitted estimator of scikit-learn, LightGBM or XGBoost, or a Booster.

        Raises ValueError, with the reason, for one whose predictions they could not repeat.
        """
        from sagemaker_runtime.engines import importing

        return importing.from_estimator(estimator)

    @classmethod
    def from_file(cls, path: Path) -> "Trees":
        """
        Read a Booster's model, saved by LightGBM as text or by XGBoost as JSON or UBJSON.

        Meant for files that you made. Raises OSError or ValueError for one that cannot be read.
        """
        from sagemaker_runtime.engines import importing

        return importing.from_file(path)

    @property
    def is_compiled(self) -> bool:
        """
        Tell whether the compiled library scores.
        """
        return self.ensemble.is_compiled

    @property
    def width(self) -> int:
        """
        The number of feature columns that the splits look at.
        """
        return self.ensemble.width

    def save(self, path: Path) -> None:
        """
        Write an uncompressed .npz file.
        """
        classes = {f"{CLASSES}{number}": each for number, each in enumerate(self.classes)}
        about = {"link": np.array(self.link), "factor": np.array(self.factor)}
        ensemble = {name: getattr(self.ensemble, name) for name in ENSEMBLE}
        arrays.save(path, ensemble | about | classes)

    @classmethod
    def load(cls, path: Path) -> "Trees":
        """
        Read what ``save`` wrote; nothing in the file is executed.

        Raises OSError for an unreadable file, ValueError for a damaged one or one that is too large
        for the container's memory.
        """
        found = arrays.load(path)
        classes = [name for name in found if name.startswith(CLASSES)]
        if found.keys() - classes != {*ENSEMBLE, "link", "factor"}:
            holds = ", ".join(sorted(found)) or "nothing"
            raise ValueError(f"it holds {holds}; these are not the arrays of Trees")
        link, factor = found["link"], found["factor"]
        if link.shape or factor.shape or factor.dtype != np.float64:
            raise ValueError("link or factor is not a single value")
        ensemble = Ensemble(**{name: found[name] for name in ENSEMBLE})
        return cls(ensemble, str(link), float(factor), tuple(found[name] for name in classes))

    def predict(self, features: np.ndarray, threads: int | None = None) -> np.ndarray:
        """
        Return what the estimator predicts for ``features``, float64 (rows, features).

        The shape is (rows,) for one target and (rows, targets) for several. A classifier gives
        labels; a Booster knows none and gives probabilities, (rows, classes) if they are more than
        two. Large batches are split over ``threads``, by default as many as processors are granted.
        Raises ValueError for fewer columns than the trees look at.
        """
        values = self._linked(features, threads)
        if self.classes:
            return labels.likeliest(values, self.classes)
        return values.ravel() if values.shape[1] == 1 else values

    def predict_proba(
        self, features: np.ndarray, threads: int | None = None
    ) -> np.ndarray | list[np.ndarray]:
        """
        Return a classifier's probabilities: (rows, classes), in the order of ``classes``.

        Of several targets there is a list of those; where each has two classes and one output, as
        XGBoost's, an array (rows, targets) of the second one's. Raises ValueError for trees
        without classes.
        """
        if not self.classes:
            raise ValueError(
                "these trees know no classes: they are of a regressor, or of a Booster, whose "
                "predict gives probabilities. Use predict, or make them from the classifier"
            )
        return labels.probabilities(self._linked(features, threads), self.classes)

    def _linked(self, features: np.ndarray, threads: int | None) -> np.ndarray:
        scores = self.ensemble.score(features, threads)
        if self.link == "identity":
            return scores
        return LINKS[self.link](self.factor * scores)
