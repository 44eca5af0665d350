"""
How traffic comes to the new fleet, and which alarms bring it back.
"""

from dataclasses import dataclass
from typing import Any

from deploy.errors import UsageError

# The share that moves at once: default, least and most in percent, and the largest is AWS's rule.
SHARES = {"canary": (10, 1, 50), "linear": (25, 10, 50), "rolling": (25, 5, 50)}
KINDS = ("all-at-once", *SHARES)
LONGEST_S = 28_800  # an update may take that long
LONGEST_WAIT_S = 3600


@dataclass(frozen=True)
class Strategy:
    """
    ``percent`` of the fleet moves at once, 0 for the kind's default; after each move the alarms are
    watched for ``bake_s`` seconds. ``alarms`` are the caller's own; without any, a default set is
    made, of which the latency's limit in milliseconds may be given. Unless ``guarded``, AWS moves
    all traffic as soon as the new fleet is there, and no alarm is looked at.
    """

    kind: str = "all-at-once"
    percent: int = 0
    bake_s: int = 300
    alarms: tuple[str, ...] = ()
    latency_ms: float = 0
    guarded: bool = True

    @property
    def share(self) -> int:
        """
        The percentage that moves at once.
        """
        return self.percent or SHARES[self.kind][0]


def check(strategy: Strategy, instances: int, variants: int) -> None:
    """
    Raise UsageError for what AWS refuses, or accepts without any use.
    """
    kind, bake = strategy.kind, strategy.bake_s
    if not 0 <= bake <= LONGEST_WAIT_S:
        raise UsageError(f"--bake is {bake}; expected 0 to {LONGEST_WAIT_S} seconds")
    if kind == "all-at-once":
        if strategy.percent:
            raise UsageError("--percent is for canary, linear and rolling; leave it out")
        return
    _, least, most = SHARES[kind]
    if not least <= strategy.share <= most:
        raise UsageError(f"--percent is {strategy.percent}; expected {least} to {most} for {kind}")
    if instances < 2:
        raise UsageError(
            f"a {kind} update moves a part of the fleet, which has {instances} instance; bring it "
            "to two for the time of the update: --spare 1, or leave --strategy out"
        )
    if kind == "rolling" and variants > 1:
        raise UsageError("a rolling update is for one variant; take --strategy linear")
    steps = 2 if kind == "canary" else -(-100 // strategy.share)
    if steps * bake >= LONGEST_S:
        raise UsageError(
            f"{steps} steps of {bake} seconds take longer than an update may, {LONGEST_S} seconds; "
            "give a larger --percent or a shorter --bake"
        )


def deployment(strategy: Strategy, alarms: list[str]) -> dict[str, Any]:
    """
    Return the DeploymentConfig.
    """
    bake = {"WaitIntervalInSeconds": strategy.bake_s}
    made: dict[str, Any]
    if strategy.kind == "rolling":
        batch = {"Type": "CAPACITY_PERCENT", "Value": strategy.share}
        made = {"RollingUpdatePolicy": {"MaximumBatchSize": batch, **bake}}
    else:
        routing = {"Type": strategy.kind.replace("-", "_").upper(), **bake}
        part = {"canary": "CanarySize", "linear": "LinearStepSize"}.get(strategy.kind)
        if part:
            routing |= {part: {"Type": "CAPACITY_PERCENT", "Value": strategy.share}}
        made = {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing}}
    if alarms:
        watched = [{"AlarmName": each} for each in alarms]
        made["AutoRollbackConfiguration"] = {"Alarms": watched}
    return made
