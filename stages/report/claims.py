"""The claims of the paper, each with its verdict here and the numbers behind it."""

from collections import Counter
from typing import Any

from failure_atlas.core.errors import StageError
from failure_atlas.decisions.claims import tell_multiplicity
from failure_atlas.statistics.estimates import FAILS, HOLDS, NOT_DECIDED, read_estimate
from stages.report.blocks import Badge, PageSection, Table, Text
from stages.report.pictures import offer
from stages.report.results import Results
from stages.report.wording import tell_estimate

FILE = "check_claims/claims.json"
TONES = {HOLDS: "good", FAILS: "bad", NOT_DECIDED: "open"}
KEYS = ("claim", "source", "figure", "verdict", "rule", "evidence")


def show_claims(results: Results) -> PageSection:
    """All claims in the order of the paper; StageError if claims.json is of another form."""
    path, claims = results.folder / FILE, results.read_json(FILE).get("claims")
    results.read_metrics("check_claims")
    again = "make it again with: dvc repro check_claims"
    if not isinstance(claims, list):
        raise StageError(f"{path}: holds no list 'claims'; {again}")
    for claim in claims:
        missing = [key for key in KEYS if key not in claim]
        if missing or claim["verdict"] not in TONES:
            fault = f"has no {', '.join(missing)}" if missing else f"has the verdict '{claim['verdict']}'"
            raise StageError(f"{path}: a claim {fault}; {again}")
    count = Counter(claim["verdict"] for claim in claims)
    text = Text(
        f"{len(claims)} claims of Le Coz, Herbin and Adjed (AISafety 2022): "
        + ", ".join(f"{count[verdict]} {words}" for verdict, words in _COUNTED.items())
        + ". A verdict follows from the rule beside it, by the intervals of what this run measured. "
        + tell_multiplicity(len(claims))
    )
    table = Table(
        "Claims of the paper",
        ["claim", "verdict", "place in the paper", "figure here", "rule", "evidence"],
        [_tell(claim) for claim in claims],
        offer(results, "check_claims/claims.csv"),
        wide=("claim", "rule", "evidence"),
    )
    return PageSection("claims", "The paper's claims", [text, table])


_COUNTED = {HOLDS: "hold", FAILS: "fail", NOT_DECIDED: "are not decided"}


def _tell(claim: dict[str, Any]) -> list[str | Badge]:
    evidence = [f"{name} {tell_estimate(read_estimate(found))}" for name, found in claim["evidence"].items()]
    return [
        claim["claim"],
        Badge(claim["verdict"], TONES[claim["verdict"]]),
        claim["source"],
        ", ".join(claim["figure"]),
        claim["rule"],
        "; ".join(evidence),
    ]
