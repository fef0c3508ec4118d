"""Wrong ways to bring a classifier: each is told in one line, which docs/classifiers.md shows as it is printed."""

import json
import os
import pickle
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from failure_atlas.brought.checkpoint import load_classifier
from failure_atlas.core.errors import StageError
from stages.bring_classifiers.__main__ import main
from tests import yaml12 as yaml
from tests.house import ROOT
from tests.stages.bring_classifiers.bar_reader import ENTRY, SOURCE, bar_weights, write_brought
from tests.stages.bring_classifiers.digit_reader import ENTRY as DIGITS_ENTRY
from tests.stages.bring_classifiers.digit_reader import write_digit_reader

WRITE = "WRITE_WRONG_WAYS"  # set in the environment: the table is written anew instead
BEGIN, END = "<!-- wrong ways: begin -->", "<!-- wrong ways: end -->"
RESULT = Path("data/bring_classifiers/mine")
ORDER = [3, 1, 4, 0, 5, 9, 2, 6, 8, 7]
CALL = "bands = self.bands(x[:, :, 4:-4]).flatten(1)"
ANSWER = "return -self.sharpness * (bands - self.level) ** 2"


@dataclass(frozen=True)
class Way:
    """What somebody did; entry: of params, added to the right one; prepare: what is wrong with the folder.

    warned: the stage goes on, and says so in metrics.json.  images: which store it is shown, "bars" or "digits".
    """

    name: str
    entry: dict[str, Any] = field(default_factory=dict)
    prepare: Callable[[Path], object] = lambda _: None
    warned: bool = False
    after: Callable[[Path], object] | None = None
    images: str = "bars"


def code(old: str, new: str, **options: float) -> Callable[[Path], object]:
    """Bring a network with a line of its code changed; options: of `bar_weights`."""
    assert old in SOURCE
    changed = SOURCE.replace(old, new)
    return lambda folder: write_brought(folder, changed, **options)


def weights(change: Callable[[dict[str, torch.Tensor]], object], **options: float) -> Callable[[Path], object]:
    """Bring weights that were changed in place; options: of `bar_weights`."""

    def prepare(folder: Path) -> None:
        held = bar_weights(**options)  # type: ignore[arg-type]
        change(held)
        torch.save(held, folder / "weights.pt")

    return prepare


def shuffle(held: dict[str, torch.Tensor]) -> None:
    held["bands.weight"] = held["bands.weight"][ORDER]


def pickle_whole(folder: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), folder / "model.pt")


SMALL = """
        assert x.shape[2:] == (16, 16), "16 px wanted"
        x = nn.functional.interpolate(x, 32)
"""


def link(folder: Path) -> None:
    Path("elsewhere").mkdir()
    (folder / "sub").symlink_to("../../../elsewhere")


WAYS = [
    Way("the folder is empty", prepare=lambda folder: [path.unlink() for path in folder.iterdir()]),
    Way(
        "a server or an installed package, and no folder",
        {"load": None, "weights": None, "url": "http://127.0.0.1:8000/predict"},
        shutil.rmtree,
    ),
    Way("another module is named", {"load": "model:Reader"}),
    Way("another function or class is named", {"load": "bars:build"}),
    Way("the code needs a package that is not there", prepare=code("import torch\n", "import torch\nimport timmm\n")),
    Way(
        "a module is imported only when the network is called",
        prepare=code("def forward(self, x):\n", "def forward(self, x):\n        import helper\n"),
    ),
    Way(
        "a file has the name of one of Python's modules",
        prepare=lambda folder: (folder / "random.py").write_text("", encoding="utf-8"),
    ),
    Way("its code ends the program", prepare=code("import torch\n", "import torch\n\nraise SystemExit(0)\n")),
    Way(
        "its code changes the working folder",
        prepare=code("import torch\n", "import os\nimport torch\nos.chdir('/')\n"),
    ),
    Way(
        "its code writes into its own folder",
        prepare=code("import torch\n", "import torch\nopen(__file__.replace('bars.py', 'cache.txt'), 'w').close()\n"),
    ),
    Way("layers that are built only when they are called", prepare=code("nn.Conv2d(channels, ", "nn.LazyConv2d(")),
    Way("arguments that the code does not know", {"arguments": {"width": 64}}),
    Way(
        "the function returns no network",
        {"load": "bars:build"},
        code("class R", "def build():\n    return {}\n\n\nclass R"),
    ),
    Way("the weights are another file", {"weights": "best.pt"}),
    Way("the weights are forgotten", {"weights": None}),
    Way("the whole model was pickled", {"weights": "model.pt"}, pickle_whole),
    Way(
        "a pickle file",
        {"weights": "model.pkl"},
        lambda folder: (folder / "model.pkl").write_bytes(pickle.dumps(bar_weights(), protocol=2)),
    ),
    Way(
        "a safetensors file was cut",
        {"weights": "weights.safetensors"},
        lambda folder: (folder / "weights.safetensors").write_bytes(b"\x40\0\0\0\0\0\0\0{"),
    ),
    Way("the state dict is another network's", prepare=weights(lambda held: held.update({"scale": held.pop("level")}))),
    Way("the network has another size", {"arguments": {"size": 28}}),
    Way("weights with NaN", prepare=weights(lambda held: held["bands.weight"][3, 0, 0].fill_(float("nan")))),
    Way(
        "images of another size than it was trained on",
        {"arguments": {"size": 28}},
        code(CALL, "bands = self.bands(x[:, :, 4:-4]).reshape(len(x), 10)", size=28),
    ),
    Way("batches of one size only", prepare=code(CALL, "bands = self.bands(x[:, :, 4:-4]).view(8, 10)")),
    Way("no batch of a single image", prepare=code(CALL, f"{CALL}\n        nn.BatchNorm1d(10)(bands)")),
    Way("numbers of another type", prepare=code(CALL, CALL.replace("x[", "x.double()["))),
    Way("one channel instead of three", {"arguments": {"channels": 3}}, weights(lambda _: None, channels=3)),
    Way(
        "an image smaller than what the images show",
        prepare=code("def forward(self, x):\n", f"def forward(self, x):\n{SMALL}"),
        images="digits",
    ),
    Way("a crop larger than the image", {"input": {"size_px": 64}}),
    Way("three means for one channel", {"input": {"mean": [0.4, 0.4, 0.4], "std": [0.2]}}),
    Way("nine classes", {"arguments": {"classes": 9}}, weights(lambda held: held.update(nine(held)))),
    Way("features beside the logits", prepare=code(ANSWER, "return bands, bands")),
    Way("classes instead of scores", prepare=code(ANSWER, "return (bands - self.level).abs().argsort(1)")),
    Way("NaN or infinity in the answers", prepare=code(ANSWER, "return (bands - 0.5).relu().log()")),
    Way("NaN for few images", prepare=code(ANSWER, f"{ANSWER} + 0 * x[:, 0, 0, 12:13].log()")),
    Way(
        "softmax inside, declared as logits",
        prepare=code(ANSWER, ANSWER.replace("return ", "return (") + ").softmax(1)"),
    ),
    Way("logits declared as probabilities", {"outputs": "probabilities"}),
    Way(
        "sigmoids instead of logits",
        prepare=code(ANSWER, ANSWER.replace("return ", "return (1 ") + ").sigmoid()"),
        warned=True,
    ),
    Way(
        "dropout that evaluation mode does not turn off",
        prepare=code("def forward(self, x):\n", "def forward(self, x):\n        x = nn.functional.dropout(x, 0.2)\n"),
    ),
    Way(
        "statistics of the batch in evaluation mode",
        prepare=code("def forward(self, x):\n", "def forward(self, x):\n        x = x - x.mean(0)\n"),
    ),
    Way("the gradient is cut", prepare=code(CALL, f"{CALL}.detach()")),
    Way("an operation without a slope", prepare=code(CALL, CALL.replace("x[", "x.mul(9).round().div(9)["))),
    # What each class has from the start decides where the evidence is weak.
    Way("another range of values", prepare=code(ANSWER, f"bands = bands / 255\n        {ANSWER} + torch.arange(10)")),
    Way("dark digits on light", prepare=weights(lambda held: held.update({"level": torch.tensor(-0.5)}))),
    Way("mean and std forgotten", prepare=code(ANSWER, f"{ANSWER} + torch.arange(10)", mean=0.14, std=0.19)),
    Way(
        "mean and std applied twice",
        DIGITS_ENTRY | {"input": {"mean": [0.485], "std": [0.229]}},
        write_digit_reader,
        images="digits",
    ),
    Way(
        "another size than it was trained on, and it takes any",
        DIGITS_ENTRY | {"arguments": {"shrink": 2}},
        write_digit_reader,
        images="digits",
    ),
    Way("outputs in another order", prepare=weights(shuffle)),
    Way("names of other classes", {"class_order": ["zero", *range(1, 10)]}),
    Way("rows and columns swapped", prepare=code(CALL, CALL.replace("x[", "x.mT["))),
    Way("weights that know nothing", prepare=weights(lambda held: held["bands.weight"].fill_(1e-3))),
    Way(
        "the same, brought as it is",
        {"on_doubt": "warn"},
        weights(lambda held: held["bands.weight"].fill_(1e-3)),
        warned=True,
    ),
    Way("weights that know little", prepare=weights(lambda held: held["bands.weight"][:4].fill_(0)), warned=True),
    Way("a folder inside is a link", prepare=link),
    Way("a file was changed after it was brought", after=lambda folder: (folder / "bars.py").write_text(SOURCE + "#")),
]


def nine(held: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {"bands.weight": held["bands.weight"][:9]}


def message_of(way: Way, stores: dict[str, Path]) -> str:
    """What the stage says, in the current folder, which is empty; stores: as `tiny_images`, by what they show."""
    folder = write_brought(Path("data/brought/mine"))
    way.prepare(folder)
    entry = {name: value for name, value in (ENTRY | way.entry).items() if value is not None}
    Path("params.yaml").write_text(yaml.safe_dump({"bring_classifiers": {"mine": entry}}), encoding="utf-8")
    store = Path(os.path.relpath(stores[way.images]))
    torch.manual_seed(1)  # of the dropout that is never turned off
    try:
        main(entry="mine", folder=folder, images=store, corrupted=store, out=RESULT)
        if way.after is not None:
            way.after(folder)
            load_classifier(RESULT / "classifier.safetensors", torch.device("cpu"))
    except StageError as error:
        assert not way.warned
        return str(error)
    assert way.warned, f"{way.name}: nothing is said"
    (warning,) = json.loads((RESULT / "metrics.json").read_text(encoding="utf-8"))["warnings"]
    return f"(warning) {warning}"


def table_of(messages: dict[str, str]) -> str:
    """Way -> message as a Markdown table."""
    rows = [f"| {name} | {message.replace('|', '&#124;')} |" for name, message in messages.items()]
    return "\n".join(["| what is wrong | what the stage says |", "|---|---|", *rows])


def test_the_table_of_contributing_is_what_the_stage_says(tmp_path, tiny_images, digits, monkeypatch):
    stores, messages = {"bars": tiny_images, "digits": digits}, {}
    for index, way in enumerate(WAYS):
        (tmp_path / str(index)).mkdir()
        monkeypatch.chdir(tmp_path / str(index))
        messages[way.name] = message_of(way, stores)
    assert len(messages) == len(WAYS)
    assert not [message for message in messages.values() if "\n" in message]
    path = ROOT / "docs/classifiers.md"
    document = path.read_text(encoding="utf-8")
    found = re.search(f"(?<={BEGIN}\n\n).*?(?=\n\n{END})", document, re.DOTALL)
    assert found, f"docs/classifiers.md holds no {BEGIN}, empty line, table, empty line, {END}"
    if os.environ.get(WRITE):
        path.write_text(document[: found.start()] + table_of(messages) + document[found.end() :], encoding="utf-8")
    else:
        assert found[0] == table_of(messages), f"write it anew: {WRITE}=1 python -m pytest {__file__}"
