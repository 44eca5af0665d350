"""
MLflow: saves a model of Python code that its server then loads.

    python mlflow_model.py FOLDER
"""

import shutil
import sys

import fares
import mlflow.pyfunc


class Fares(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.estimator = fares.load()

    def predict(self, context, model_input, params=None):
        return fares.predict(self.estimator, model_input)


if __name__ == "__main__":
    import mlflow_model  # by this name the server finds the class again

    shutil.rmtree(sys.argv[1], ignore_errors=True)
    mlflow.pyfunc.save_model(sys.argv[1], python_model=mlflow_model.Fares(), pip_requirements=[])
