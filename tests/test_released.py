"""The released generator and judges: whole, as pinned, small, described, and what the default run uses."""

import hashlib
import itertools
import re
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors import safe_open

from failure_atlas.core.weights import check_pinned, read_description
from failure_atlas.images.gtsrb import SIGNS
from failure_atlas.judges.ensemble import load_ensemble
from failure_atlas.stylegan2.augmentation import AdaptiveProbability
from failure_atlas.stylegan2.state import TrainingState, check_architecture, new_state, restore_state
from stages.train_judges.params import TrainJudgesParams
from stages.train_stylegan2.params import TrainStylegan2Params
from stages.train_stylegan2.session import choose_snapshot
from tests import yaml12 as yaml
from tests.house import ROOT

RELEASED = ROOT / "data" / "released"
MOST_BYTES = 41_000_000
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
(JUDGES,) = TrainJudgesParams.model_validate(PARAMS["train_judges"]).released or []
SECTION = TrainStylegan2Params.model_validate(PARAMS["train_stylegan2"])
(SNAPSHOT,) = SECTION.resume or []


def restore_released(section: TrainStylegan2Params, class_names: list[str]) -> TrainingState:
    """The released snapshot in a new state that the params describe."""
    generator, discriminator = section.design_networks(10, image_channels=1)
    state = new_state(
        generator,
        discriminator,
        AdaptiveProbability(0.0, 1, 1.0),
        class_names,
        learning_rate=0.001,
        seed=1,
        device=torch.device("cpu"),
        critic=section.design_critic(10, image_channels=1),
    )
    restore_state(ROOT / SNAPSHOT.path, state)
    return state


def test_the_default_run_goes_on_from_the_released_snapshot_with_nothing_left_to_train() -> None:
    assert ROOT / SNAPSHOT.path == RELEASED / "snapshot.safetensors"
    state = restore_released(SECTION, [])
    assert SECTION.total_kimg == "resumed"
    assert state.class_names == list("0123456789")
    images = state.average.synthesize(
        state.average.map_styles(state.average.map_latents(torch.zeros(1, 64), torch.tensor([3])))
    )
    assert float(images.max()) > 0.5


def test_training_can_go_on_with_the_released_critic_as_params_yaml_describes_it() -> None:
    lines = (ROOT / "params.yaml").read_text(encoding="utf-8").splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("  feature_critic: null"))
    described = itertools.takewhile(lambda line: line.startswith("    # "), lines[start + 1 :])
    critic = yaml.safe_load("\n".join(line.removeprefix("    # ") for line in described))
    section = TrainStylegan2Params.model_validate({**PARAMS["train_stylegan2"], "feature_critic": critic})
    state = restore_released(section, list("0123456789"))
    assert state.critic_ready


def test_every_hash_is_that_of_the_file() -> None:
    listed = dict(
        reversed(line.split("  ")) for line in (RELEASED / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    )
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in RELEASED.iterdir()}
    del found["SHA256SUMS"]
    assert listed == found
    assert SNAPSHOT.sha256 == found["snapshot.safetensors"]
    card = (RELEASED / "README.md").read_text(encoding="utf-8")
    assert all(found[name] in card for name in found if name.endswith(".safetensors"))


def test_traffic_signs_have_a_generator_and_judges_of_their_own() -> None:
    world = yaml.safe_load((ROOT / "worlds/traffic_signs.yaml").read_text(encoding="utf-8"))
    section = TrainStylegan2Params.model_validate(PARAMS["train_stylegan2"] | world["train_stylegan2"])
    assert section.resume is not None
    path = choose_snapshot(section.resume, list(SIGNS))
    held = read_description(ROOT / path)
    designs = section.design_networks(43, image_channels=3)
    for network, design in zip(("generator", "discriminator"), designs, strict=True):
        check_architecture(path, network, held[network], design.describe())
    judges = TrainJudgesParams.model_validate(PARAMS["train_judges"] | world["train_judges"])
    (released,) = judges.released or []
    for name, members in (("judge", judges.judge), ("auditor", judges.auditor)):
        ensemble = load_ensemble(check_pinned(getattr(released, name), "train_judges.released"), torch.device("cpu"))
        assert ensemble.class_names == list(SIGNS)
        assert [each.architecture["network"] for each in ensemble.members] == [each.network for each in members]


@pytest.mark.parametrize("name", ["judge", "auditor"])
def test_the_default_run_takes_the_released_judges_over(name: str) -> None:
    path = check_pinned(getattr(JUDGES, name), "train_judges.released")
    assert ROOT / path == RELEASED / f"{name}.safetensors"
    ensemble = load_ensemble(path, torch.device("cpu"))
    described = [{key: each.architecture[key] for key in ("network", "width")} for each in ensemble.members]
    # The params say how they were made, so that training them anew makes ensembles of the same kind.
    wanted = [{"network": member["network"], "width": member["width"]} for member in PARAMS["train_judges"][name]]
    assert described == wanted
    assert ensemble.class_names == list("0123456789")


def test_the_outsider_is_as_the_study_makes_it_and_of_a_family_of_its_own() -> None:
    study = yaml.safe_load((ROOT / "study/params.yaml").read_text(encoding="utf-8"))["train_judges"]
    (member,) = load_ensemble(RELEASED / "outsider.safetensors", torch.device("cpu")).members
    (made,) = study["auditor"]
    assert (member.architecture["network"], member.architecture["width"]) == (made["network"], made["width"])
    others = {each["network"] for name in ("judge", "auditor") for each in PARAMS["train_judges"][name]}
    assert made["network"] not in others


def test_the_release_is_small_and_holds_no_pickle() -> None:
    assert sum(path.stat().st_size for path in RELEASED.iterdir()) < MOST_BYTES
    assert {path.suffix for path in RELEASED.iterdir()} <= {".safetensors", ".csv", ".json", ".png", ".md", ""}
    with safe_open(RELEASED / "snapshot.safetensors", framework="pt") as file:
        assert list(file.metadata()) == ["failure-atlas"]


def test_the_card_says_what_an_assessor_asks() -> None:
    card = (RELEASED / "README.md").read_text(encoding="utf-8")
    headings = ["".join(pair).lower() for pair in re.findall(r"^\| \*\*(.+?)\*\*|^## (.+)$", card, re.MULTILINE)]
    for said in ("data", "params", "commit", "versions", "hardware", "hours", "metrics", "limits", "licence"):
        assert any(said in heading for heading in headings), said


def test_the_log_ends_where_training_ended_and_the_tries_are_kept() -> None:
    log = pd.read_csv(RELEASED / "training_log.csv")
    seen = read_description(ROOT / SNAPSHOT.path)["images_seen"]
    assert round(log["kimg"].iloc[-1]) == round(seen / 1000)
    assert log["kimg"].is_monotonic_increasing
    tries = pd.read_csv(RELEASED / "tries.csv")
    assert {"kimg", "frechet_ratio", "label_consistency", "label_gap_points", "verdict"} <= set(tries.columns)
    assert len(tries) >= 5
    assert Path(RELEASED / "sample_sheet.png").stat().st_size > 10_000
