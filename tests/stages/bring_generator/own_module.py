"""The module of docs/generators.md, as a user would bring it."""

import re
import textwrap
from pathlib import Path
from typing import Any

import torch

from tests.house import ROOT


def read_source() -> str:
    """The code of the page."""
    page = (ROOT / "docs/generators.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^    import torch\n(?:(?:    .*)?\n)+", page, re.MULTILINE)
    return textwrap.dedent(block)


def write_module(folder: Path, source: str, **arguments: int) -> Any:
    """Make the folder that a user brings, with weights so large that images differ; the network itself."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "net.py").write_text(source, encoding="utf-8")
    names: dict[str, Any] = {}
    exec(source, names)  # noqa: S102 - the module that is brought
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = names["Decoder"](**arguments)
    network.load_state_dict({name: 3 * each for name, each in network.state_dict().items()})
    torch.save(network.state_dict(), folder / "weights.pt")
    return network.requires_grad_(False)
