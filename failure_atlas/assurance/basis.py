"""What an argument rests on, gathered from params and results, whoever holds them: a project, a page, a bundle."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from failure_atlas.assurance.argument import Basis
from failure_atlas.assurance.hazards import read_hazards
from failure_atlas.core.errors import StageError
from failure_atlas.decisions.summary import Mode, read_modes

Read = Callable[[str], bytes | None]  # the bytes of a file by its path in the project, None where there is none
MOST_TOLD = 12  # classes, exposures or costs in words; the others are counted


def gather(params: Mapping[str, Any], criteria: Sequence[Mapping[str, Any]], read: Read) -> Basis:
    """The basis of the argument.  params: content of params.yaml.  criteria: entries of gates.json.

    Raises ValueError for hazards that are none, and for a modes.csv of another form.
    """
    hazards = read_hazards(_section(params, "acceptance"), [str(each["id"]) for each in criteria])
    classifiers = [str(name) for name in _section(params, "classifiers")]
    modes: dict[str, Sequence[Mode]] = {}
    digests = {}
    for name in classifiers:
        path = f"data/find_modes/{name}/modes.csv"
        if (content := read(path)) is not None:
            digests[path] = hashlib.sha256(content).hexdigest()
            try:
                modes[name] = read_modes(content.decode(), path)
            except StageError as error:
                raise ValueError(str(error)) from error
    for path in sorted({f"data/{str(each['metric']).partition(': ')[0]}/metrics.json" for each in criteria}):
        if (content := read(path)) is not None:
            digests[path] = hashlib.sha256(content).hexdigest()
    told = {"domain": tell_domain(params), "data": tell_data(params, read), "generator": tell_generator(criteria)}
    return Basis(criteria, hazards, modes, digests, {name: words for name, words in told.items() if words}, classifiers)


def tell_domain(params: Mapping[str, Any]) -> str:
    """The operating domain in words; empty where params state none."""
    images, corrupted = _section(params, "prepare_images"), _section(params, "corrupt_images")
    if not images or not corrupted:
        return ""
    recipe = " then ".join(map(str, corrupted["recipe"])) or "no corruption"
    levels = ", ".join(map(str, corrupted["severities"]))
    share = f"share {corrupted['clean_fraction']:g} clean"
    how = f"{recipe}, severities {levels} of {corrupted['table']}"
    told = [f"Operating domain: {images['source']}, {share}, the others with {how}."]
    domain = _section(_section(params, "find_modes"), "operating_domain")
    exposure = [
        f"{each['attribute']} {'above' if each.get('above') is not None else 'below'} "
        f"{each['above'] if each.get('above') is not None else each.get('below')} in {each['share']:g} of use"
        for each in domain.get("exposure", [])
    ]
    costs = [
        f"{each['true_class'] or 'any class'} read as {each['read_as'] or 'any other'} costs {each['cost']:g}"
        for each in domain.get("costs", [])
    ]
    told.append(f"Exposure: {_list(exposure)}." if exposure else "Exposure: that of the generator's population.")
    told.append(f"Costs: {_list(costs)}." if costs else "Every confusion costs 1.")
    return " ".join(told)


def tell_data(params: Mapping[str, Any], read: Read) -> str:
    """The data set in words, with the hash of what its stage measured; empty where params state none."""
    images, path = _section(params, "prepare_images"), "data/prepare_images/metrics.json"
    if not images:
        return ""
    content = read(path)
    held = "" if content is None else f"; {path} sha256 {hashlib.sha256(content).hexdigest()[:16]}"
    return f"Data: {images['source']}, {images['size_px']} px, {images['channels']} channel(s){held}."


def tell_generator(criteria: Sequence[Mapping[str, Any]]) -> str:
    """Whether the generator passed; empty where no criterion asks that."""
    gates = [f"{each['id']}: {each['verdict']}" for each in criteria if each.get("gate")]
    return f"Generator: what rests on it is assessed only if it passes. {'; '.join(gates)}." if gates else ""


def _list(words: Sequence[str]) -> str:
    more = f", and {len(words) - MOST_TOLD} more" if len(words) > MOST_TOLD else ""
    return ", ".join(words[:MOST_TOLD]) + more


def _section(params: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    held = params.get(name)
    return held if isinstance(held, Mapping) else {}
