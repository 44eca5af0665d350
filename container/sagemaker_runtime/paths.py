"""
Where SageMaker puts files and looks for them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# The folder of the program itself, wherever it was copied to.
PROGRAM = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Paths:
    """
    The tree below ``/opt/ml``; tests and scripts hand in another root.
    """

    root: Path = Path("/opt/ml")

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Paths":
        """
        Take the root from ``SAGEMAKER_BASE_DIR``, the name that AWS's own toolkits use.
        """
        return cls(Path(environ.get("SAGEMAKER_BASE_DIR") or cls.root))

    @property
    def hyperparameters(self) -> Path:
        return self.root / "input/config/hyperparameters.json"

    @property
    def input_data_config(self) -> Path:
        return self.root / "input/config/inputdataconfig.json"

    @property
    def resource_config(self) -> Path:
        return self.root / "input/config/resourceconfig.json"

    @property
    def checkpoint_config(self) -> Path:
        return self.root / "input/config/checkpointconfig.json"

    @property
    def channels(self) -> Path:
        return self.root / "input/data"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def model(self) -> Path:
        return self.root / "model"

    @property
    def models(self) -> Path:
        """
        Where the platform puts the models of a multi-model endpoint.
        """
        return self.root / "models"

    @property
    def output_data(self) -> Path:
        return self.root / "output/data"

    @property
    def failure(self) -> Path:
        return self.root / "output/failure"

    def of_platform(self, path: str) -> Path:
        """
        Return the path that the platform names, which is below its own root, in this tree.
        """
        named = Path(path)
        is_below = named.is_relative_to(type(self)().root)
        return self.root / named.relative_to(type(self)().root) if is_below else named
