"""Verdicts: against the acceptance criteria, what a reader asks first, and on the paper's claims."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from failure_atlas.assurance.argument import build_argument
from failure_atlas.assurance.basis import gather
from failure_atlas.assurance.drawing import TITLE, draw_argument, measure_picture
from failure_atlas.assurance.notation import write_module
from failure_atlas.core.errors import StageError
from failure_atlas.decisions.claims import MULTIPLICITY
from failure_atlas.statistics.estimates import FAILS, HOLDS, NOT_DECIDED, read_estimate
from stages.report.page import Badge, Block, Download, PageSection, Picture, Table, Text
from stages.report.results import MADE, Results, embed
from stages.report.wording import TEXTS, TIED, tell_estimate

GATES, CLAIMS = "acceptance/gates.json", "check_claims/claims.json"
GATE_KEYS = ("id", "verdict", "metric", "found", "comparison", "bar", "reason", "supports")
CLAIM_KEYS = ("claim", "source", "figure", "verdict", "corrected_verdict", "versions", "rule", "evidence")
TONES = {"fail": "bad", "not assessable": "open", "pass": "good"}  # in the order of the table
CLAIM_TONES = {HOLDS: "good", FAILS: "bad", NOT_DECIDED: "open"}
CLAIMED = {HOLDS: "hold", FAILS: "fail", NOT_DECIDED: "are not decided"}


def show_verdicts(results: Results) -> PageSection:
    """The criteria with their verdicts, fails first, and what is to know of classifiers that were brought.

    StageError if gates.json is of another form.
    """
    told = "No acceptance criteria were checked: this run has no data/acceptance/gates.json."
    blocks: list[Block] = [Text(told)]
    criteria = read_criteria(results)
    if criteria is not None:
        count = Counter(criterion["verdict"] for criterion in criteria)
        told = ", ".join(f"{count[verdict]} {verdict}" for verdict in ("pass", "fail", "not assessable"))
        columns = ["criterion", "verdict", "asked", "found", "why", "supports"]
        order = list(TONES)
        rows = [_tell_criterion(each) for each in sorted(criteria, key=lambda each: order.index(each["verdict"]))]
        blocks = [
            Text(TEXTS["criteria"].format(n=len(criteria), told=told)),
            Table("Acceptance criteria", columns, rows, wide=("criterion", "found", "why", "supports")),
        ]
        results.read_metrics("acceptance")
    blocks += _tell_brought(results, criteria or [])
    return PageSection("verdicts", "Verdicts against the acceptance criteria", blocks, told=told)


def show_argument(results: Results, params: Mapping[str, Any]) -> PageSection:
    """The argument over criteria and hazards as a picture, with the file that other tools read.

    params: content of params.yaml.  StageError for hazards that name no criterion.
    """

    def read(path: str) -> bytes | None:
        name = path.removeprefix("data/")
        return results.read(name) if results.has(name) else None

    criteria = read_criteria(results)
    if criteria is None:
        return PageSection("argument", TITLE, [Text(TEXTS["no_argument"])])
    try:
        argument = build_argument(gather(params, criteria, read))
    except ValueError as error:
        raise StageError(f"{error}; see the section acceptance of params.yaml") from error
    drawn = draw_argument(argument, TITLE)
    file = Download("argument.gsn.yaml", embed(write_module(argument).encode(), "application/yaml"), "Argument", "YAML")
    told = f"goals: {argument.tell()}"
    uri = embed(drawn.encode(), "image/svg+xml")
    picture = Picture(TITLE, TEXTS["argument"], f"{TITLE}; {told}", uri, *measure_picture(drawn), file)
    return PageSection("argument", TITLE, [picture], told=told)


def read_criteria(results: Results) -> list[dict[str, Any]] | None:
    """The acceptance criteria with their verdicts; None where none were checked, StageError if of another form."""
    return results.read_entries(GATES, "criteria", GATE_KEYS, list(TONES)) if results.has(GATES) else None


def _tell_criterion(criterion: Mapping[str, Any]) -> list[str | Badge]:
    found = criterion["found"]
    told = "nothing" if found is None else tell_estimate(read_estimate(found))
    because = criterion.get("because")
    return [
        f"{criterion['id']} ({criterion['metric']})",
        Badge(criterion["verdict"], TONES[criterion["verdict"]]),
        f"{criterion['comparison']}{TIED}{criterion['bar']:g}",
        f"{told}; {because}" if because else told,
        str(criterion["reason"]),
        str(criterion["supports"]),
    ]


def _tell_brought(results: Results, criteria: Sequence[Mapping[str, Any]]) -> list[Block]:
    """That no criterion speaks of a classifier that was brought, and what was noticed when it was."""
    texts: list[Block] = []
    for name, stage in results.classifiers.items():
        named = any(name in re.split(r"[/.]|: ", str(criterion["metric"])) for criterion in criteria)
        if stage == "bring_classifiers" and not named:
            texts.append(Text(f"No acceptance criterion names {name}, which was brought: no verdict is about it."))
        warnings = results.read_metrics_of(MADE, name).content.get("warnings", [])
        texts += [Text(f"Noticed when {name} was brought: {warning}.") for warning in warnings]
    return texts


def show_claims(results: Results) -> PageSection:
    """All claims in the order of the paper; StageError if claims.json is of another form."""
    claims = results.read_entries(CLAIMS, "claims", CLAIM_KEYS, list(CLAIM_TONES))
    results.read_metrics("check_claims")
    counts = [Counter(claim[key] for claim in claims) for key in ("verdict", "corrected_verdict")]
    told, corrected = (", ".join(f"{count[verdict]} {words}" for verdict, words in CLAIMED.items()) for count in counts)
    text = TEXTS["claims"].format(n=len(claims), told=told, corrected=corrected, multiplicity=MULTIPLICITY)
    columns = ["claim", "verdict", "corrected", "in the paper, and here", "rule", "evidence"]
    rows, csv = [_tell_claim(claim) for claim in claims], results.offer("check_claims/claims.csv")
    table = Table("Claims of the paper", columns, rows, csv, wide=("claim", columns[3], "rule", "evidence"))
    return PageSection("claims", "The paper's claims", [Text(text), table], told=told)


def _tell_claim(claim: Mapping[str, Any]) -> list[str | Badge]:
    evidence = [f"{name} {tell_estimate(read_estimate(found))}" for name, found in claim["evidence"].items()]
    verdicts = [Badge(claim[key], CLAIM_TONES.get(claim[key], "open")) for key in ("verdict", "corrected_verdict")]
    return [
        f"{claim['claim']} {claim['versions']}".strip(),
        *verdicts,
        f"{claim['source']}: {', '.join(claim['figure'])}",
        claim["rule"],
        "; ".join(evidence),
    ]
