"""
Trains and serves ``train.py`` and ``inference.py`` of this folder as AWS's framework containers do.
"""

from pathlib import Path

from sagemaker_runtime.script_mode import ScriptMode

SCRIPTS = ScriptMode(Path(__file__).parent)
INPUT, OUTPUT = SCRIPTS.input, SCRIPTS.output
HYPERPARAMETERS, ENTRY_POINT = None, True
train, load, predict = SCRIPTS.train, SCRIPTS.load, SCRIPTS.predict
