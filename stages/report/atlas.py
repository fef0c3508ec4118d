"""On what each classifier fails: its answer on the first screen, and the atlas of its modes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from failure_atlas.decisions.acceptance import FAIL, PASS
from failure_atlas.decisions.metrics import Metrics
from failure_atlas.decisions.summary import NO_MODE, VERDICTS, Mode, Summary, read_modes, summarise, tell_percent
from failure_atlas.statistics.estimates import Estimate
from stages.report.figures import embed_figure, show_figure
from stages.report.page import Answer, Badge, Block, Card, Group, Modes, PageSection, Strip, Text
from stages.report.results import Results
from stages.report.verdicts import read_criteria
from stages.report.wording import TEXTS, name_bounds, tell_estimate, tell_number

FIRST = 3  # modes of each classifier on the first screen
OPEN = 2  # classifiers whose modes are not folded
STAGES = ("find_failures/{}", "judge_failures/{}", "qualify_generator", "train_judges")
TONES = {PASS: "good", FAIL: "bad"} | dict(zip(VERDICTS, ("bad", "open", "good"), strict=True))
OTHERS = ("rank", "classifier", "n", *name_bounds("rate"))


def summarise_all(results: Results) -> list[Summary]:
    """What the first screen says of each classifier; StageError if a file is missing or of another form."""
    criteria = read_criteria(results)
    summaries = []
    for name in results.classifiers:
        file = f"find_modes/{name}/modes.csv"
        modes = read_modes(results.read(file).decode(), str(results.folder / file))
        places = [place.format(name) for place in STAGES]
        metrics = {place.split("/")[0]: results.read_metrics(place).content for place in places}
        summaries.append(summarise(name, modes, metrics, criteria))
    return summaries


def draw_strips(results: Results, summary: Summary) -> list[Strip]:
    """The pictures of each mode of a classifier, in order."""
    number = list(results.classifiers).index(summary.name)
    strips = []
    for mode in summary.modes or ():
        rank = mode.counts["rank"]
        picture = embed_figure(results, f"find_modes/{summary.name}/figures/mode_{rank}.png")
        words = TEXTS["strip"].format(rank=rank, name=summary.name, sentence=mode.texts["sentence"])
        strips.append(Strip(f"strip-{number}-{rank}", words, *picture))
    return strips


def answer(summary: Summary, strips: Sequence[Strip]) -> Answer:
    """The card of a classifier on the first screen, with its first modes."""
    modes = [show_mode(mode, strip) for mode, strip in zip((summary.modes or ())[:FIRST], strips, strict=False)]
    badge = Badge(summary.verdict, TONES.get(summary.verdict, "open"))
    return Answer(summary.name, badge, summary.counted, modes, NO_MODE, summary.how_far, summary.proof)


def show_mode(mode: Mode, strip: Strip, facts: Mapping[str, str] | None = None) -> Card:
    """A mode as a card; facts: what more is told of it, by what it is."""
    found, verdict = mode.estimates, mode.verdict
    rate = mode.told_rate.removeprefix("wrong on ").partition(" %")[0]
    return Card(
        rank=mode.counts["rank"],
        sentence=mode.texts["sentence"],
        rate=f"{rate} %",
        told_rate=mode.told_rate,
        told_real=mode.told_real,
        badge=Badge(verdict, TONES[verdict]),
        strip=strip,
        facts=facts or {},
        order={
            **{key: found[key].value for key in ("rate", "share", "risk")},
            "corroboration": VERDICTS.index(verdict) + (found["real_rate"].value if mode.counts["n_real"] else 0.0) / 2,
        },
    )


def show_atlas(results: Results, summaries: Sequence[Summary], strips: Sequence[Sequence[Strip]]) -> PageSection:
    """The modes of every classifier as cards, and its map."""
    groups = [
        _show_one(results, *each, folded=at >= OPEN) for at, each in enumerate(zip(summaries, strips, strict=True))
    ]
    return PageSection("atlas", "On what it fails: all modes", [Text(TEXTS["modes"])], groups, folded=False)


def _show_one(results: Results, summary: Summary, strips: Sequence[Strip], folded: bool) -> Group:
    name, modes, place = summary.name, summary.modes or (), f"find_modes/{summary.name}"
    metrics = results.read_metrics(place)
    others = results.read_table(f"{place}/others.csv", OTHERS, text=("classifier",)).to_dict("records")
    cards: list[Card] = []
    for mode, strip in zip(modes, strips, strict=True):
        beside = {
            str(row["classifier"]): Estimate(float(row["rate"]), float(row["rate_low"]), float(row["rate_high"]))
            for row in others
            if int(row["rank"]) == mode.counts["rank"]
        }
        shown = replace(strip, uri="") if len(cards) < FIRST else strip  # those stand on the first screen
        cards.append(show_mode(mode, shown, _tell_facts(mode, beside)))
    blocks: list[Block] = [Text(_tell_explained(metrics) if cards else f"{NO_MODE.capitalize()}.")]
    if cards:
        offered = {"modes": "Modes", "others": "Other classifiers in them"}
        downloads = [results.offer(f"{place}/{file}.csv", words) for file, words in offered.items()]
        blocks.append(Modes(name, cards, downloads))
    if results.has(f"{place}/figures/map.png"):  # a run may have nothing to draw
        blocks.append(show_figure(results, place, "map", name))
    return Group(f"{name}: {len(cards) or 'no'} mode{'s' * (len(cards) != 1)}", blocks, folded)


def _tell_explained(metrics: Metrics) -> str:
    shares = {key: tell_percent(metrics.estimate(key)) for key in ("explained_share", "coverage")}
    return TEXTS["explained"].format(**shares)


def _tell_facts(mode: Mode, others: Mapping[str, Estimate]) -> dict[str, str]:
    found, far = mode.estimates, mode.nearest_distance_std
    facts = {
        "share of the domain": tell_percent(found["share"]),
        "risk: rate times share": tell_percent(found["risk"]),
        "times the rate elsewhere": tell_estimate(found["lift"]),
        "true failures (judge, auditor)": tell_percent(found["true_failure_share"]),
        "nearest found failure": "none lies in it" if math.isnan(far) else f"{tell_number(far)} std",
        "a direction that leads there": mode.texts["direction_name"] or "none found",
    }
    if mode.texts["within"]:
        facts["part of"] = f"mode {mode.texts['within']}"
    return facts | {f"{name} there": f"wrong on {tell_percent(rate)}" for name, rate in others.items()}
