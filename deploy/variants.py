"""
Two models behind one endpoint: side by side by their shares of the requests, or one as a shadow
that is asked too and whose answers nobody gets.
"""

from typing import Any

import click

from deploy import comparison, endpoints, images, metrics, models, waiting
from deploy.errors import UsageError
from deploy.operations import accepted
from deploy.options import IMAGE, MODEL, command
from deploy.preparation import kind, prepare, serving
from deploy.session import Session, describe, finish, named, say
from deploy.strategies import Strategy
from deploy.transition import Transition, ask

PRODUCTION, SHADOW = "ProductionVariants", "ShadowProductionVariants"
ADDED_PERCENT = 10.0
AT_ONCE = Strategy(guarded=False)  # other variants than before: AWS watches no alarms then
# What the new configuration decides, not the running endpoint: the requests of a variant that goes
# are for those that stay.
DECIDED = {"promote": ("DesiredInstanceCount", "DesiredWeight"), "remove": ("DesiredWeight",)}


@command()
@click.argument("name", required=False)
@click.option(
    "--add", default="", help="Give a new variant of this name a model and some requests."
)
@click.option(
    "--shadow", default="", help="Send a new variant copies of the requests; drop its answers."
)
@click.option("--shift", default="", help="Give a variant another --percent of the requests.")
@click.option("--promote", default="", help="Let its model take the first variant's place.")
@click.option("--remove", default="", help="Take a variant away.")
@click.option(
    "--percent",
    type=click.FloatRange(0, 100),
    help="Share of the requests (default: 10 for --add, 100 for --shadow).",
)
@click.option(
    "--hours",
    type=click.FloatRange(0, metrics.KEPT_HOURS, min_open=True),
    default=24.0,
    show_default=True,
    help="How far back to compare.",
)
@MODEL
@IMAGE
def variants(
    session: Session,
    name: str | None,
    percent: float | None,
    hours: float,
    model: str,
    image: str,
    **asked: str,
) -> None:
    """
    Compare variants; add, shift, promote and remove them.

    \b
    ./deploy.sh variants --add challenger --model JOB --percent 10
    ./deploy.sh variants
    ./deploy.sh variants --shift challenger --percent 50
    ./deploy.sh variants --promote challenger
    """
    name = name or session.settings.application
    chosen = {verb: each for verb, each in asked.items() if each}
    if len(chosen) > 1:
        raise UsageError(f"one at a time: --{' or --'.join(chosen)}")
    if not chosen:
        finish(session, compare(session, name, hours))
        return
    ((verb, which),) = chosen.items()
    found, old = serving(session, name)
    if kind(old) != "realtime":
        raise UsageError(f"{name} is {kind(old)}; several variants are for realtime endpoints")
    if verb == "shift":
        _shift(session, found, which, percent)
    else:
        request, made = _requested(session, found, old, verb, which, percent, model, image)
        new, decided = named(name, request), DECIDED.get(verb, ())
        change = prepare(session, found, old, new, request, AT_ONCE, 0, made, decided)
        Transition(session, change).run()
    finish(session, {"endpoint": name, "look": f"./deploy.sh variants {name}"})


def _running(found: dict[str, Any], old: dict[str, Any], member: str) -> list[dict[str, Any]]:
    """
    Return the configured variants with the counts and weights that they have come to since.
    """
    runs = {each["VariantName"]: each for each in found.get(member, [])}
    listed = []
    for each in old.get(member, []):
        now = runs.get(each["VariantName"], {})
        count = now.get("DesiredInstanceCount", each.get("InitialInstanceCount", 1))
        weight = now.get("DesiredWeight", each.get("InitialVariantWeight", 1.0))
        listed.append(each | {"InitialInstanceCount": count, "InitialVariantWeight": weight})
    return listed


def _requested(
    session: Session,
    found: dict[str, Any],
    old: dict[str, Any],
    verb: str,
    which: str,
    percent: float | None,
    model: str,
    image: str,
) -> tuple[dict[str, Any], list[models.Model]]:
    """
    Return the configuration with a variant more or less, and the model to make for it.
    """
    request = accepted(session, "sagemaker", "CreateEndpointConfig", old)
    del request["EndpointConfigName"]
    listed, shadows = (_running(found, old, member) for member in (PRODUCTION, SHADOW))
    if verb in ("promote", "remove"):
        there = {each["VariantName"]: each for each in listed[1:] + shadows}
        if which not in there:
            others = " or ".join(there) or "a variant besides the first, of which there is none"
            raise UsageError(f"--{verb} is '{which}'; expected {others}")
        kept = [each for each in listed if each["VariantName"] != which]
        shadows = [each for each in shadows if each["VariantName"] != which]
        if verb == "promote":
            both = (listed[0], there[which])
            kept[0] = there[which] | {
                "VariantName": listed[0]["VariantName"],
                "InitialInstanceCount": sum(each["InitialInstanceCount"] for each in both),
                "InitialVariantWeight": sum(
                    each["InitialVariantWeight"] for each in both if each in listed
                ),
            }
        if not any(each["InitialVariantWeight"] for each in kept):  # all requests were another's
            kept = [each | {"InitialVariantWeight": 1.0} for each in kept]
        made = []
    else:
        if any(each["VariantName"] == which for each in listed + shadows):
            raise UsageError(f"{which} is a variant already; --remove it first, or --shift it")
        if shadows or (verb == "shadow" and len(listed) > 1):
            raise UsageError("AWS takes a shadow beside exactly one other variant; --remove one")
        wanted = models.wanted(session, model, image)
        (entry,) = endpoints.configuration(session, "realtime", "", wanted.name)[PRODUCTION]
        if wanted.image:
            images.check(wanted.image, entry["InstanceType"])
        total = sum(each["InitialVariantWeight"] for each in listed)
        entry |= {"VariantName": which}
        if verb == "shadow":
            entry["InitialVariantWeight"] = total * (100 if percent is None else percent) / 100
            shadows = [entry]
        else:
            part = (ADDED_PERCENT if percent is None else percent) / 100
            if not part < 1:
                raise UsageError("--percent is 100; expected less, since the others keep a share")
            entry["InitialVariantWeight"] = total * part / (1 - part)
            listed.append(entry)
        kept, made = listed, [wanted]
    request[PRODUCTION] = kept
    request.pop(SHADOW, None)
    return request | ({SHADOW: shadows} if shadows else {}), made


def _shift(session: Session, found: dict[str, Any], which: str, percent: float | None) -> None:
    """
    Give a variant a share of the requests; the others share the rest as before.
    """
    if percent is None:
        raise UsageError(f"say how much {which} gets: --percent")
    weights = {each["VariantName"]: each["DesiredWeight"] for each in found[PRODUCTION]}
    if which not in weights or len(weights) < 2:
        raise UsageError(f"--shift is '{which}'; expected one of several: {', '.join(weights)}")
    others = sum(weight for name, weight in weights.items() if name != which)
    even = 1 / (len(weights) - 1)
    wanted = {
        name: percent if name == which else (100 - percent) * (weight / others if others else even)
        for name, weight in weights.items()
    }
    listed = [{"VariantName": name, "DesiredWeight": weight} for name, weight in wanted.items()]
    request = {"EndpointName": found["EndpointName"], "DesiredWeightsAndCapacities": listed}
    ask(session, "update_endpoint_weights_and_capacities", request)
    if session.wait and not session.dry_run:
        waiting.rest(session, found["EndpointName"])


def compare(session: Session, name: str, hours: float) -> dict[str, Any]:
    """
    Return all variants of an endpoint side by side, and what can be said of each beside the first.
    """
    found = describe(session, "endpoint", name)
    if not found:
        raise UsageError(f"there is no endpoint {name}; make it: ./deploy.sh realtime")
    total = sum(each.get("CurrentWeight", 0) for each in found.get(PRODUCTION, [])) or 1
    rows = []
    for member in (PRODUCTION, SHADOW):
        for each in found.get(member, []):
            row = {"variant": each["VariantName"], "role": "answers"}
            weight = each.get("CurrentWeight", 0)
            row["share"] = f"{100 * weight / total:.1f} %"
            row["role"] = "answers" if member == PRODUCTION else "shadow"
            rows.append(row | comparison.variant(session, name, each["VariantName"], hours))
    said = [
        line
        for row in rows[1:]
        for line in comparison.verdict(rows[0]["variant"], rows[0], row["variant"], row)
    ]
    if len(rows) == 1:
        say("one variant only; ./deploy.sh variants --add NAME puts a second one beside it")
    return {"endpoint": name, "hours": hours, "variants": [_shown(row) for row in rows], "so": said}


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    low, high = row["errors"]
    shown = {name: row[name] for name in ("variant", "role", "share", "requests", "4xx", "5xx")}
    shown["errors"] = (
        f"{100 * low:.2f} to {100 * high:.2f} % answered 5xx" if row["requests"] else ""
    )
    shown["latency_ms"] = round(row["latency_ms"], 2)
    if around := row["latency_interval_ms"]:
        shown["latency_interval_ms"] = f"{around[0]:.2f} to {around[1]:.2f}"
    return shown
