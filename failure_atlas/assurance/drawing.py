"""The argument as an SVG: the shapes of GSN, one column or more of stages, nothing that needs another program.

Goals are rectangles, strategies parallelograms, solutions circles, contexts rounded, assumptions and justifications
ellipses; a diamond below marks what is undeveloped. Colour and a word say what is supported; neither is needed alone.
A goal that stands elsewhere, too, is drawn once and named where else it is used.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from textwrap import wrap
from xml.sax.saxutils import escape

from failure_atlas.assurance.argument import (
    ASSUMPTION,
    CONTEXT,
    COUNTER,
    JUSTIFICATION,
    REFUTED,
    SOLUTION,
    STRATEGY,
    SUPPORTED,
    TOP,
    UNDEVELOPED,
    Argument,
    Node,
)

FONT_PX, LINE_PX, LETTER_PX = 12, 15, 6.1  # LETTER_PX: mean width of a letter
PAD, GAP, INDENT = 10, 16, 26
BOX, SIDE, COLUMN_GAP = 310, 100, 34  # widths: of a goal, of what stands beside it, between columns
COLUMNS = 3
TITLE = "Argument in the Goal Structuring Notation"
FILLS = {SUPPORTED: "#e8f4ea", UNDEVELOPED: "#fff6df", REFUTED: "#fbe6e6", "": "#f4f6f9"}
STROKES = {SUPPORTED: "#2c7a3f", UNDEVELOPED: "#a86e00", REFUTED: "#b3261e", "": "#5a6675"}
SIGNS = {SUPPORTED: "✓ supported", UNDEVELOPED: "◇ undeveloped", REFUTED: "✗ refuted", "": ""}
STYLE = (
    "text{{font:{size}px system-ui,'Segoe UI','DejaVu Sans',sans-serif;fill:#1d232b}}"
    ".id{{font-weight:600}}.small{{font-size:10.5px}}.edge{{fill:none;stroke:#5a6675;stroke-width:1.3}}"
)


@dataclass
class Row:
    """An element in a column, and what stands to its right: a solution or a counter solution."""

    node: Node
    depth: int
    beside: list[Node] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)  # goals that support it and are drawn at another place
    x: float = 0
    y: float = 0

    @property
    def lines(self) -> list[str]:
        """Its text, and what else supports it."""
        told = [f"also by {name}" for name in self.elsewhere]
        return [line for each in (self.node.text, *told) for line in fill(each, self.width - 2 * PAD)]

    @property
    def width(self) -> float:
        """Of its outline; a context has no solution beside it."""
        return BOX + (GAP + SIDE if self.node.kind == CONTEXT else 0)

    @property
    def box(self) -> float:
        """Height of the element itself."""
        return LINE_PX * (len(self.lines) + 1) + 2 * PAD + (6 if is_open(self.node) else 0)

    @property
    def height(self) -> float:
        """With what stands beside it."""
        return max(self.box, SIDE if self.beside else 0)


def draw_argument(argument: Argument, title: str) -> str:
    """The text of an SVG file; title: for those who do not see it."""
    nodes = argument.nodes
    top = nodes[TOP]
    (skeleton,) = (nodes[name] for name in top.supported_by)
    drawn: set[str] = set()
    homes = {name: _home(name, argument) for name in nodes}
    blocks = [list(_list_rows(nodes[name], 0, argument, homes, drawn)) for name in skeleton.supported_by]
    columns = _share(blocks, min(COLUMNS, len(blocks)))
    width_of = BOX + SIDE + GAP + 2 * INDENT
    width = len(columns) * width_of + (len(columns) + 1) * COLUMN_GAP
    parts, head = _draw_head(top, skeleton, [nodes[name] for name in top.in_context_of], width)
    height = head
    for place, column in enumerate(columns):
        left = COLUMN_GAP + place * (width_of + COLUMN_GAP)
        y = head + 2 * GAP
        for row in column:
            y += GAP if row.depth == 0 and row is not column[0] else 0
            row.x, row.y = left + INDENT * (row.depth + 0.6), y
            y += row.height + GAP
        height = max(height, y)
        parts += _draw_column(column, left, head)
    spread = [COLUMN_GAP + place * (width_of + COLUMN_GAP) for place in range(len(columns))]
    parts.insert(0, f'<path class="edge" d="M{spread[0]} {head}H{max(spread[-1], width / 2)}"/>')
    size = f'width="{width:.0f}" height="{height + GAP:.0f}" viewBox="0 0 {width:.0f} {height + GAP:.0f}"'
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(title, {chr(34): "&quot;"})}">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE.format(size=FONT_PX)}</style>",
        f"<defs>{_arrow('solid', 'M0 0 8 4 0 8z', '#5a6675')}{_arrow('hollow', 'M.6.8 7 4 .6 7.2z', '#fff')}</defs>",
        f'<rect width="{width:.0f}" height="{height + GAP:.0f}" fill="#fff"/>',
        *parts,
        "</svg>\n",
    ])  # fmt: skip


def measure_picture(drawn: str) -> tuple[int, int]:
    """Width and height in px of what `draw_argument` returned."""
    found = re.search(r'width="(\d+)" height="(\d+)"', drawn)
    if found is None:
        raise ValueError("no picture of an argument")
    return int(found[1]), int(found[2])


def fill(text: str, width: float) -> list[str]:
    """Lines of a text that are about so many px wide."""
    most = max(8, int(width / LETTER_PX))
    return [line for part in text.split("\n") for line in wrap(part, most, break_on_hyphens=False) or [""]]


def shorten(node: Node) -> list[str]:
    """What a solution shows in its circle: value, interval, count, and the hash of its file."""
    found = node.facts["found"].replace(" [", "\n[").replace("], n=", "]\nn=").replace(", n=", "\nn=")
    lines = [part for line in found.split("\n") for part in fill(line, SIDE - PAD)]
    return [*lines, node.facts["verdict"], f"# {node.facts['sha256'][:8]}"]


def is_open(node: Node) -> bool:
    """Whether it is marked as undeveloped."""
    return not node.supported_by and node.status in (UNDEVELOPED, REFUTED)


def _home(name: str, argument: Argument) -> str:
    """The element below which one is drawn: the last that it supports, for hazards only point to criteria."""
    owners = [
        node.id for node in argument.nodes.values()
        if name in node.supported_by and not node.id.startswith("G-hazard-")
    ]  # fmt: skip
    return owners[-1] if owners else ""


def _list_rows(node: Node, depth: int, argument: Argument, homes: dict[str, str], drawn: set[str]) -> Iterator[Row]:
    drawn.add(node.id)
    nodes = argument.nodes
    below = [nodes[name] for name in node.supported_by]
    beside = [each for each in below if each.kind == SOLUTION]
    beside += [each for each in nodes.values() if each.challenges == node.id]
    parts = [each for each in below if each.kind != SOLUTION]
    here = [each for each in parts if homes[each.id] == node.id]
    yield Row(node, depth, beside, [f"{each.id} ({each.status})" for each in parts if each not in here])
    yield from (Row(nodes[name], depth + 1) for name in node.in_context_of)
    for each in here:
        yield from _list_rows(each, depth + 1, argument, homes, drawn)


def _share(blocks: Sequence[list[Row]], count: int) -> list[list[Row]]:
    """The stages in their order over so many columns, the highest of which is as low as can be."""
    heights = [sum(row.height + GAP for row in block) for block in blocks]

    def cut(places: Sequence[int]) -> list[tuple[int, int]]:
        ends = [0, *places, len(blocks)]
        return list(pairwise(ends))

    best = min(
        combinations(range(1, len(blocks)), count - 1),
        key=lambda places: max(sum(heights[start:end]) for start, end in cut(places)),
    )
    return [[row for block in blocks[start:end] for row in block] for start, end in cut(best)]


def _draw_head(top: Node, skeleton: Node, contexts: Sequence[Node], width: float) -> tuple[list[str], float]:
    """The top goal with its strategy below and its contexts on both sides; and the height at which stages begin."""
    middle, box = width / 2, BOX + 80
    row_lines = fill(top.text, box - 2 * PAD)
    height = LINE_PX * (len(row_lines) + 1) + 2 * PAD
    halves = contexts[: (len(contexts) + 1) // 2], contexts[(len(contexts) + 1) // 2 :]
    side = (middle - box / 2) - COLUMN_GAP - 3 * GAP
    parts: list[str] = []
    depth = float(GAP + height)
    for place, half in enumerate(halves):
        y = float(GAP)
        for node in half:
            lines = fill(node.text, side - 40)
            tall = LINE_PX * (len(lines) + 1) + 18
            x = COLUMN_GAP if place == 0 else width - COLUMN_GAP - side
            ends = (middle - box / 2, x + side + 2) if place == 0 else (middle + box / 2, x - 2)
            parts.append(_edge(f"M{ends[0]:.1f} {GAP + height / 2:.1f}L{ends[1]:.1f} {y + tall / 2:.1f}", "hollow"))
            parts += _shape(node, x, y, side, tall, lines)
            y += tall + GAP / 2
        depth = max(depth, y)
    parts += _shape(top, middle - box / 2, GAP, box, height, row_lines)
    below = GAP + height + 2 * GAP
    lines = fill(skeleton.text, box - 4 * PAD)
    tall = LINE_PX * (len(lines) + 1) + 2 * PAD
    parts.append(_edge(f"M{middle:.1f} {GAP + height}V{below - 1}", "solid"))
    parts += _shape(skeleton, middle - box / 2, below, box, tall, lines)
    end = max(depth, below + tall) + GAP
    parts.append(_edge(f"M{middle:.1f} {below + tall}V{end}", ""))
    return parts, end


def _draw_column(column: Sequence[Row], left: float, head: float) -> list[str]:
    """The elements of a column, each with a line from the one that it supports down and to its left side."""
    parts: list[str] = []
    spines: dict[int, float] = {0: head}  # depth -> where the line to elements of that depth begins
    for row in column:
        spines[row.depth + 1] = row.y + row.box
        x = left + INDENT * row.depth
        middle = row.y + row.box / 2
        arrow = "hollow" if row.node.kind == CONTEXT else "solid"
        parts.append(_edge(f"M{x:.1f} {spines[row.depth]:.1f}V{middle:.1f}H{row.x - 1:.1f}", arrow))
        parts += _shape(row.node, row.x, row.y, row.width, row.box, row.lines)
        for each in row.beside:
            end, at = row.x + BOX + GAP, row.y + SIDE / 2
            ends = [(row.x + BOX, middle), (end - 1, at)]
            (x1, y1), (x2, y2) = reversed(ends) if each.kind == COUNTER else ends
            parts.append(_edge(f"M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}", "solid"))
            parts += _shape(each, end, row.y, SIDE, SIDE, shorten(each))
    return parts


def _shape(node: Node, x: float, y: float, width: float, height: float, lines: Sequence[str]) -> list[str]:
    """One element: its outline by kind, its id with its status, its text."""
    status = {SOLUTION: SUPPORTED, COUNTER: REFUTED}.get(node.kind, node.status)
    look = f'fill="{FILLS[status]}" stroke="{STROKES[status]}" stroke-width="1.4"'
    kind, right, low = node.kind, x + width, y + height
    if kind == STRATEGY:
        outline = f'<path d="M{x + 14:.1f} {y:.1f}H{right:.1f}L{right - 14:.1f} {low:.1f}H{x:.1f}z" {look}/>'
    elif kind in (SOLUTION, COUNTER, ASSUMPTION, JUSTIFICATION):
        centre = f'cx="{x + width / 2:.1f}" cy="{y + height / 2:.1f}"'
        outline = f'<ellipse {centre} rx="{width / 2:.1f}" ry="{height / 2:.1f}" {look}/>'
    else:
        radius = 'rx="20" ' if kind == CONTEXT else ""
        outline = f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" {radius}{look}/>'
    parts = [outline]
    centred = kind not in ("G", CONTEXT, STRATEGY)
    anchor = 'text-anchor="middle" ' if centred else ""
    at = x + width / 2 if centred else x + (PAD + 12 if kind in (STRATEGY, CONTEXT) else PAD)
    step = LINE_PX - 2 if kind in (SOLUTION, COUNTER) else LINE_PX
    begin = y + (height - step * (len(lines) + 1)) / 2 + step - 3 if centred else y + PAD + LINE_PX - 4
    sign = SIGNS[node.status]
    shown = f'<tspan class="id">{escape(kind if kind in (SOLUTION, COUNTER) else node.id)}</tspan>'
    if sign:
        shown += f'<tspan class="small" fill="{STROKES[node.status]}" dx="8">{sign}</tspan>'
    small = ' class="small"' if centred else ""
    parts.append(f'<text {anchor}x="{at:.1f}" y="{begin:.1f}"{small}>{shown}</text>')
    for place, line in enumerate(lines, start=1):
        parts.append(f'<text {anchor}x="{at:.1f}" y="{begin + place * step:.1f}"{small}>{escape(line)}</text>')
    if kind in (ASSUMPTION, JUSTIFICATION):
        parts.append(f'<text x="{right - 8:.1f}" y="{low:.1f}" class="id">{kind}</text>')
    if is_open(node):
        parts.append(
            f'<path d="M{x + width / 2:.1f} {low - 9:.1f}l9 9-9 9-9-9z" fill="#fff" stroke="{STROKES[status]}" '
            'stroke-width="1.4"/>'
        )
    return parts


def _edge(path: str, arrow: str) -> str:
    end = f' marker-end="url(#{arrow})"' if arrow else ""
    return f'<path class="edge" d="{path}"{end}/>'


def _arrow(name: str, path: str, color: str) -> str:
    """A marker at the end of an edge."""
    frame = 'viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto"'
    return f'<marker id="{name}" {frame}><path d="{path}" fill="{color}" stroke="#5a6675"/></marker>'
