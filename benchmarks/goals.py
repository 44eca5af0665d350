"""
What the benchmark is held to: ratios, and a few figures by themselves.
"""

from figures import MODELS

# What README shows of those beside the others.
SHOWN = {
    *(f"ours {model}_16_per_s" for model in ("pipeline", "lightgbm", "image", "text")),
    "ours-threads waiting_16_per_s",
    "ours pipeline_16_p99_ms",
    "ours csv_1_rows_s",
    "ours batch_rows_s",
}
# What, which figure of whom over which of whom, and the goal; a figure that stands alone is over 1.
GOALS = (
    *((f"{MODELS[model]}, requests/s at {connections} connections: this project / best {whom}",
       f"ours {model}_{connections}_per_s", f"{peers} {model}_{connections}_per_s", "≥", goal)
      for model, goals in (("pipeline", (5, 12)), ("lightgbm", (4, 6)), ("xgboost", (4, 6)))
      for peers, whom, wanted in (("plain", "of the others without batching", goals),
                                  ("batching", "of the others with their batching", (1.5, 1.5)))
      for connections, goal in zip((16, 64), wanted, strict=True)),
    ("DataFrame pipeline, p50 at one connection: this project / naive Flask",
     "ours pipeline_1_p50_ms", "flask pipeline_1_p50_ms", "≤", 1.05),
    ("DataFrame pipeline, p99 at 16 connections: this project / best of the others",
     "ours pipeline_16_p99_ms", "peers pipeline_16_p99_ms", "≤", 0.5),
    *((f"{MODELS[model]}, p50 at one connection: through this project's trees / its own library",
       f"ours-trees {model}_1_p50_ms", f"ours {model}_1_p50_ms", "≤", 0.2)
      for model in ("lightgbm", "xgboost")),
    ("ONNX image model, requests/s at 16 connections: this project / best of the others",
     "ours image_16_per_s", "peers image_16_per_s", "≥", 1.1),
    ("ONNX image model, p99 at 16 connections: this project / best of the others",
     "ours image_16_p99_ms", "peers image_16_p99_ms", "≤", 0.8),
    ("TF-IDF and linear model, requests/s at 16 connections: this project / best of the others",
     "ours text_16_per_s", "peers text_16_per_s", "≥", 2.5),
    ("predict that waits 50 ms, requests/s at 16 connections: this project, 16 threads / best of "
     "the others", "ours-threads waiting_16_per_s", "peers waiting_16_per_s", "≥", 1),
    ("predict that waits 50 ms, requests/s at 16 connections: this project, 16 threads / one by "
     "one", "ours-threads waiting_16_per_s", "ours-alone waiting_16_per_s", "≥", 8),
    ("the sample in its container, p50 at one connection: / empty route in the same image",
     "container row_1_p50_ms", "container-empty row_1_p50_ms", "≤", 1.5),
    *((f"the sample in its container, requests/s at {connections} connections: / empty route",
       f"container row_{connections}_per_s", f"container-empty row_{connections}_per_s", "≥", 0.75)
      for connections in (16, 64)),
    ("the sample, 10,000-row CSV, one caller, rows/s: this project / best of the others",
     "ours csv_1_rows_s", "peers csv_1_rows_s", "≥", 4),
    ("the sample, 10,000-row CSV, two callers, rows/s: this project / best of the others",
     "ours csv_2_rows_s", "peers csv_2_rows_s", "≥", 3.5),
    ("the sample, large CSV, rows/s: this project / best of the others",
     "ours batch_rows_s", "peers batch_rows_s", "≥", 4),
    ("the sample, 1 row, 16 connections, requests/s: this project / best of the others",
     "ours row_16_per_s", "peers row_16_per_s", "≥", 15),
    ("the sample, 1 row, 64 connections: p99 / p50",
     "ours row_64_p99_ms", "ours row_64_p50_ms", "≤", 3),
    ("the sample, 10,000-row CSV, one caller, cores in use", "ours csv_1_cores", "", "≥", 1.5),
    ("the sample, large CSV, peak memory, MB", "ours batch_peak_mb", "", "≤", 400),
    ("the sample, 10,000 rows, time per row: JSON / CSV",
     "ours csv_1_rows_s", "ours json_rows_s", "≤", 1.5),
    ("the sample, 10,000 rows, time per row: JSON Lines / CSV",
     "ours csv_1_rows_s", "ours jsonl_rows_s", "≤", 1.5),
    ("the sample, start to first good ping, s", "ours ready_s", "", "≤", 0.5),
    ("the sample, start to first prediction: this project / fastest of the others",
     "ours first_prediction_s", "peers first_prediction_s", "≤", 0.25),
    ("the sample, memory, loaded: this project / least of the others",
     "ours loaded_mb", "peers loaded_mb", "≤", 0.33),
    ("the sample, ping p99 while all workers chew large bodies, ms",
     "ours ping_p99_ms", "", "≤", 100),
    *((f"the sample, {what}: this project / before",
       f"ours {figure}", f"before {figure}", sign, goal)
      for what, figure, sign, goal in (
          ("1 row, one connection, p50", "row_1_p50_ms", "≤", 1.15),
          ("1 row, 16 connections, requests/s", "row_16_per_s", "≥", 0.9),
          ("10,000-row CSV, one caller, rows/s", "csv_1_rows_s", "≥", 0.75),
          ("10,000 rows of JSON, rows/s", "json_rows_s", "≥", 0.6),
          ("start to first good ping", "ready_s", "≤", 1.25),
          ("memory, idle", "idle_mb", "≤", 1.1))),
)  # fmt: skip
