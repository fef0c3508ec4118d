"""Brought classifiers as judge and auditor: taken over, calibrated and asked for features; and what is refused."""

from pathlib import Path

import pytest
import torch
from torch import nn

from failure_atlas.brought.checkpoint import load_brought, save_refused
from failure_atlas.core.weights import read_description
from failure_atlas.judges.brought_member import BroughtMember
from failure_atlas.judges.ensemble import SMALLEST, load_ensemble
from stages.train_judges.__main__ import main
from tests import yaml12 as yaml
from tests.house import ROOT
from tests.refusing import refused
from tests.stages.bring_classifiers.readers import ENTRY, adapt, write_brought
from tests.stages.pinning import pin
from tests.stages.running import read_metrics

CPU = torch.device("cpu")
JUDGE, BRINGS = Path("data/train_judges/judge.safetensors"), Path("data/bring_classifiers")


@pytest.fixture
def judge(keep, tiny_images):
    """A function that runs train_judges, with two networks brought, whose levels differ; changes: of its section."""
    for name, mean in (("judge", 0.0), ("auditor", 0.05)):
        write_brought(Path(f"data/brought/{name}"), mean=mean)
        keep(ENTRY, name)

    def run(brought=BRINGS, **changes):
        section = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["train_judges"]
        Path("params.yaml").write_text(yaml.safe_dump({"train_judges": section | changes}), encoding="utf-8")
        main(tiny_images, tiny_images, JUDGE.parent, Path("params.yaml"), None, brought)
        return load_ensemble(JUDGE, CPU)

    return run


def test_brought_judges_are_calibrated_and_answer_from_their_own_files(judge, hash_folder):
    made, images, metrics = judge(released="brought"), torch.rand(5, 1, 32, 32), read_metrics(JUDGE.parent)
    before = hash_folder(JUDGE.parent)
    assert metrics["judge"]["accuracy"]["value"] == 1
    assert made.temperature == pytest.approx(metrics["judge"]["temperature"], rel=1e-4) != 1
    logits = load_brought(BRINGS / "judge/classifier.safetensors", CPU)(images)
    features, opinion = made.examine(images)
    expected = (logits.double().softmax(1).clamp_min(SMALLEST).log() / made.temperature).log_softmax(1)
    torch.testing.assert_close(opinion, expected)
    torch.testing.assert_close(features, logits)  # no linear layer says more
    assert read_description(JUDGE)["folder"] == "../brought/judge"
    judge(released="brought")
    assert hash_folder(JUDGE.parent) == before
    Path("data/brought/judge/bars.py").write_text("raise SystemExit", encoding="utf-8")
    refused(r"data/brought/judge/bars\.py: expected SHA-256 ", load_ensemble, JUDGE, CPU)


def test_features_are_what_the_last_linear_layer_sees():
    layers = nn.Sequential(nn.Flatten(), nn.Linear(1024, 6), nn.ReLU(), nn.Linear(6, 10), nn.Softplus())
    member = BroughtMember(adapt(layers, (1, 32, 32), list("0123456789")), {})
    images = torch.rand(3, 1, 32, 32)
    features, logits = member.examine(images)
    torch.testing.assert_close(features, layers[:3](images))
    torch.testing.assert_close(logits, layers(images))
    assert (member.features(images[:0]).shape, member(images[:0]).shape) == ((0, 6), (0, 10))


def test_what_cannot_judge_is_refused(judge, keep):
    refused("released: got brought, but no --brought says where", judge, brought=None, released="brought")
    write_brought(Path("data/brought/auditor"))
    keep(ENTRY, "auditor")
    refused("auditor: is the same network as bring_classifiers.judge", judge, released="brought")
    (Path("data/brought/judge") / "box.py").write_text("def predict(images): ...", encoding="utf-8")
    box = keep({"predict": "box:predict"}, "judge")
    refused("bring_classifiers.judge: is a black box, and searches follow its gradient", judge, released="brought")
    held = pin(box)  # the code of a file from elsewhere is not run
    refused("holds a brought classifier, needed: a ensemble", judge, released=[{"judge": held, "auditor": held}])
    save_refused(box, "judge", "it is bad")
    refused("it is bad .*dvc repro -f bring_classifiers@judge", judge, released="brought")
    assert not JUDGE.exists()
