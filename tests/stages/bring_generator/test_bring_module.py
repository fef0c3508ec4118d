"""The stage on a module of someone's own: what it leaves, what later stages read of it, and mistakes."""

import numpy as np
import pytest
import torch

from failure_atlas.brought.generator import load_generator
from failure_atlas.ranking.attfind import Trace
from failure_atlas.stylegan2.generator import Generator
from stages.bring_generator.__main__ import main
from tests import yaml12 as yaml
from tests.refusing import refused
from tests.stages.bring_generator.own_module import read_source, write_module
from tests.stages.running import read_metrics

CPU = torch.device("cpu")
NAMES = [str(label) for label in range(10)]


@pytest.fixture
def bring(tmp_path, tiny_images):
    """A function that brings the module of the page; changed: of its source.  entry: what is another in params."""

    def bring(*changed, out="out", entry=None, **arguments):
        source = read_source()
        for before, after in changed:
            assert before in source
            source = source.replace(before, after)
        folder, params = tmp_path / "brought", tmp_path / "params.yaml"
        write_module(folder / "mine", source, **arguments)
        held = {"load": "net:Decoder", "weights": "weights.pt", "arguments": arguments} | (entry or {})
        params.write_text(yaml.safe_dump({"bring_generator": {"mine": held}}), encoding="utf-8")
        main("mine", folder, tiny_images, tmp_path / out, params)
        return tmp_path / out

    return bring


def test_twice_gives_equal_bytes_and_what_was_looked_at_is_told(bring, hash_folder):
    out = bring()
    first = hash_folder(out)
    assert hash_folder(bring(out="again")) == first
    assert sorted(first) == ["generator.safetensors", "metrics.json", "snapshot.safetensors", "training_log.csv"]
    metrics = read_metrics(out)
    assert (metrics["conditional"], metrics["size_px"], metrics["style_dimensions"]) == (True, 32, 48)
    assert metrics["files"].keys() == {"net.py", "weights.pt"}
    assert metrics["checks"]["idle"] == []
    assert metrics["checks"]["alone"] < 1e-5


def test_later_stages_read_the_same_function_of_z_label_and_s(bring, tmp_path):
    out = bring()
    generator = load_generator(out / "generator.safetensors", CPU)
    names = {}
    exec(read_source(), names)  # noqa: S102 - the module that is brought
    own = names["Decoder"]()
    own.load_state_dict(torch.load(tmp_path / "brought/mine/weights.pt"))
    z, labels = torch.randn(3, 16), torch.tensor([2, 0, 9])
    w = own.map_latents(z, labels)
    assert torch.equal(generator.map_latents(z, labels), w)
    assert torch.equal(generator.map_styles(w), own.map_styles(w))
    images = generator.synthesize(own.map_styles(w), np.array([1, 2, 3]))
    assert torch.equal(images, own.synthesize(own.map_styles(w)))
    assert generator.synthesize(torch.zeros(0, 48)).shape == (0, 1, 32, 32)
    assert generator.map_latents(z[:0], labels[:0]).shape == (0, 32)
    assert [(layer.name, layer.columns) for layer in generator.style_layout()] == [
        *(("shape", slice(0, 32)), ("gain", slice(32, 48)))
    ]
    assert isinstance(generator, Generator)
    assert not any(each.requires_grad for each in generator.parameters())


@pytest.mark.parametrize("layer", [0, 1])
def test_attfind_moves_a_style_of_any_layer(bring, layer):
    generator = load_generator(bring() / "generator.safetensors", CPU)
    s = torch.randn(4, 48)
    moved, chosen, rows = s.clone(), generator.style_layout()[layer], torch.tensor([3, 1])
    moved[:, chosen.offset + 2] += 1
    trace = Trace(generator, s, np.arange(4))
    made = trace.change_layer(chosen, rows, moved[rows][:, chosen.columns])
    torch.testing.assert_close(made, generator.synthesize(moved)[rows])
    assert (made - generator.synthesize(s)[rows]).abs().max() > 0.01


def test_classes_come_in_the_order_of_the_data_or_from_the_judge(bring):
    z, label = torch.randn(1, 16), torch.tensor([2])
    own = load_generator(bring() / "generator.safetensors", CPU)
    turned = load_generator(bring(entry={"class_order": NAMES[::-1]}) / "generator.safetensors", CPU)
    assert torch.equal(turned.map_latents(z, label), own.map_latents(z, 9 - label))
    changed = ("= 16, classes", "= 16, None"), ("labels, self.num_classes", "labels, 10")
    blind = load_generator(bring(*changed) / "generator.safetensors", CPU)
    assert (own.conditional, blind.conditional, blind.num_classes) == (True, False, 10)
    assert torch.equal(blind.map_latents(z, label), blind.map_latents(z, 9 - label))


def test_a_layer_that_does_nothing_is_told(bring, caplog):
    out = bring(("(1 + gain[:, :, None, None])", "1"))
    assert read_metrics(out)["checks"]["idle"] == ["gain"]
    assert "no style that was moved changes anything in gain" in caplog.text


def test_code_that_has_changed_is_refused_by_name(bring, tmp_path):
    out = bring()
    with (tmp_path / "brought/mine/net.py").open("a", encoding="utf-8") as opened:
        opened.write("# changed\n")
    told = r"brought/mine/net\.py: expected SHA-256 .* bring it again with: dvc repro bring_generator@mine"
    refused(told, load_generator, out / "generator.safetensors", CPU)


def test_images_that_stop_being_finite_are_told(bring):
    generator = load_generator(bring() / "generator.safetensors", CPU)
    refused(r"bring_generator\.mine: an image is not finite", generator.synthesize, torch.full((1, 48), torch.nan))


PAINTED, STYLES = "torch.sigmoid(self.paint(torch.relu(x)))", "return self.to_styles(w)"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (("def style_layout", "def layout"), r"its module has no style_layout; needed: z_dim, num_classes, map_lat"),
        (("self.num_classes = 16, ", "self.num_classes = 16.5, "), "its z_dim is 16.5; needed: a whole number above 0"),
        (("self.num_classes = 16, classes", "self.num_classes = 16, 3"), "its num_classes is 3; allowed: 10, as the"),
        (("labels, self", "labels * 0, self"), "labels change nothing in map_latents; set its num_classes to 0"),
        (("s.split([32, 16]", "s.split([32, 17]"), r"synthesize fails when it is given \[8, 48\] \(RuntimeError: "),
        ((STYLES, "return [w]"), r"map_styles gives a list; needed: a tensor \[8, styles\] of float32"),
        ((STYLES, "return self.to_styles(w).view(-1, 6, 8)"), r"map_styles gives \[8, 6, 8\] of float32; needed"),
        ((STYLES, "return self.to_styles(w).double()"), r"map_styles gives \[8, 48\] of float64; needed: a tensor"),
        ((STYLES, "return self.to_styles(w) / 0"), "map_styles gives NaN or infinite numbers; correct its code or wei"),
        (('("gain", 16)', '("gain", 15)'), "style_layout have 47 channels, map_styles gives 48 styles; name every"),
        (('("gain", 16)', '("shape", 16)'), r"style_layout gives \[\('shape', 32\), \('shape', 16\)\]; needed: a"),
        (('("gain", 16)', "16"), r"style_layout gives \[\('shape', 32\), 16\]; needed: a list of \(name, channels"),
        (("torch.sigmoid", "torch.tanh"), r"its images lie between -\S+ and \S+; needed: from 0 to 1, as classi"),
        ((PAINTED, f"{PAINTED} * torch.rand(1)"), "two calls of synthesize with the same input differ by"),
        (("relu(x)", "relu(x - x.mean(0))"), "what synthesize gives for a sample changes by .* with the batch that"),
        (("return torch.sigmoid", "with torch.no_grad(): return torch.sigmoid"), "no gradient reaches s through syn"),
        ((STYLES, "return self.to_styles(w).detach()"), "no gradient reaches w through map_styles: its code cuts"),
        (("gain[:", "gain.detach()[:"), "no gradient reaches the styles of gain, which change images: its code cuts"),
        (("return [(", "import sys; sys.exit(); return [("), "its code ends the program"),
        (("return [(", "open(__file__, 'a').write('#'); return [("), r"net\.py: written by its own code; let it write"),
    ],
)  # fmt: skip
def test_what_is_no_generator_is_told_and_leaves_nothing(bring, tmp_path, changed, told):
    refused(told, bring, changed)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"size_px": 16}, r"mine: makes images of 1 channels and 16 px, the data's have 1 and 32; set prepare_im"),
        ({"entry": {"class_order": ["0", "1"]}}, r"class_order: got 0, 1; allowed: each of the data's classes once"),
        ({"entry": {"truncation": 0.5}}, "truncation only beside file; it stands beside load, which takes none"),
        ({"entry": {"file": "network.pkl"}}, "exactly one of file and load; it has file and load"),
        ({"entry": {"load": None}}, "exactly one of file and load; it has none of them"),
        ({"entry": {"load": None, "file": "network.pkl"}}, "file with its sha256; the latter is missing"),
        ({"entry": {"weights": "gone.pt"}}, r"mine\.weights: no file .*mine/gone\.pt; files there: net\.py, weights"),
        ({"entry": {"load": "other:Net"}}, r"mine\.load: got 'other:Net'; .* holds no module other, and none is inst"),
    ],
)  # fmt: skip
def test_mistakes_are_told_and_leave_nothing(bring, tmp_path, options, told):
    refused(told, bring, **options)
    assert not (tmp_path / "out").exists()
