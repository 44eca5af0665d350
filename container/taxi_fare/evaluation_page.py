"""
One HTML page that shows an evaluation, with pictures and in words.
"""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from taxi_fare import pictures
from taxi_fare.cleaning import Report
from taxi_fare.pictures import dollars

FEWEST_TRIPS = 30  # a group of fewer is drawn, but not called best or worst
MOST_FEATURES = 15  # bars in the chart of importance


def render(
    evaluation: Mapping[str, Any],
    importance: Mapping[str, float],
    cleaning: Report,
    hyperparameters: Mapping[str, Any],
    facts: Mapping[str, object],
    partial: str = "",
) -> str:
    """
    Return one HTML page that shows an evaluation and needs nothing else to be displayed.

    ``importance`` is, per feature, the dollars by which RMSE grows when its values are shuffled;
    ``facts`` are further lines on where the model comes from, such as a fingerprint of the data;
    ``partial`` says what there is of a model that was ended early.
    """
    template = Template(Path(__file__).with_name("evaluation.html").read_text("utf-8"))
    return template.substitute(
        summary=(partial and f"<b>A partial model: {escape(partial)}.</b> ") + _summary(evaluation),
        figures=_figures(evaluation),
        density=_density_section(evaluation),
        forward=_forward_section(evaluation),
        groups="".join(
            _group_section(evaluation[f"by_{group}"], *words) for group, words in _GROUPS.items()
        ),
        importance=_importance_section(importance),
        cleaning=_cleaning_section(cleaning),
        hyperparameters=_table(
            ("Name", "Value"),
            [(name, str(value)) for name, value in hyperparameters.items()],
        ),
        facts=_table(("Name", "Value"), [(name, str(value)) for name, value in facts.items()]),
    )


# Title, label of the axis, what the chart says.
_GROUPS = {
    "distance": (
        "By distance",
        "kilometres from pickup to drop-off as the crow flies",
        "Long trips cost more, so a miss costs more. Those that end where they began are another "
        "matter: the fare was made on the way, and the coordinates do not tell where.",
    ),
    "hour": (
        "By hour",
        "hour of the pickup",
        "The meter counts minutes in traffic as well as distance; how bad traffic was, the model "
        "can only guess from the hour.",
    ),
    "airport": (
        "By airport",
        "airport at either end of the trip",
        "JFK has a flat fare to Manhattan, the way from LaGuardia often a toll, Newark a "
        "surcharge and the longest roads.",
    ),
    "year": (
        "By year",
        "year of the pickup",
        "The tariff rose in September 2012: a miss by the same distance costs more since.",
    ),
}


def _share(value: float) -> str:
    return f"{value:.0%}".replace("%", " %")


def _summary(evaluation: Mapping[str, Any]) -> str:
    # Without the first: trips that end where they began have their own paragraph.
    groups = [group for group in evaluation["by_distance"][1:] if group["rows"] >= FEWEST_TRIPS]
    words = (
        f"On <b>{evaluation['rows']:,} trips</b> that it had not seen, the model missed the fare "
        f"by <b>{dollars(evaluation['mae'])}</b> on average. "
        f"{_share(evaluation['within_1_dollar'])} of its answers were within one dollar and "
        f"{_share(evaluation['within_10_percent'])} within a tenth of the fare. Always answering "
        f"the average fare, {dollars(evaluation['mean_fare'])}, would have missed by "
        f"{dollars(evaluation['mae_of_mean_fare'])}."
    )
    if len(groups) > 1:
        best = min(groups, key=lambda group: group["mae"])
        worst = max(groups, key=lambda group: group["mae"])
        words += (
            f" It knows trips of {best['name']} km best (off by {dollars(best['mae'])}), "
            f"those of {worst['name']} km least ({dollars(worst['mae'])})."
        )
    return words


def _figures(evaluation: Mapping[str, Any]) -> str:
    figures = (
        (dollars(evaluation["mae"]), "mean absolute error", "a typical miss"),
        (dollars(evaluation["rmse"]), "RMSE", "large misses count more"),
        (f"{evaluation['r2']:.3f}", "R²", "1 is perfect, 0 the average fare"),
        (_share(evaluation["within_1_dollar"]), "within $1", "of the actual fare"),
        (_share(evaluation["within_10_percent"]), "within 10 %", "of the actual fare"),
    )
    return "".join(
        f"<li><strong>{escape(value)}</strong><span>{escape(name)}</span>"
        f"<small>{escape(meaning)}</small></li>"
        for value, name, meaning in figures
    )


def _density_section(evaluation: Mapping[str, Any]) -> str:
    density = evaluation["density"]
    return pictures.density(
        "Predicted against actual fare", density["cells"], density["dollars"]
    ) + (
        f"<p>Every square is one dollar by one dollar; its shade tells how many trips it holds. On "
        f"the dashed line the prediction is exact, above it too high, below it too low. Upright "
        f"stripes are fares that many trips share, such as the flat fare between JFK and "
        f"Manhattan, 45 dollars until September 2012 and 52 since. "
        f"{density['outside']:,} trips beyond {density['dollars']} dollars are left out here."
        "</p>"
    )


def _forward_section(evaluation: Mapping[str, Any]) -> str:
    """
    Say what to expect in service, where every trip is later than those that were learned from.
    """
    head = "<h2>What to expect in service</h2>"
    forward = evaluation.get("forward")
    if not forward:
        return (
            f"{head}<section><p>The figures above are for trips of the weeks that the model was "
            "trained on. Trips in service are later; how much worse it knows them is not known "
            "here: to tell takes some hundred held-out trips over several months, and a training "
            "that was not stopped.</p></section>"
        )
    same, aged = forward["same_time"], forward
    words = (
        f"<p><b>Expect a miss of about {dollars(aged['mae'])}</b> rather than the "
        f"{dollars(evaluation['mae'])} above. That figure is for held-out trips of all the weeks "
        "that the model was trained on; in service every trip is later, and fares rise. To judge "
        f"it forward, a second model was trained on trips before {escape(forward['since'])} alone. "
        f"On {forward['rows']:,} held-out trips since then it missed by {dollars(aged['mae'])} "
        f"(RMSE {dollars(aged['rmse'])}), and the model that was trained on those weeks too by "
        f"{dollars(same['mae'])} (RMSE {dollars(same['rmse'])}).{_ageing(forward['by_age'])}</p>"
    )
    groups = forward["by_age"]
    chart = pictures.by_age("Mean absolute error by age of the model", groups)
    table = _table(
        ("Months", "Trips", "MAE, earlier model", "MAE, this model", "Bias, earlier model"),
        [
            (
                group["name"],
                f"{group['rows']:,}",
                dollars(group["mae"]),
                dollars(group["same_time"]["mae"]),
                f"{group['bias']:+.2f}",
            )
            for group in groups
        ],
    )
    return (
        f"{head}<section>{chart}{words}<details><summary>The figures</summary>{table}</details>"
        "</section>"
    )


def _ageing(groups: Sequence[Mapping[str, Any]]) -> str:
    if len(groups) < 2:
        return ""
    first, last = (group["mae"] - group["same_time"]["mae"] for group in (groups[0], groups[-1]))
    return (
        f" That is the price of age: {first:+.2f} dollars in the first "
        f"{groups[0]['name'].partition('-')[2]} months, {last:+.2f} after "
        f"{groups[-1]['name'].partition('-')[0]}."
    )


def _group_section(groups: Sequence[Mapping[str, Any]], title: str, axis: str, words: str) -> str:
    chart = pictures.by_group(f"Mean absolute error {title.lower()}", groups, axis)
    table = _table(
        (title.removeprefix("By ").capitalize(), "Trips", "Mean fare", "MAE", "RMSE", "Bias"),
        [
            (
                group["name"],
                f"{group['rows']:,}",
                *(dollars(group[name]) for name in ("mean_fare", "mae", "rmse")),
                "-" if group["bias"] is None else f"{group['bias']:+.2f}",
            )
            for group in groups
        ],
    )
    return (
        f"<section><h3>{escape(title)}</h3>{chart}<p>{escape(words)}</p>"
        f"<details><summary>The figures</summary>{table}</details></section>"
    )


def _importance_section(importance: Mapping[str, float]) -> str:
    ranked = sorted(importance.items(), key=lambda item: -item[1])
    chart = pictures.importance("Importance of each feature", dict(ranked[:MOST_FEATURES]))
    left_out = len(ranked) - MOST_FEATURES
    return chart + (
        "<p>A feature's values are shuffled among the trips and the error is measured again: the "
        "more it grows, the more the model relies on that feature. Features that tell the same "
        "story share the credit."
        + (f" The {left_out} least important are left out." if left_out > 0 else "")
        + "</p>"
    )


def _cleaning_section(cleaning: Report) -> str:
    return (
        f"<p>Of {cleaning.rows_read:,} rows in the training files, {cleaning.rows_kept:,} were "
        f"kept.</p>"
    ) + _table(
        ("What was found", "Rows", "Share", "Done"),
        [
            (
                count.description,
                f"{count.rows:,}",
                f"{count.rows / cleaning.rows_read:.3%}",
                count.action,
            )
            for count in cleaning.counts
        ],
    )


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    def row(tag: str, cells: Sequence[str]) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    return (
        f'<div class="wide"><table><thead>{row("th", head)}</thead>'
        f"<tbody>{''.join(row('td', cells) for cells in body)}</tbody></table></div>"
    )
