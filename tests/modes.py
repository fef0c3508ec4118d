"""The result folder of find_modes by hand: three modes, or none."""

import json
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

SENTENCES = (
    ("8", "3", "reads 8 as 3 when noise is above 0.14"),
    ("", "1", "reads any digit as 1 when strokes are thinner than 1.6 px"),
    ("7", "", "fails on 7 when the ground is lighter than 0.18"),
)
REAL = (("corroborated", 66, 27), ("contradicted", 40, 2), ("too few", 0, 0))


def write_modes(folder: Path, modes: int = 3, others: Mapping[str, float] | None = None) -> None:
    """modes.csv, others.csv and metrics.json; modes: how many of the three.  others: the rate of each in all modes."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [_build_row(rank) for rank in range(1, 4)]
    pd.DataFrame(rows).head(modes).to_csv(folder / "modes.csv", index=False)
    rates = others or {}
    beside = [
        {"rank": rank, "classifier": name, "n": 190} | bound("rate", rate)
        for rank in range(1, modes + 1)
        for name, rate in rates.items()
    ]
    columns = ["rank", "classifier", "n", "rate", "rate_low", "rate_high"]
    pd.DataFrame(beside, columns=columns).to_csv(folder / "others.csv", index=False)
    share = {"value": 0.71, "low": 0.66, "high": 0.76, "n": 812}
    held = {"modes": modes, "explained_share": share, "coverage": share | {"value": 0.7, "n": 64}, "effective_n": 912.5}
    (folder / "metrics.json").write_text(json.dumps(held), encoding="utf-8")


def _build_row(rank: int) -> dict[str, object]:
    label, read_as, sentence = SENTENCES[rank - 1]
    verdict, n_real, real_failures = REAL[rank - 1]
    rate, share = (0.62, 0.31, 0.45)[rank - 1], (0.06, 0.09, 0.03)[rank - 1]
    row: dict[str, object] = {
        "rank": rank,
        "within": "1" if rank == 2 else "",
        "sentence": sentence,
        "class": label,
        "read_as": read_as,
    }
    row |= {"conditions": sentence.split(" when ")[1], "n": 190, "failures": round(190 * rate), "verdict": verdict}
    row |= bound("rate", rate, 0.07) | bound("share", share, 0.01) | bound("lift", 4.5, 0.5)
    row |= {"true_failures": 80} | bound("true_failure_share", 0.8, 0.06) | bound("risk", rate * share, 0.004)
    row |= {"n_real": n_real, "real_failures": real_failures}
    row |= (
        bound("real_rate", 0.41 if rank == 1 else 0.05, 0.11)
        if n_real
        else dict.fromkeys(["real_rate", "real_rate_low", "real_rate_high"])
    )
    row |= {"direction": "5" if rank == 1 else "", "direction_name": "fainter" if rank == 1 else ""}
    return row | {"nearest_distance_std": 1.25 if rank == 1 else None, "found_failures": 4 - rank}


def bound(name: str, value: float, half: float = 0.05) -> dict[str, float]:
    """An estimate as three columns."""
    return {name: value, f"{name}_low": value - half, f"{name}_high": value + half}
