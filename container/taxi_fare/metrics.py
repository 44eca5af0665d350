"""
The figures that a training job reports.
"""

# Dollars, on the rows kept for validation; as in metric definitions, and in metrics.json.
METRICS = ("validation:rmse", "validation:mae")
