"""The examples that docs/notebook.md gives; `python -m tests.notebook` draws the first one's picture anew."""

import re
import shutil
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from matplotlib import pyplot as plt

from tests.house import ROOT

PICTURE = "walk.png"  # as the example calls it
IN_DOCS = ROOT / "docs" / "notebook.png"


def read_examples() -> tuple[str, str, str]:
    """The code, what the page says that it prints, and the code that brings networks of one's own."""
    text = (ROOT / "docs/notebook.md").read_text(encoding="utf-8")
    code = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    printed = re.search(r"```text\n(.*?)```", text, re.DOTALL)
    if len(code) != 2 or printed is None:
        raise ValueError("docs/notebook.md: not two examples and what the first one prints")
    return code[0], printed[1], code[1]


def run_example(code: str, folder: Path) -> dict[str, Any]:
    """Run the code in a folder, where it leaves its picture; the names that it leaves."""
    names: dict[str, Any] = {}
    with chdir(folder), plt.style.context("default"):  # the look of the stages' figures is none of its own
        exec(compile(code, "docs/notebook.md", "exec"), names)  # noqa: S102 - it is the code that readers copy
    plt.close("all")
    return names


if __name__ == "__main__":
    with TemporaryDirectory() as made:
        run_example(read_examples()[0], Path(made))
        shutil.copyfile(Path(made, PICTURE), IN_DOCS)
