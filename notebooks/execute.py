"""
Executes a notebook from top to bottom, with other parameters if wanted, in the environment of the
Python that runs this: ``python execute.py NOTEBOOK RESULT --set mode=cloud --set port=8081``.
"""

import argparse
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

TAG = "parameters"
HERE = Path(__file__).resolve().parent


def main() -> int:
    """
    Write the executed notebook, with the output of the cell that failed if one did.
    """
    parser = argparse.ArgumentParser(description="Execute a notebook from top to bottom.")
    parser.add_argument("notebook", type=Path)
    parser.add_argument("result", type=Path, help="the notebook to write, outputs included")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="set a parameter"
    )
    options = parser.parse_args()
    notebook = nbformat.read(options.notebook, as_version=4)
    try:
        set_parameters(notebook, dict(each.split("=", 1) for each in options.set))
    except ValueError as error:
        parser.error(str(error))
    client = NotebookClient(
        notebook, timeout=None, resources={"metadata": {"path": str(HERE)}}, kernel_name="python3"
    )
    try:
        client.execute()
    except CellExecutionError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        nbformat.write(notebook, options.result)
    return 0


def set_parameters(notebook: nbformat.NotebookNode, values: dict[str, str]) -> None:
    """
    Insert a cell that assigns ``values`` after the one tagged ``parameters``.

    Raises ValueError for a name that the tagged cell does not assign.
    """
    (place,) = (
        place for place, cell in enumerate(notebook.cells) if TAG in cell.metadata.get("tags", [])
    )
    defaults: dict[str, object] = {}
    exec(notebook.cells[place].source, defaults)  # noqa: S102 - the notebook is run anyway
    lines = []
    for name, text in values.items():
        if name not in defaults:
            known = ", ".join(each for each in defaults if not each.startswith("__"))
            raise ValueError(f"there is no parameter {name!r}; there are: {known}")
        kind = type(defaults[name])
        lines.append(f"{name} = {text == 'True' if kind is bool else kind(text)!r}")
    if lines:
        notebook.cells.insert(place + 1, nbformat.v4.new_code_cell("\n".join(lines)))


if __name__ == "__main__":
    sys.exit(main())
