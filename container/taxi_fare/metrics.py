"""
The figures that a training job reports.
"""

# Dollars, on the rows kept for validation; as in metric definitions, and in metrics.json.
RMSE = "validation:rmse"
METRICS = (RMSE, "validation:mae")
