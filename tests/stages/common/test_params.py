"""Every way in which a section of params.yaml can be wrong ends in one line: key, what it held, what is allowed."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from dvc.utils.hydra import apply_overrides
from dvc.utils.serialize import load_yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from failure_atlas.core.fields import Section, WholeNumber
from stages.common.classifiers import expand_paths, read_classifiers
from stages.common.params import check_section, format_params, load_section, read_params
from tests import yaml12 as yaml
from tests.refusing import refused


class Inner(Section):
    share: Annotated[float, Field(ge=0, le=1)]
    name: str


class Outer(Section):
    count: Annotated[int, Field(ge=1)]
    rate: Annotated[float, Field(gt=0)]
    kind: Literal["plain", "residual"]
    inner: Inner
    maybe: Inner | None
    choice: Annotated[Literal[1, 3], WholeNumber] = 1
    flag: bool = False
    items: list[Inner]
    severities: Annotated[list[Annotated[int, Field(ge=1, le=5)]], Field(min_length=1)]
    top_k: list[Annotated[int, Field(ge=1)] | Literal["all"]]

    @field_validator("severities")
    @classmethod
    def _differ(cls, severities):
        if len(set(severities)) < len(severities):
            raise ValueError("each severity at most once")
        return severities

    @model_validator(mode="after")
    def _divides(self):
        if self.count % self.severities[0]:
            raise ValueError(f"a count that the first severity divides (here {self.count} and {self.severities[0]})")
        return self


INNER = {"share": 0.5, "name": "x"}
GOOD: dict[str, Any] = {
    "count": 6, "rate": 0.5, "kind": "plain", "inner": INNER, "maybe": None, "items": [INNER], "severities": [1, 2],
    "top_k": [10, "all"],
}  # fmt: skip
OUTER_KEYS = "count, rate, kind, inner, maybe, choice, flag, items, severities, top_k"


def check(node):
    return check_section(node, Outer, "room", Path("params.yaml"))


def message_of(node):
    return refused("^params.yaml: room", check, node).removeprefix("params.yaml: ")


def test_a_good_section_is_read_as_it_stands():
    section = check(GOOD)
    assert section.model_dump() == GOOD | {"choice": 1, "flag": False}
    assert check(GOOD | {"rate": 1}).rate == 1.0  # a whole number is a number
    assert check(GOOD | {"maybe": INNER}).maybe == Inner(share=0.5, name="x")
    with pytest.raises(ValidationError, match="frozen"):
        section.count = 3


FAULTS = [
    ({"count": 0}, "room.count: got 0; allowed: greater than or equal to 1"),
    ({"count": 1.0}, "room.count: got 1.0; allowed: a valid integer"),
    ({"count": True}, "room.count: got True; allowed: a valid integer"),
    ({"count": None}, "room.count: got None; allowed: a valid integer"),
    ({"count": "many"}, "room.count: got 'many'; allowed: a valid integer"),
    ({"rate": -1.0}, "room.rate: got -1.0; allowed: greater than 0"),
    ({"rate": float("inf")}, "room.rate: got inf; allowed: a finite number"),
    ({"rate": float("nan")}, "room.rate: got nan; allowed: a finite number"),
    ({"rate": True}, "room.rate: got True; allowed: a valid number"),
    ({"choice": True}, "room.choice: got True; allowed: a whole number"),
    ({"choice": 3.0}, "room.choice: got 3.0; allowed: a whole number"),
    ({"choice": 2}, "room.choice: got 2; allowed: 1 or 3"),
    ({"kind": "wide"}, "room.kind: got 'wide'; allowed: 'plain' or 'residual'"),
    ({"inner": INNER | {"share": 1.5}}, "room.inner.share: got 1.5; allowed: less than or equal to 1"),
    ({"inner": INNER | {"name": 3}}, "room.inner.name: got 3; allowed: a valid string"),
    ({"inner": 3}, "room.inner: got 3; allowed: a valid dictionary"),
    ({"inner": {"share": 0.5}}, "room.inner.name: missing; add it"),
    ({"inner": INNER | {"shape": 1}}, "room.inner.shape: unknown key; allowed here: share, name"),
    ({"maybe": INNER | {"shape": 1}}, "room.maybe.shape: unknown key; allowed here: share, name"),
    ({"items": [INNER, INNER | {"shape": 1}]}, "room.items.1.shape: unknown key; allowed here: share, name"),
    ({"items": [INNER, INNER | {"share": 2}]}, "room.items.1.share: got 2; allowed: less than or equal to 1"),
    ({"severities": [1, 7]}, "room.severities.1: got 7; allowed: less than or equal to 5"),
    ({"severities": 3}, "room.severities: got 3; allowed: a valid list"),
    ({"severities": []}, "room.severities: got []; allowed: List should have at least 1 item"),
    ({"severities": [1, 1]}, "room.severities: got [1, 1]; allowed: each severity at most once"),
    ({"severities": [4]}, "room: allowed: a count that the first severity divides (here 6 and 4)"),
    ({"top_k": ["most"]}, "room.top_k.0: got 'most'; allowed: a valid integer or 'all'"),
    ({"top_k": [3, 0]}, "room.top_k.1: got 0; allowed: greater than or equal to 1 or 'all'"),
    ({"cuont": 6}, f"room.cuont: unknown key; allowed here: {OUTER_KEYS}"),
    ({5: 6}, "room.5: got 5; allowed: Keys should be strings"),
]


@pytest.mark.parametrize(("changes", "message"), FAULTS)
def test_a_fault_names_key_value_and_what_is_allowed(changes, message):
    assert message_of(GOOD | changes).startswith(message)


def test_a_misspelt_key_comes_first_further_faults_are_counted_and_long_values_cut():
    node = {("cuont" if key == "count" else key): value for key, value in GOOD.items()}
    assert message_of(node) == f"room.cuont: unknown key; allowed here: {OUTER_KEYS} (and 1 more)"
    assert message_of(GOOD | {"count": 0, "rate": 0.0, "top_k": ["most"]}).endswith("or equal to 1 (and 2 more)")
    for node in (None, [1, 2], "text", 3):
        assert message_of(node) == f"room: got {node!r}; allowed: a valid dictionary"
    assert re.fullmatch(r".{,150}\.\.\.; allowed: a valid list", message_of(GOOD | {"items": {"a": [0] * 1000}}))


YAML = [
    *(("1e-5", 1e-5), ("3e3", 3000.0), ("1E5", 1e5), (".5", 0.5), ("010", 10), ("0o10", 8), ("0x1F", 31)),
    *(("yes", "yes"), ("off", "off"), ("True", True), ("~", None), ("Null", None), ("1:30", "1:30"), ("1_0", 10)),
    ("{<<: {b: 1}, c: 2}", {"b": 1, "c": 2}),
]


@pytest.mark.parametrize(("text", "held"), YAML)
def test_a_value_means_to_the_stages_what_it_means_to_dvc(tmp_path, text, held):
    path = tmp_path / "params.yaml"
    path.write_text(f"a: {text}\n", encoding="utf-8")
    assert read_params(path) == load_yaml(str(path)) == {"a": held}
    assert type(read_params(path)["a"]) is type(held)


@pytest.mark.parametrize("value", ["1e-5", "0.00002", "1e5"])
def test_what_dvc_writes_for_exp_run_the_stages_read(tmp_path, value):
    path = tmp_path / "params.yaml"
    path.write_text(f"room:\n{format_params(GOOD)}".replace("\n", "\n  ").rstrip(), encoding="utf-8")
    apply_overrides(str(path), [f"room.rate={value}", "room.maybe=null"])
    assert load_section(path, Outer, "room").rate == float(value)


MEANT = [
    ({"rate": "3e-3"}, "a valid number (this is text; write 0.003 without quotes)"),
    ({"count": "7"}, "a valid integer (this is text; write 7 without quotes)"),
    ({"rate": "inf"}, "a valid number"),
    ({"flag": "yes"}, "a valid boolean (YAML 1.2 takes this for text; write true or false)"),
]


@pytest.mark.parametrize(("changes", "hint"), MEANT)
def test_text_that_was_meant_as_a_number_or_a_boolean_is_told_so(changes, hint):
    (key,) = changes
    assert message_of(GOOD | changes) == f"room.{key}: got {changes[key]!r}; allowed: {hint}"


def write_bomb(form):
    """Eleven lines, each of which names the line above nine times."""
    lines = [b"a%d: &a%d " % (line, line) + form % b", ".join([b"*a%d" % (line - 1)] * 9) for line in range(1, 12)]
    return b"\n".join([b"a0: &a0 {k: v}", *lines, b""])


def test_sections_are_found_by_their_keys(tmp_path):
    path = tmp_path / "params.yaml"
    assert list(yaml.safe_load(format_params(GOOD)).items()) == list(GOOD.items())
    path.write_text(format_params({"room": GOOD, "entries": {"one": GOOD}}), encoding="utf-8")
    assert load_section(path, Outer, "room") == load_section(path, Outer, "entries", "one") == check(GOOD)
    for keys, known in ((["rom"], "room, entries"), (["entries", "two"], "one"), (["room", "count", "x"], "none")):
        refused(rf"section '{'.'.join(keys)}' is missing; sections here: {known}", load_section, path, Outer, *keys)
    path.write_text(format_params({"entries": {"one": GOOD | {"count": 0}}}), encoding="utf-8")
    refused(r"params\.yaml: entries\.one\.count: got 0; allowed: greater", load_section, path, Outer, "entries", "one")


NO_MAPPING = [
    (b"", "holds NoneType; a mapping with one section per stage is needed"),
    (b"- 1\n- 2\n", "holds list; a mapping"),
    (b"a: [1\nb: 2\n", "not valid YAML: while parsing a flow sequence"),
    (b"a: \xff\n", "not valid YAML: 'utf-8' codec can't decode byte 0xff"),
    (b"a: \x07\n", "not valid YAML: unacceptable character"),
    (b"a: 1\nb: {c: 1, c: 2}\n", "not valid YAML: while constructing a mapping"),
    (b"a: {load: my_model:Net}\n", "a key may stand once, and text with a colon stands on a line of its own"),
    (b'a: !!int ""\n', "a value is not of the type that its tag names (IndexError"),
    (b"a: !!bool maybe\n", "a value is not of the type that its tag names (KeyError: 'maybe'); remove the tag"),
    (b"a: 2026-13-01\n", "not valid YAML: month must be in 1..12"),
    (b"a: !!python/name:os.system\n", "not valid YAML: could not determine a constructor for the tag"),
    (b"a: " + 5000 * b"1", "not valid YAML: Exceeds the limit (4300 digits)"),
    (b"a: " + 50_000 * b"[", "not valid YAML: lists or mappings nested more than 32 deep"),
    (50_000 * b"- ", "not valid YAML: lists or mappings nested more than 32 deep"),
    (b"a: &a [*a]\n", "not valid YAML: alias *a of nothing that stands complete above it"),
    (b"a: *b\n", "not valid YAML: alias *b of nothing that stands complete above it"),
    (write_bomb(b"[%s]"), "more than 100,000 values"),
    (write_bomb(b"{<<: [%s]}"), "more than 100,000 values"),
    (b"a: " + 1_000_001 * b"x", "1,000,004 characters; allowed: at most 1,000,000"),
]


@pytest.mark.parametrize(("content", "message"), NO_MAPPING)
def test_a_file_that_is_no_mapping(tmp_path, content, message):
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    assert message in refused("", read_params, path)


def test_a_file_of_gigabytes_is_refused_before_it_is_read_and_a_missing_one_named(tmp_path):
    with (tmp_path / "params.yaml").open("wb") as file:
        file.truncate(3 << 30)
    refused(r"3,221,225,472 bytes; allowed: at most 1,000,000 characters", read_params, tmp_path / "params.yaml")
    for path in (tmp_path / "gone.yaml", tmp_path, Path("p" * 5000)):
        refused("no such params file; run from the project's root or pass --params", read_params, path)


def test_classifiers_come_in_the_order_of_the_file_and_fill_paths_in(tmp_path):
    """Faults of the mapping: tests/stages/test_params_check.py."""
    path, brought = tmp_path / "params.yaml", "bring_classifiers: {a: {}}\n"
    known = "classifiers: {b: train_classifiers, a: bring_classifiers}\ntrain_classifiers: {b: {}, unused: {}}\n"
    path.write_text(known + brought, encoding="utf-8")
    names = read_classifiers(path)
    assert list(names.items()) == [("b", "train_classifiers"), ("a", "bring_classifiers")]
    assert expand_paths("data/{section}/{name}/{name}.csv", names, "--x") == {
        "b": Path("data/train_classifiers/b/b.csv"), "a": Path("data/bring_classifiers/a/a.csv"),
    }  # fmt: skip
    told = r"--x: got 'data/\{section\}'; allowed: a path with \{name\} in it"
    refused(told, expand_paths, "data/{section}", names, "--x")
    path.write_text(known, encoding="utf-8")
    refused(r"classifiers\.a: bring_classifiers has no entry 'a'; .* there: none", read_classifiers, path)
