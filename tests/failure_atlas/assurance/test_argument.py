"""An argument says no more than its metrics, is what gsn2x reads, and is drawn whole."""

import copy
import re
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failure_atlas.assurance.argument import REFUTED, SUPPORTED, TOP, UNDEVELOPED, Argument, Basis, build_argument
from failure_atlas.assurance.basis import tell_domain
from failure_atlas.assurance.clauses import NONE, read_clauses, support_clauses
from failure_atlas.assurance.drawing import draw_argument, fill
from failure_atlas.assurance.hazards import Hazard, check_hazards, read_hazards
from failure_atlas.assurance.notation import write_module
from failure_atlas.assurance.stages import find_letters, place_criterion
from failure_atlas.decisions.summary import read_modes
from tests import yaml12 as yaml
from tests.gsn import check_gsn
from tests.house import ROOT
from tests.modes import write_modes

SUPPORTS = ("AMLAS [M]; ISO/IEC 24029-3 (draft)", "EASA LM-09; AMLAS [H] [J] [X] [Z]", "AMLAS [DD]", "AI Act Art. 15")
VERDICTS = ("pass", "fail", "not assessable")
FOUND = {"value": 0.95, "low": 0.94, "high": 0.96, "n": 1234}
HAZARD: dict[str, Any] = {
    "id": "as_one",
    "read_as": "1",
    "severity": "major",
    "requirement": "Few are.",
    "criteria": ["c1"],
}


def build_criteria(*verdicts: str) -> list[dict[str, Any]]:
    return [
        {"id": f"c{place}", "metric": f"stage/first: key{place}", "verdict": verdict, "found": FOUND, "bar": 0.9,
         "comparison": ">=", "because": "so it is", "supports": SUPPORTS[place % 4], "reason": "because", "gate": None}
        for place, verdict in enumerate(verdicts)
    ]  # fmt: skip


def build(*verdicts: str, hazards: tuple[dict[str, Any], ...] = (HAZARD,), modes: Any = ()) -> Argument:
    digests = {"data/stage/first/metrics.json": "ab" * 32, "data/find_modes/first/modes.csv": "cd" * 32}
    words = {"domain": "Digits & <others>: \"0\" to '9'"}
    found = [Hazard.model_validate(each) for each in hazards]
    return build_argument(Basis(build_criteria(*verdicts), found, {"first": modes}, digests, words, ["first", "other"]))


def read(argument: Argument) -> dict[str, Any]:
    held: dict[str, Any] = yaml.safe_load(write_module(argument))
    return held


def leaves(name: str, nodes: dict[str, Any]) -> list[dict[str, Any]]:
    below = nodes[name].get("supportedBy", [])
    return [leaf for each in below for leaf in leaves(each, nodes)] if below else [nodes[name]]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(VERDICTS), min_size=2, max_size=9), st.booleans())
def test_no_goal_says_more_than_its_solutions(verdicts: list[str], hazard: bool) -> None:
    argument = build(*verdicts, hazards=(HAZARD,) if hazard else ())
    nodes = read(argument)
    assert check_gsn(nodes) == []
    for place, verdict in enumerate(verdicts):
        goal, solution, counter = (nodes.get(f"{kind}-c{place}") for kind in ("G", "Sn", "CSn"))
        assert goal
        assert goal["status"] == {"pass": SUPPORTED, "fail": REFUTED}.get(verdict, UNDEVELOPED)
        assert (solution is not None) == (verdict == "pass")
        assert (counter is not None) == goal.get("defeated", False) == (verdict == "fail")
        assert goal.get("undeveloped", False) == (verdict != "pass")
        told = (solution or counter or goal)["text"]
        assert "0.95 [0.94, 0.96], n=1,234" in told
        assert f"{verdict}: so it is" in told
        assert (solution or counter or goal)["sha256"] == "ab" * 32
    for name, node in nodes.items():
        if name.startswith(("G-", "S-")):
            below = leaves(name, nodes)
            whole = all("undeveloped" not in leaf for leaf in below)
            assert (node["status"] == SUPPORTED) == whole, name
            assert (node["status"] == REFUTED) == any(leaf.get("defeated") for leaf in below), name
    assert nodes[TOP]["status"] != SUPPORTED, "stages of AMLAS that nothing here looks at stay undeveloped"
    assert {leaf["text"] for leaf in leaves(TOP, nodes)} >= {nodes["G-scope-open"]["text"]}


def test_a_rule_of_gsn_that_is_broken_is_found() -> None:
    whole = read(build("pass", "fail", "not assessable"))
    for rule, name, change in (
        ("V02", "G-c2", {"undeveloped": False}),
        ("V02", "G-c0", {"undeveloped": True}),
        ("V04", "Sn-c0", {"supportedBy": ["G-c1"]}),
        ("C03", "G-c0", {"supportedBy": ["Sn-none"]}),
        ("C04", "G-c2", {"supportedBy": ["G-deployment"], "undeveloped": False}),
        ("V05", TOP, {"supportedBy": ["S-amlas", "S-amlas"]}),
        ("V10", "CSn-c1", {"challenges": "G-c0"}),
        ("V12", "Sn-c0", {"challenges": "G-c1"}),
        ("C01", "G-scope", {"supportedBy": ["G-c0"]}),
    ):
        broken = copy.deepcopy(whole)
        broken[name] |= change
        assert rule in " ".join(check_gsn(broken)), (rule, name)


def test_hazards_are_traced_to_modes_criteria_and_files(tmp_path: Any) -> None:
    write_modes(tmp_path)
    modes = read_modes((tmp_path / "modes.csv").read_text(), "modes.csv")  # 8 as 3; any as 1; 7 as anything
    cases = {
        ("8", None): "first 1, first 2", (None, "1"): "first 2, first 3", ("7", "1"): "first 2, first 3",
        ("8", "3"): "first 1", ("5", "2"): "none",
    }  # fmt: skip
    for (true_class, read_as), told in cases.items():
        hazard = HAZARD | {"true_class": true_class, "read_as": read_as}
        nodes = read(build("pass", "pass", hazards=(hazard,), modes=modes))
        assert nodes["C-hazard-as_one"]["modes"] == told, (true_class, read_as)
        assert ("cd" * 32 in nodes["C-hazard-as_one"]["sha256"]) == (told != "none")
    goal = read(build("pass", "fail", hazards=(HAZARD,), modes=modes))["G-hazard-as_one"]
    assert goal["supportedBy"] == ["G-c1"]
    assert goal["status"] == REFUTED
    assert goal["text"].startswith("Few are. Hazard: any class is read as 1, major.")
    assert read(build("pass", hazards=()))["G-hazards"]["undeveloped"] is True


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ([{}, {}], "hazards with ids of their own; used twice: as_one"),
        ([{"read_as": None}], "a confusion of two classes in hazard as_one, where true_class and read_as are both any"),
        ([{"true_class": "1"}], "where true_class and read_as are both 1"),
        ([{"criteria": ["c1", "c1"]}], "each criterion once in hazard as_one"),
        ([{"criteria": ["c7"]}], "in hazard as_one ids of criteria, not c7; there are: c1, c2"),
        ([{"severity": "bad"}], r"acceptance.hazards.0: .*severity"),
    ],
)  # fmt: skip
def test_hazards_that_are_none(changes: list[dict[str, Any]], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        read_hazards({"hazards": [HAZARD | change for change in changes]}, ["c1", "c2"])
    check_hazards([Hazard.model_validate(HAZARD)], ["c1"])


def test_criteria_stand_in_the_stages_that_their_letters_name() -> None:
    assert find_letters("EASA [Q]; AMLAS [H] [DD]; AMLAS [X]") == {"H", "DD", "X"}
    assert place_criterion({"supports": SUPPORTS[1]}) == ["requirements", "learning", "verification"]
    assert place_criterion({"supports": SUPPORTS[3]}) == ["verification"]
    nodes = read(build("pass", "pass", "fail"))
    assert nodes["G-learning-met"]["supportedBy"] == ["G-c1"]
    assert "[Z]" in nodes["G-verification-met"]["text"]
    assert "[AA]" not in nodes["G-verification-met"]["text"], "no criterion names it"
    assert "[AA] [BB] [CC]" in nodes["G-verification-open"]["text"]
    assert nodes["G-deployment-met"]["supportedBy"] == ["G-c2"]
    assert "Nothing is argued of other" in nodes["A-hazards"]["text"]


def test_the_picture_holds_every_element_and_none_lies_on_another() -> None:
    argument = build(*VERDICTS * 3)
    text = draw_argument(argument, 'A "title" & more')
    assert text == draw_argument(argument, 'A "title" & more')
    root = ElementTree.fromstring(text)  # noqa: S314  our own
    shown = " ".join("".join(each.itertext()) for each in root.findall(".//{*}text"))
    for name, node in argument.nodes.items():
        if node.kind not in ("Sn", "CSn"):
            assert name in shown
            assert fill(node.text, 200)[0][:20] in shown.replace("  ", " ")
    assert shown.count("# abababab") == 6, "solutions and counter solutions by their file"
    assert shown.count("✗ refuted") == len(argument.select(REFUTED)) + len(argument.select(REFUTED, "S"))
    width, height = (float(root.attrib[key]) for key in ("width", "height"))
    boxes = [
        [float(each.attrib[key]) for key in ("x", "y", "width", "height")]
        for each in root.findall(".//{*}rect") if "x" in each.attrib
    ]  # fmt: skip
    boxes += [
        [x - rx, y - ry, 2 * rx, 2 * ry]
        for each in root.findall(".//{*}ellipse")
        for x, y, rx, ry in [[float(each.attrib[key]) for key in ("cx", "cy", "rx", "ry")]]
    ]
    for place, (x, y, wide, tall) in enumerate(boxes):
        assert 0 <= x <= x + wide <= width
        assert 0 <= y <= y + tall <= height
        for x2, y2, wide2, tall2 in boxes[:place]:
            assert x + wide <= x2 + 0.2 or x2 + wide2 <= x + 0.2 or y + tall <= y2 + 0.2 or y2 + tall2 <= y + 0.2


def test_clauses_of_the_projects_criteria_are_known_and_told_with_their_verdicts() -> None:
    section = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["acceptance"]
    clauses = read_clauses()
    for criterion in section["criteria"]:
        for part in criterion["supports"].split(";"):
            tokens = re.findall(r"\[\w+\]|[A-Z]{2,3}-\d\d|Art\. \d+|Annex \S+ \S+", part) or [part.strip()]
            for token in tokens:
                assert any(
                    token in f"{each.standard} {each.clause}" and each.is_named(criterion["supports"])
                    for each in clauses
                ), (criterion["id"], token)
    found = {
        f"{each.clause.standard} {each.clause.clause}": each for each in support_clauses(build_criteria(*VERDICTS))
    }
    assert found["AMLAS [M]"].state == SUPPORTED
    assert found["AMLAS [M]"].criteria == "c0 (pass)"
    assert found["AMLAS [Z]"].state == REFUTED
    assert found["AMLAS [DD]"].state == UNDEVELOPED
    assert found["AMLAS [EE]"].state == NONE
    assert all(each.asks and each.source and (each.missing or each.artefacts or each.clause) for each in clauses)


def test_the_operating_domain_tells_what_confusions_cost() -> None:
    params = {
        "prepare_images": {"source": "mnist"},
        "corrupt_images": {"recipe": [], "severities": [1], "table": "mnist", "clean_fraction": 1},
        "find_modes": {"operating_domain": {"costs": [{"true_class": "3", "read_as": None, "cost": 5}]}},
    }
    assert tell_domain(params).endswith("Costs: 3 read as any other costs 5.")
