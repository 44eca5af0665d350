"""
The figures of an evaluation, and the page that shows them.
"""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

from project import CONTAINER
from taxi_fare.cleaning import clean
from taxi_fare.evaluation import evaluate, rmse
from taxi_fare.evaluation_page import render
from taxi_fare.simulation import simulate

MIDTOWN, HARLEM = (-73.985, 40.755), (-73.945, 40.81)
JFK, LAGUARDIA, NEWARK = (-73.7822, 40.6446), (-73.872, 40.7747), (-74.1776, 40.69)
VOID = {"meta", "link", "br", "hr", "img", "input"}


def trips(*pairs, times=("2014-02-25T12:17:00",)):
    """One trip per pair of places."""
    starts, ends = np.array([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs])
    return {
        "pickup_datetime": np.resize(np.array(times, "datetime64[s]"), len(pairs)),
        "pickup_longitude": starts[:, 0],
        "pickup_latitude": starts[:, 1],
        "dropoff_longitude": ends[:, 0],
        "dropoff_latitude": ends[:, 1],
        "passenger_count": np.ones(len(pairs)),
    }


def group(evaluation, by, name):
    return next(group for group in evaluation[by] if group["name"] == name)


class Outline(HTMLParser):
    """
    Checks that tags nest; collects text, tags, and whatever an attribute would fetch.
    """

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.text, self.fetched = [], [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.fetched += [v for k, v in attributes if k in ("src", "href", "xlink:href", "data")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def cleaned():
    return clean([simulate(5000, seed=1)])


@pytest.fixture(scope="module")
def evaluation(cleaned):
    columns, _ = cleaned
    fares = columns["fare_amount"]
    return evaluate(fares, fares * np.random.default_rng(0).normal(1, 0.1, len(fares)), columns)


@pytest.fixture(scope="module")
def html(cleaned, evaluation):
    return render(
        evaluation,
        {"expected_fare": 7.5, "hour": 0.25, "passengers": -0.01},
        cleaned[1],
        {"rounds": 300, "learning_rate": 0.06},
        {"Data": "9f86d081", "Rows": 4_000},
    )


def test_errors_are_those_of_the_definitions():
    """RMSE, MAE, bias, R² and shares of a hand-made example."""
    actual, predicted = np.array([10.0, 20.0, 30.0]), np.array([11.0, 17.0, 30.0])
    result = evaluate(actual, predicted, trips(*[(MIDTOWN, HARLEM)] * 3))
    assert result["rmse"] == rmse(actual, predicted) == pytest.approx(np.sqrt(10 / 3))
    assert result["mae"] == pytest.approx(4 / 3)
    assert result["bias"] == pytest.approx(-2 / 3)
    assert result["r2"] == pytest.approx(1 - 10 / 200)
    assert result["within_1_dollar"] == pytest.approx(2 / 3)
    assert result["within_10_percent"] == pytest.approx(2 / 3)
    assert result["mae_of_mean_fare"] == pytest.approx(20 / 3)


def test_groups_by_distance():
    """Trips fall into bands of straight-line km; core leaves out those that go nowhere."""
    places = [(MIDTOWN, MIDTOWN), (MIDTOWN, HARLEM), (MIDTOWN, JFK)]
    result = evaluate(np.array([5.0, 10.0, 50.0]), np.array([7.0, 11.0, 50.0]), trips(*places))
    rows = {each["name"]: each["rows"] for each in result["by_distance"] if each["rows"]}
    assert rows == {"<0.05": 1, "5-10": 1, "20+": 1}
    assert group(result, "by_distance", "<0.05")["mae"] == 2
    assert group(result, "by_distance", "1-2")["mae"] is None
    assert result["core"]["mae"] == 0.5


def test_groups_by_airport():
    """A trip counts for each airport where either end lies, and otherwise for none."""
    places = [(MIDTOWN, HARLEM), (JFK, MIDTOWN), (MIDTOWN, NEWARK), (LAGUARDIA, JFK)]
    fares = np.array([10.0, 52.0, 70.0, 40.0])
    result = evaluate(fares, fares + np.arange(1, 5), trips(*places))
    errors = {each["name"]: (each["rows"], each["mae"]) for each in result["by_airport"]}
    assert errors == {
        "no airport": (1, 1),
        "JFK": (2, 3),
        "LaGuardia": (1, 4),
        "Newark": (1, 3),
    }


def test_groups_by_time():
    """Hours are those of the wall clock, years those of the pickup."""
    times = ("2009-01-01T00:00:00", "2014-02-25T23:59:59")
    result = evaluate(
        np.array([10.0, 20.0]), np.array([11.0, 22.0]), trips(*[(MIDTOWN, JFK)] * 2, times=times)
    )
    assert [each["mae"] for each in result["by_hour"] if each["rows"]] == [1, 2]
    assert [group(result, "by_hour", hour)["rows"] for hour in ("0", "23")] == [1, 1]
    assert [each["name"] for each in result["by_year"]] == ["2009", "2014"]


def test_the_density_counts_every_trip():
    """A trip counts in the cell of its two fares, or as outside."""
    actual, predicted = np.array([10.2, 10.9, 69.99, 80.0]), np.array([11.0, 11.99, 2.5, 60.0])
    density = evaluate(actual, predicted, trips(*[(MIDTOWN, JFK)] * 4))["density"]
    assert density["cells"] == [(10, 11, 2), (69, 2, 1)]
    assert density["outside"] == 1


def test_an_evaluation_is_plain_json(evaluation):
    """It can be written as strict JSON, without NaN."""
    assert json.loads(json.dumps(evaluation, allow_nan=False))["rows"] == evaluation["rows"]


def test_the_page_needs_nothing_else(html):
    """One well-formed file: no script, and nothing that a browser would fetch."""
    outline = Outline(html)
    assert outline.fetched == []
    assert not {"script", "link", "img", "iframe", "object"} & set(outline.tags)
    assert "url(" not in html
    assert "@import" not in html


def test_the_page_shows_every_part(html, evaluation):
    """Figures, charts, cleaning, hyperparameters and origin are there, in words and numbers."""
    text = " ".join(Outline(html).text)
    for part in (
        f"{evaluation['rows']:,} trips",
        f"${evaluation['mae']:.2f}",
        f"${evaluation['rmse']:.2f}",
        f"{evaluation['r2']:.3f}",
        "predicted fare in dollars",
        "By distance",
        "By hour",
        "By airport",
        "expected fare",
        "a coordinate is zero or missing",
        "learning_rate",
        "9f86d081",
    ):
        assert part in text


def test_charts_can_be_read_aloud(html):
    """Every chart has its own title and description."""
    charts = re.findall(
        r'<svg class="chart" role="img"[^>]*><title>(.+?)</title><desc>(.+?)</desc>', html
    )
    assert len(charts) == html.count('class="chart"') == 6
    titles, descriptions = zip(*charts, strict=True)
    assert len(set(titles)) == len(set(descriptions)) == 6


def test_a_bar_is_as_long_as_its_value(html):
    """The bars of importance stand in the ratio of the values; a negative one has no length."""
    widths = {}
    for name, path in re.findall(r'<title>(\w+): RMSE[^<]*</title> <path d="([^"]*)"', html):
        across = [float(x) for x in re.findall(r"[ML] ([\d.-]+)", path)]
        widths[name] = max(across) - min(across)
    assert widths["expected_fare"] == pytest.approx(30 * widths["hour"], rel=0.02)
    assert widths["passengers"] == 0


def test_values_are_escaped(cleaned, evaluation):
    """Names and values from outside cannot become markup."""
    evil = '<b onload="x">&'
    html = render(evaluation, {evil: 1.0}, cleaned[1], {evil: evil}, {evil: evil})
    assert evil not in html
    assert "&lt;b onload=" in html
    Outline(html)


def test_few_trips_make_a_page_too(cleaned):
    """A single trip, and a model that is never wrong, still give a page."""
    result = evaluate(np.array([52.0]), np.array([52.0]), trips((MIDTOWN, JFK)))
    Outline(render(result, {"hour": 0.0}, cleaned[1], {}, {}))


def test_pictures_are_the_same_bytes_and_follow_the_page(cleaned, evaluation, html):
    """The same figures give the same page, whose pictures have no colours but the style sheet's."""
    importance = {"expected_fare": 7.5, "hour": 0.25, "passengers": -0.01}
    parameters, facts = {"rounds": 300, "learning_rate": 0.06}, {"Data": "9f86d081", "Rows": 4_000}
    assert render(evaluation, importance, cleaned[1], parameters, facts) == html
    pictures = "".join(re.findall(r"<svg .*?</svg>", html, re.DOTALL))
    assert "var(--accent)" in pictures
    assert "var(--level0)" in pictures
    assert not re.search(r"#[0-9a-f]{6}|font-family", pictures)
    assert " id=" not in pictures


def test_matplotlib_waits_for_the_page():
    """The algorithm and its training are imported without it."""
    code = "import sys, taxi_fare.training; assert not {'matplotlib', 'sklearn'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(CONTAINER)}, check=True)
