"""
A model of sizes and prices with its baseline, and what it was asked since.
"""

from pathlib import Path

import numpy as np

from captures import TABLE, event, side
from sagemaker_runtime.baseline.content import Baseline
from sagemaker_runtime.baseline.seen import Seen


def train(folder: Path) -> Baseline:
    """
    Leave the baseline of a model that predicts three times the size, and return it.
    """
    random = np.random.default_rng(0)
    size = random.gamma(4, 30, 4_000)
    columns = {
        "size": size,
        "kind": random.choice(np.array(["flat", "house"], object), len(size)),
        "price": 3 * size + random.normal(0, 20, len(size)),
    }
    seen = Seen()
    list(seen.watch([columns]))
    seen.judge(columns, 3 * size)
    folder.mkdir(parents=True, exist_ok=True)
    seen.save(folder, TABLE)
    baseline = Baseline.load(folder)
    assert baseline
    return baseline


def ask(
    captures: Path, labels: Path, rows: int = 400, rise: float = 0.0, larger: float = 0.0
) -> None:
    """
    Write captured requests, sizes larger by ``larger``, and labels, prices higher by ``rise``.
    """
    random = np.random.default_rng(1)
    lines, truth = [], ["inference_id,price"]
    for number, size in enumerate(random.gamma(4, 30, rows) + larger):
        kind = random.choice(["flat", "house"])
        lines.append(
            event(side(f"{size:.2f},{kind}\n"), side(f"{3 * size:.2f}\n"), f"r{number}", number)
        )
        truth.append(f"r{number},{3 * size + rise + random.normal(0, 20):.2f}")
    captures.parent.mkdir(parents=True, exist_ok=True)
    captures.write_bytes(b"".join(lines))
    labels.write_text("\n".join(truth) + "\n", encoding="utf-8")
