"""
The kinds of resources that are kept, and the words that AWS has for them.

The texts of refusals are those that people quote in public issue threads.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """
    A kind of resource; ``{arn}`` and ``{name}`` in its texts are filled in.
    """

    noun: str
    arn_word: str
    plural: str
    missing: str
    missing_code: str = "ValidationException"
    exists: str = ""
    exists_code: str = "ValidationException"
    first_status: str = ""
    first_phase: str = ""  # of the SecondaryStatus

    @property
    def name(self) -> str:
        """The member that has the name."""
        return f"{self.noun}Name"

    @property
    def arn(self) -> str:
        """The member that has the ARN."""
        return f"{self.noun}Arn"

    @property
    def status(self) -> str:
        """The member that has the status."""
        return f"{self.noun}Status"


def _hosted(noun: str, word: str, called: str, status: str = "") -> Kind:
    return Kind(
        noun,
        word,
        f"{noun}s",
        missing=f'Could not find {called} "{{arn}}".',
        exists=f'Cannot create already existing {called} "{{arn}}".',
        first_status=status,
    )


def _job(noun: str, word: str, missing: str, called: str = "Job", code: str = "") -> Kind:
    return Kind(
        noun,
        word,
        f"{noun}s",
        missing=missing,
        missing_code=code or "ValidationException",
        exists=(
            f"{called} name must be unique within an AWS account and region, and a "
            f"{called.lower()} with this name already exists ({{arn}})"
        ),
        exists_code="ResourceInUse",
        first_status="InProgress",
        first_phase="Starting" if noun == "TrainingJob" else "",
    )


GONE = "Requested resource not found."
KINDS = {
    kind.noun: kind
    for kind in (
        _hosted("Model", "model", "model"),
        _hosted("EndpointConfig", "endpoint-config", "endpoint configuration"),
        _hosted("Endpoint", "endpoint", "endpoint", "Creating"),
        _job("TrainingJob", "training-job", GONE, "Training job"),
        _job("TransformJob", "transform-job", GONE),
        _job("ProcessingJob", "processing-job", "Could not find requested job with name: {name}"),
        _job(
            "HyperParameterTuningJob",
            "hyper-parameter-tuning-job",
            "Amazon SageMaker can't find a tuning job with the name {name}.",
            "Tuning job",
            "ResourceNotFound",
        ),
        Kind(
            "Pipeline",
            "pipeline",
            "Pipelines",
            missing="Pipeline {arn} does not exist.",
            missing_code="ResourceNotFound",
            exists="Pipeline names must be unique within an AWS account and region. Pipeline with "
            "name ({name}) already exists.",
            first_status="Active",
        ),
        Kind(
            "ModelPackageGroup",
            "model-package-group",
            "ModelPackageGroups",
            missing="ModelPackageGroup {arn} does not exist.",
            exists="Model Package Group already exists: {arn}",
            first_status="Completed",
        ),
        Kind(
            "ModelPackage",
            "model-package",
            "ModelPackages",
            missing="ModelPackage {arn} does not exist.",
            exists="Model Package already exists: {arn}",
            first_status="Completed",
        ),
    )
}
