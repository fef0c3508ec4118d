"""The module of docs/generators.md, as a user would bring it."""

import re
import textwrap
from pathlib import Path

import torch

from tests.house import ROOT


def read_source() -> str:
    """The code of the page."""
    page = (ROOT / "docs/generators.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^    import torch\n(?:(?:    .*)?\n)+", page, re.MULTILINE)
    return textwrap.dedent(block)


def write_module(folder: Path, source: str, **arguments: int) -> None:
    """The folder that a user brings, with weights so large that images differ."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "net.py").write_text(source, encoding="utf-8")
    names: dict[str, type[torch.nn.Module]] = {}
    exec(source, names)  # noqa: S102 - the module that is brought
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = names["Decoder"](**arguments)
    torch.save({name: 3 * each for name, each in network.state_dict().items()}, folder / "weights.pt")
