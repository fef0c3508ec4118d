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
from tests.stages.bring_classifiers import readers  # fmt: skip

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
    prepare: Callable[[Path], object] = lambda _: None
    entry: dict[str, Any] = field(default_factory=dict)
    warned: bool = False
    after: Callable[[Path], object] | None = None
    images: str = "bars"


def code(old, new, **options):
    """Bring a network with a line of its code changed; options: of `bar_weights`."""
    assert old in readers.SOURCE
    changed = readers.SOURCE.replace(old, new)
    return lambda folder: readers.write_brought(folder, changed, **options)


def weights(change, **options):
    """Bring weights that were changed in place; options: of `bar_weights`."""

    def prepare(folder):
        held = readers.bar_weights(**options)
        change(held)
        torch.save(held, folder / "weights.pt")

    return prepare


def write(name, content):
    """Bring one more file."""
    return lambda folder: (folder / name).write_bytes(content)


def before(line):
    """Bring a network with one more line at the start of its forward."""
    return code("def forward(self, x):\n", f"def forward(self, x):\n        {line}\n")


def answer(text, **options):
    """Bring a network that answers otherwise; options: of `bar_weights`."""
    return code(ANSWER, text, **options)


def link(folder):
    Path("elsewhere").mkdir()
    (folder / "sub").symlink_to("../../../elsewhere")


SMALL = 'assert x.shape[2:] == (16, 16), "16 px wanted"\n        x = nn.functional.interpolate(x, 32)'
CUT = CALL.replace(".flatten(1)", ".reshape(len(x), 10)")
NINE = weights(lambda held: held.update({"bands.weight": held["bands.weight"][:9]}))
IGNORANT = weights(lambda held: held["bands.weight"].fill_(1e-3))
WAYS = [
    Way("the folder is empty", lambda folder: [path.unlink() for path in folder.iterdir()]),
    Way("a server or an installed package, and no folder", shutil.rmtree,
        {"load": None, "weights": None, "url": "http://127.0.0.1:8000/predict"}),
    Way("another module is named", entry={"load": "model:Reader"}),
    Way("another function or class is named", entry={"load": "bars:build"}),
    Way("the code needs a package that is not there", code("import torch\n", "import torch\nimport timmm\n")),
    Way("a module is imported only when the network is called", before("import helper")),
    Way("a file has the name of one of Python's modules", write("random.py", b"")),
    Way("its code ends the program", code("import torch\n", "import torch\n\nraise SystemExit(0)\n")),
    Way("its code changes the working folder", code("import torch\n", "import os\nimport torch\nos.chdir('/')\n")),
    Way("its code writes into its own folder",
        code("import torch\n", "import torch\nopen(__file__.replace('bars.py', 'cache.txt'), 'w').close()\n")),
    Way("layers that are built only when they are called", code("nn.Conv2d(channels, ", "nn.LazyConv2d(")),
    Way("arguments that the code does not know", entry={"arguments": {"width": 64}}),
    Way("the function returns no network", code("class R", "def build():\n    return {}\n\n\nclass R"),
        {"load": "bars:build"}),
    Way("the weights are another file", entry={"weights": "best.pt"}),
    Way("the weights are forgotten", entry={"weights": None}),
    Way("the whole model was pickled", lambda folder: torch.save(torch.nn.Linear(2, 2), folder / "model.pt"),
        {"weights": "model.pt"}),
    Way("a pickle file", write("model.pkl", pickle.dumps(readers.bar_weights(), protocol=2)),
        {"weights": "model.pkl"}),
    Way("a safetensors file was cut", write("weights.safetensors", b"\x40\0\0\0\0\0\0\0{"),
        {"weights": "weights.safetensors"}),
    Way("the state dict is another network's", weights(lambda held: held.update({"scale": held.pop("level")}))),
    Way("the network has another size", entry={"arguments": {"size": 28}}),
    Way("weights with NaN", weights(lambda held: held["bands.weight"][3, 0, 0].fill_(float("nan")))),
    Way("images of another size than it was trained on", code(CALL, CUT, size=28), {"arguments": {"size": 28}}),
    Way("batches of one size only", code(CALL, CALL.replace(".flatten(1)", ".view(8, 10)"))),
    Way("no batch of a single image", code(CALL, f"{CALL}\n        nn.BatchNorm1d(10)(bands)")),
    Way("numbers of another type", code(CALL, CALL.replace("x[", "x.double()["))),
    Way("one channel instead of three", weights(lambda _: None, channels=3), {"arguments": {"channels": 3}}),
    Way("an image smaller than what the images show", before(SMALL), images="digits"),
    Way("a crop larger than the image", entry={"input": {"size_px": 64}}),
    Way("three means for one channel", entry={"input": {"mean": [0.4, 0.4, 0.4], "std": [0.2]}}),
    Way("nine classes", NINE, {"arguments": {"classes": 9}}),
    Way("features beside the logits", answer("return bands, bands")),
    Way("classes instead of scores", answer("return (bands - self.level).abs().argsort(1)")),
    Way("NaN or infinity in the answers", answer("return (bands - 0.5).relu().log()")),
    Way("NaN for few images", answer(f"{ANSWER} + 0 * x[:, 0, 0, 12:13].log()")),
    Way("softmax inside, declared as logits", answer(ANSWER.replace("return ", "return (") + ").softmax(1)")),
    Way("logits declared as probabilities", entry={"outputs": "probabilities"}),
    Way("sigmoids instead of logits", answer(ANSWER.replace("return ", "return (1 ") + ").sigmoid()"), warned=True),
    Way("dropout that evaluation mode does not turn off", before("x = nn.functional.dropout(x, 0.2)")),
    Way("statistics of the batch in evaluation mode", before("x = x - x.mean(0)")),
    Way("the gradient is cut", code(CALL, f"{CALL}.detach()")),
    Way("an operation without a slope", code(CALL, CALL.replace("x[", "x.mul(9).round().div(9)["))),
    # What each class has from the start decides where the evidence is weak.
    Way("another range of values", answer(f"bands = bands / 255\n        {ANSWER} + torch.arange(10)")),
    Way("dark digits on light", weights(lambda held: held.update({"level": torch.tensor(-0.5)}))),
    Way("mean and std forgotten", answer(f"{ANSWER} + torch.arange(10)", mean=0.14, std=0.19)),
    Way("mean and std applied twice", readers.write_digit_reader,
        readers.DIGITS_ENTRY | {"input": {"mean": [0.485], "std": [0.229]}}, images="digits"),
    Way("another size than it was trained on, and it takes any", readers.write_digit_reader,
        readers.DIGITS_ENTRY | {"arguments": {"shrink": 2}}, images="digits"),
    Way("outputs in another order", weights(lambda held: held.update({"bands.weight": held["bands.weight"][ORDER]}))),
    Way("names of other classes", entry={"class_order": ["zero", *range(1, 10)]}),
    Way("rows and columns swapped", code(CALL, CALL.replace("x[", "x.mT["))),
    Way("weights that know nothing", IGNORANT),
    Way("the same, brought as it is", IGNORANT, {"on_doubt": "warn"}, warned=True),
    Way("weights that know little", weights(lambda held: held["bands.weight"][:4].fill_(0)), warned=True),
    Way("a folder inside is a link", link),
    Way("a file was changed after it was brought", after=write("bars.py", readers.SOURCE.encode() + b"#")),
]  # fmt: skip


def message_of(way, stores):
    """What the stage says, in the current folder, which is empty; stores: as `tiny_images`, by what they show."""
    folder = readers.write_brought(Path("data/brought/mine"))
    way.prepare(folder)
    entry = {name: value for name, value in (readers.ENTRY | way.entry).items() if value is not None}
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


def table_of(messages):
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
