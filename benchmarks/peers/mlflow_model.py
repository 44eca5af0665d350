"""
MLflow: saves a model of Python code that its server then loads; model and body are columns.

    python mlflow_model.py FOLDER
"""

import shutil
import sys

import mlflow.pyfunc
import work


class People(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.models = work.Models()

    def predict(self, context, model_input, params=None):
        (found,) = self.models.answer_all(model_input["model"][0], list(model_input["body"]))
        return found


if __name__ == "__main__":
    import mlflow_model  # by this name the server finds the class again

    shutil.rmtree(sys.argv[1], ignore_errors=True)
    mlflow.pyfunc.save_model(sys.argv[1], python_model=mlflow_model.People(), pip_requirements=[])
