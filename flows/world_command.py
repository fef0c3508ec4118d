"""`failure-atlas world`: set params.yaml for another world, one file of params, every other line left as it is."""

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from failure_atlas.core.text import escape
from flows.console import require_project, say
from flows.errors import FlowError
from flows.project import PARAMS, check_params, hold_lock, write_atomically

WORLDS = Path("worlds")  # NAME.yaml: the params that differ there, in the form of params.yaml
ENDLESS = 1 << 20  # columns: a value stays on its line


class Edit(NamedTuple):
    """Characters `start` to `end` of a text become `new`; key: the param that they belong to."""

    start: int
    end: int
    new: str
    key: str


def world(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One of worlds/; without it a list.")] = None,
) -> None:
    """Set all params that another world needs: images, corruptions, widths of the generator, bars, costs.

    What worlds/NAME.yaml holds is written into params.yaml, whose comments and other values stay. Nothing is run.
    Results of the world before stay in DVC's cache: going back takes no new training.

    Examples:
      failure-atlas world                              which there are
      failure-atlas world traffic_signs && make repro  German traffic signs, in colour, to the report
      git checkout params.yaml && make repro           back to digits
    """
    require_project()
    known = sorted(path.stem for path in WORLDS.glob("*.yaml"))
    if name is None:
        for each in known:
            first = (WORLDS / f"{each}.yaml").read_text(encoding="utf-8").partition("\n")[0]
            print(f"{each:<16} {first.removeprefix('# ')}")
        return
    if name not in known:
        raise FlowError(f"{escape(name)}: no such world; worlds/ holds: {', '.join(known) or 'none'}")
    with hold_lock():
        before = PARAMS.read_text(encoding="utf-8")
        after, keys = enter_world(before, WORLDS / f"{name}.yaml")
        if not keys:
            say(f"params.yaml is set for {name} already")
            return
        write_atomically(PARAMS, after)
        try:
            check_params()
        except FlowError:
            write_atomically(PARAMS, before)
            raise
    say(f"{len(keys)} params set for {name}: {', '.join(keys)}")
    say("next: failure-atlas reproduce; back: git checkout params.yaml")


def enter_world(text: str, file: Path) -> tuple[str, list[str]]:
    """The text of params.yaml with the values of a world's file, and the params that they change.

    FlowError for a file that is no mapping, and for a key below one that params.yaml lacks.
    """
    try:
        values = YAML(typ="safe").load(file.read_text(encoding="utf-8"))
        held, root = YAML(typ="safe").load(text), YAML(typ="safe", pure=True).compose(text)
    except (YAMLError, ValueError) as error:
        raise FlowError(f"{file}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict) or not isinstance(held, dict):
        raise FlowError(f"{file if isinstance(held, dict) else PARAMS}: no mapping of sections")
    edits = sorted(_find_edits(text, root, held, values, str(file)))
    for edit in reversed(edits):
        text = text[: edit.start] + edit.new + text[edit.end :]
    return text, [edit.key for edit in edits]


def _find_edits(
    text: str, node: Node, held: Any, values: Mapping[str, Any], where: str, above: str = ""
) -> Iterator[Edit]:
    """What has to change below a node, whose value is `held`; the items of a list go by their `id`."""
    if isinstance(node, MappingNode):
        nodes = {key.value: value for key, value in node.value}
    else:
        nodes = {item["id"]: each for item, each in zip(held, node.value, strict=True)}
        held = {item["id"]: item for item in held}
    for name, value in values.items():
        key = f"{above}{name}"
        if name not in nodes:
            yield _insert(text, node, name, value, f"{where}: {key}")
        elif isinstance(value, dict) and isinstance(held[name], dict | list):
            yield from _find_edits(text, nodes[name], held[name], value, where, f"{key}.")
        elif held[name] != value:
            yield _replace(text, nodes[name], value, key)


def _replace(text: str, node: Node, value: Any, key: str) -> Edit:
    """A comment behind the value keeps its column where there is room; of a block of items each keeps a line."""
    start, end, new = node.start_mark.index, _find_end(node), write_flow(value)
    if isinstance(node, SequenceNode) and not node.flow_style and isinstance(value, list) and value:
        new = f"\n{' ' * node.start_mark.column}".join(f"- {write_flow(each)}" for each in value)
    rest = text[end:].partition("\n")[0]
    if rest.lstrip().startswith("#"):
        spaces, room = len(rest) - len(rest.lstrip()), 0 if "\n" in text[start:end] else end - start - len(new)
        new += " " * max(2, spaces + room)
        end += spaces
    return Edit(start, end, new, key)


def _find_end(node: Node) -> int:
    """Where the last value inside a node ends; YAML has a block end where the next one begins."""
    while isinstance(node, MappingNode | SequenceNode) and not node.flow_style:
        last = node.value[-1]
        node = last[1] if isinstance(node, MappingNode) else last
    return int(node.end_mark.index)


def _insert(text: str, node: Node, name: str, value: Any, where: str) -> Edit:
    """A key that may be left out: at the end of its line, or on a line of its own. The checker refuses others."""
    if not isinstance(node, MappingNode) or not node.value:
        raise FlowError(f"{where}: params.yaml has no such key")
    end, key = _find_end(node.value[-1][1]), where.partition(": ")[2]
    if node.flow_style:
        return Edit(end, end, f", {name}: {write_flow(value)}", key)
    end += len(text[end:].partition("\n")[0])
    return Edit(end, end, f"\n{' ' * node.value[0][0].start_mark.column}{name}: {write_flow(value)}", key)


def write_flow(value: Any) -> str:
    """A value as YAML on one line."""
    yaml, stream = YAML(), io.StringIO()
    yaml.default_flow_style, yaml.width = True, ENDLESS
    yaml.representer.add_representer(
        type(None), lambda made, _: made.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    if isinstance(value, dict | list):
        yaml.dump(value, stream)
        return stream.getvalue().strip()
    yaml.dump([value], stream)  # a single value would end in "..."
    return stream.getvalue().strip()[1:-1]
