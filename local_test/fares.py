"""
Prints what the sample's model answered to payload.csv as a table of fares, with its error: the end
of quickstart.sh.
"""

import csv
import json
from pathlib import Path

HERE = Path(__file__).resolve().parent
OUTPUT = HERE / "test_dir/output"

# Longitude and latitude of places that a reader knows, to name the nearest.
PLACES = {
    "Downtown": (-74.010, 40.710),
    "Village": (-74.000, 40.730),
    "Midtown": (-73.985, 40.755),
    "Upper East": (-73.960, 40.772),
    "Upper West": (-73.975, 40.785),
    "Harlem": (-73.945, 40.810),
    "Brooklyn": (-73.960, 40.680),
    "Queens": (-73.920, 40.750),
    "LaGuardia": (-73.872, 40.774),
    "JFK": (-73.782, 40.645),
    "Newark": (-74.177, 40.690),
}


def nearest(longitude: float, latitude: float) -> str:
    """
    Name the place closest to a point.
    """

    def distance(name: str) -> float:
        east, north = PLACES[name][0] - longitude, PLACES[name][1] - latitude
        return (east * 0.76) ** 2 + north**2  # a degree of longitude is shorter, by cos 40.75°

    return min(PLACES, key=distance)


def main() -> None:
    """
    Print a row per trip and the model's error.
    """
    fares = [float(line) for line in (OUTPUT / "answer").read_text(encoding="utf-8").split()]
    metrics = json.loads((OUTPUT / "data/metrics.json").read_text(encoding="utf-8"))
    with (HERE / "payload.csv").open(newline="", encoding="utf-8") as file:
        trips = list(csv.DictReader(file))
    print(f"\n{'when':<16}  {'pickup':<10} → {'drop-off':<10} {'fare':>8}")
    for trip, fare in zip(trips, fares, strict=True):
        start, end = (
            nearest(float(trip[f"{side}_longitude"]), float(trip[f"{side}_latitude"]))
            for side in ("pickup", "dropoff")
        )
        print(f"{trip['pickup_datetime'][:16]:<16}  {start:<10} → {end:<10} {fare:>7.2f} $")
    print(
        f"\nOn trips it has not seen, the model is off by {metrics['validation:mae']:.2f} $ "
        f"on average (RMSE {metrics['validation:rmse']:.2f} $).\n"
        f"How good it is, in pictures: {OUTPUT / 'data/evaluation.html'}"
    )


if __name__ == "__main__":
    main()
