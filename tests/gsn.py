"""The rules of gsn2x 4 (doc/src/checks.md there) for one file, told anew: it is a program that no package holds."""

import re
from typing import Any

KINDS = ("CSn", "CG", "Sn", "G", "S", "C", "A", "J")  # as gsn2x reads prefixes: the longer ones first
SUPPORTS = {"G": {"G", "S", "Sn", "CG", "CSn"}, "S": {"G", "S", "Sn", "CG", "CSn"}, "CG": {"CG", "CSn"}}
LISTS, FLAGS = ("supportedBy", "inContextOf"), ("undeveloped", "defeated")


def kind_of(name: str) -> str:
    return next((kind for kind in KINDS if name.startswith(kind)), "")


def check_gsn(read: dict[str, Any]) -> list[str]:
    """What gsn2x would say of a file, without its layout and modules: empty for a good one."""
    module = read.get("module", {"name": "", "brief": ""})
    nodes = {name: node for name, node in read.items() if name != "module"}
    told = [] if {"name", "brief"} <= module.keys() else ["module without name or brief"]
    for name, node in nodes.items():
        told += [f"{name}: {rule}" for rule in _check_node(name, node, nodes)]
    named = {each for node in nodes.values() for key in LISTS for each in node.get(key, ())}
    tops = [name for name in nodes if name not in named and kind_of(name) not in ("CG", "CSn")]
    if len(tops) != 1 or kind_of(tops[0]) != "G":
        told.append(f"C01, C02: top-level elements {tops}")
    reached = set[str]()
    for top in tops:
        told += _follow(top, nodes, (), reached)
    reached |= {name for name, node in nodes.items() if "challenges" in node}
    return told + [f"C08: {name} cannot be reached" for name in sorted(nodes.keys() - reached)]


def _check_node(name: str, node: dict[str, Any], nodes: dict[str, Any]) -> list[str]:
    kind, told = kind_of(name), []
    if not kind or not re.fullmatch(r"[A-Za-z]+-[\w-]+", name):
        told.append("V01: unknown type")
    for key, value in node.items():
        wanted = list if key in LISTS else bool if key in FLAGS else str
        if type(value) is not wanted:
            told.append(f"{key}: a {type(value).__name__}")
    below, beside = node.get("supportedBy", []), node.get("inContextOf", [])
    if kind in ("G", "S") and bool(below) == node.get("undeveloped", False):
        told.append("V02, V03: either undeveloped or supported")
    told += [f"V04: supported by {each}" for each in below if kind_of(each) not in SUPPORTS.get(kind, ())]
    told += [f"V04: in context of {each}" for each in beside if kind not in "GS" or kind_of(each) not in "CAJ"]
    if any(len(set(each)) < len(each) or name in each for each in (below, beside)):
        told.append("V05, V06: twice, or itself")
    told += [f"C03: no {each}" for each in (*below, *beside) if each not in nodes]
    against = node.get("challenges")
    if against is not None and (kind not in ("CG", "CSn") or against not in nodes or against == name):
        told.append("V12, C13, C14: challenges what it cannot")
    if node.get("defeated") and name not in {each.get("challenges") for each in nodes.values()}:
        told.append("V10: defeated by nothing")
    return told


def _follow(name: str, nodes: dict[str, Any], above: tuple[str, ...], reached: set[str]) -> list[str]:
    if name in above:
        return [f"C04: circle at {name}"]
    reached.add(name)
    node = nodes.get(name, {})
    reached.update(node.get("inContextOf", ()))
    return [each for part in node.get("supportedBy", ()) for each in _follow(part, nodes, (*above, name), reached)]
