"""An argument as the YAML that gsn2x reads (https://jonasthewolf.github.io/gsn2x/), version 4.

Every text is a double-quoted scalar, which YAML shares with JSON, so that no word of a param or a class name can be
read as anything else. Facts stand as further attributes, which `gsn2x -l=metric -l=sha256` shows.
"""

import json
from collections.abc import Sequence

from failure_atlas.assurance.argument import REFUTED, SUPPORTED, Argument, Node

HEAD = "module:\n  name: failure-atlas\n  brief: The case for a classifier, made from its metrics\n"


def write_module(argument: Argument) -> str:
    """The text of a .gsn.yaml file."""
    parts = [HEAD]
    return "\n".join([*parts, *(_write_node(node) for node in argument.nodes.values())])


def _write_node(node: Node) -> str:
    lines = [f"{node.id}:", f"  text: {_quote(node.text)}"]
    for key, names in (("supportedBy", node.supported_by), ("inContextOf", node.in_context_of)):
        if names:
            lines.append(f"  {key}: {_list(names)}")
    if node.challenges:
        lines.append(f"  challenges: {node.challenges}")
    if not node.supported_by and node.status not in ("", SUPPORTED):
        lines.append("  undeveloped: true")
    if node.status == REFUTED and not node.supported_by:
        lines.append("  defeated: true")
    if node.status:
        lines.append(f"  status: {_quote(node.status)}")
    lines += [f"  {key}: {_quote(told)}" for key, told in node.facts.items()]
    return "\n".join(lines) + "\n"


def _list(names: Sequence[str]) -> str:
    return f"[{', '.join(names)}]"


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
