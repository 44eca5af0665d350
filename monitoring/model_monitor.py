"""
The baseline in the files of SageMaker Model Monitor, for those who have it.
"""

from typing import Any

from sagemaker_runtime.baseline.bins import Bins
from sagemaker_runtime.baseline.content import Baseline

# Share of rows whose type may differ, and distance of distributions, as its own image suggests.
MONITORING = {
    "evaluate_constraints": "Enabled",
    "emit_metrics": "Enabled",
    "datatype_check_threshold": 1.0,
    "domain_content_threshold": 1.0,
    "distribution_constraints": {
        "perform_comparison": "Enabled",
        "comparison_threshold": 0.1,
        "comparison_method": "Robust",
    },
}


def files(baseline: Baseline) -> dict[str, dict[str, Any]]:
    """
    Return the contents of statistics.json and constraints.json.
    """
    features = {
        column.name: baseline.columns[column.name]
        for column in baseline.table.features
        if column.name in baseline.columns
    }
    rows = max((int(bins.counts.sum()) for bins in features.values()), default=0)
    statistics = {
        "version": 0.0,
        "dataset": {"item_count": rows},
        "features": [_statistics(baseline, name, bins) for name, bins in features.items()],
    }
    constraints = {
        "version": 0.0,
        "features": [_constraints(baseline, name, bins) for name, bins in features.items()],
        "monitoring_config": MONITORING,
    }
    return {"statistics.json": statistics, "constraints.json": constraints}


def _is_number(bins: Bins) -> bool:
    return not any(isinstance(value, str) for value in bins.values)


def _common(bins: Bins) -> dict[str, int]:
    missing = int(bins.counts[-1])
    return {"num_present": int(bins.counts.sum()) - missing, "num_missing": missing}


def _statistics(baseline: Baseline, name: str, bins: Bins) -> dict[str, Any]:
    if not _is_number(bins):
        told = zip(bins.values, bins.counts.tolist(), strict=False)
        buckets = [{"value": value, "count": count} for value, count in told]
        about = {
            "common": _common(bins),
            "distinct_count": float(len(bins.values)),
            "distribution": {"categorical": {"buckets": buckets}},
        }
        return {"name": name, "inferred_type": "String", "string_statistics": about}
    low, high = _ends(baseline, name, bins)
    inner = list(bins.edges if bins.edges is not None else bins.values)
    if bins.edges is not None:
        edges = [min(low, *inner), *inner, max(high, *inner)]
        counts = bins.counts[:-1].tolist()
        pairs = list(zip(edges, edges[1:], counts, strict=False))
    else:
        pairs = [(each, each, n) for each, n in zip(inner, bins.counts.tolist(), strict=False)]
    present = max(sum(n for *_, n in pairs), 1)
    # Of counts per bin the mean is known to within a bin.
    mean = sum((a + b) / 2 * n for a, b, n in pairs) / present
    variance = sum(((a + b) / 2 - mean) ** 2 * n for a, b, n in pairs) / present
    about = {
        "common": _common(bins),
        "mean": mean,
        "sum": mean * present,
        "std_dev": variance**0.5,
        "min": low,
        "max": high,
        "distribution": {
            "kll": {
                "buckets": [
                    {"lower_bound": a, "upper_bound": b, "count": float(n)} for a, b, n in pairs
                ]
            }
        },
    }
    return {"name": name, "inferred_type": _kind(bins), "numerical_statistics": about}


def _constraints(baseline: Baseline, name: str, bins: Bins) -> dict[str, Any]:
    rows = max(int(bins.counts.sum()), 1)
    found: dict[str, Any] = {
        "name": name,
        "inferred_type": _kind(bins),
        "completeness": 1 - int(bins.counts[-1]) / rows,
    }
    if _is_number(bins):
        found["num_constraints"] = {"is_non_negative": _ends(baseline, name, bins)[0] >= 0}
    return found


def _kind(bins: Bins) -> str:
    if not _is_number(bins):
        return "String"
    known = bins.edges if bins.edges is not None else bins.values
    return "Integral" if all(float(each).is_integer() for each in known) else "Fractional"


def _ends(baseline: Baseline, name: str, bins: Bins) -> tuple[float, float]:
    known = [float(each) for each in (bins.edges if bins.edges is not None else bins.values)]
    low, high = baseline.ranges.columns.get(name, (min(known, default=0), max(known, default=0)))
    return low, high
