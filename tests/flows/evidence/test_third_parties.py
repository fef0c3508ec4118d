"""Programs that did not write the bundle read and accept it: the signature, the statement, the crate."""

import json
import shutil
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import requests
import urllib3
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from requests.adapters import BaseAdapter
from requests_cache import CachedSession
from rocrate.rocrate import ROCrate
from rocrate_validator import models, services
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

from flows.evidence.attestation import ENVELOPE, PUBLIC, key_id
from tests.flows.evidence.conftest import Made, read_payload

# The context of RO-Crate 1.1 (CC0), as https://w3id.org/ro/crate/1.1/context serves it. The one that rocrate 0.16
# carries is that of 1.3, which names the terms of workflows otherwise.
CONTEXT = Path(__file__).parent / "ro-crate-1.1-context.jsonld"
CONTEXT_URL = "https://w3id.org/ro/crate/1.1/context"
# Includes the checks of Workflow Run Crate, Process Run Crate, Workflow RO-Crate and RO-Crate 1.1.
PROFILE = "provenance-run-crate"


def test_securesystemslib_accepts_the_signature(lasting: Made) -> None:
    envelope = Envelope.from_dict(json.loads((lasting.newest / ENVELOPE).read_bytes()))
    public: Any = load_pem_public_key((lasting.project / ".keys" / PUBLIC).read_bytes())
    key = SSlibKey.from_crypto(public, keyid=key_id(public))
    assert list(envelope.verify([key], threshold=1)) == [key.keyid]
    assert envelope.payload_type == "application/vnd.in-toto+json"


def test_in_toto_accepts_the_statement(lasting: Made) -> None:
    """Parsed strictly: a field that the standard does not know is an error."""
    statement = json_format.ParseDict(read_payload(lasting.newest), statement_pb2.Statement())
    Statement.copy_from_pb(statement).validate()
    assert statement.predicate_type == "https://slsa.dev/provenance/v1"
    provenance = json_format.ParseDict(json_format.MessageToDict(statement.predicate), Provenance())
    assert provenance.build_definition.resolved_dependencies[0].digest["gitCommit"]
    assert provenance.run_details.builder.id
    subjects = {subject.name: subject.digest["sha256"] for subject in statement.subject}
    assert len(subjects) == len(statement.subject), "in-toto wants each name once"
    assert {"data/draw/numbers/below/c.safetensors", "data/report/report.html", "dvc.lock", "inventory.json"} <= set(
        subjects
    )
    inputs = {entry.name for entry in provenance.build_definition.resolved_dependencies}
    assert inputs == {"source", "params.yaml", *(f"work/{name}.py" for name in ("draw", "measure", "accept", "report"))}


class _ServedFromDisk(BaseAdapter):
    """Answers for the web with the one file that the validator asks for."""

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        response = requests.Response()
        response.status_code, response.url, response.request = 200, str(request.url), request
        response.headers["Content-Type"] = "application/ld+json"
        response.raw = urllib3.HTTPResponse(BytesIO(CONTEXT.read_bytes()), response.headers, 200, preload_content=False)
        return response

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def http_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the validator would fetch from the network, put into its cache."""
    path = tmp_path_factory.mktemp("http") / "cache"
    with CachedSession(str(path), backend="sqlite", expire_after=-1) as session:
        session.mount("https://", _ServedFromDisk())
        session.get(CONTEXT_URL, headers={"Accept": "application/ld+json, application/json"})
    return path


def validate(crate: Path, cache: Path) -> list[str]:
    settings = services.ValidationSettings(
        rocrate_uri=crate,
        profile_identifier=PROFILE,
        requirement_severity=models.Severity.REQUIRED,
        offline=True,
        cache_path=cache,
    )
    return [str(issue.message) for issue in services.validate(settings).get_issues()]


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_public_validator_accepts_the_crate_and_refuses_a_spoilt_one(
    lasting: Made, http_cache: Path, tmp_path: Path
) -> None:
    assert validate(lasting.newest, http_cache) == []
    bundle = tmp_path / "bundle"
    shutil.copytree(lasting.newest, bundle)
    (bundle / "params.yaml").unlink()
    path = bundle / "ro-crate-metadata.json"
    crate = json.loads(path.read_text())
    for entity in crate["@graph"]:
        if entity["@type"] == "ControlAction":
            del entity["instrument"]
    path.write_text(json.dumps(crate))
    told = " ".join(validate(bundle, http_cache))
    assert "params.yaml" in told
    assert "A ControlAction must reference a HowToStep instance" in told


def test_rocrate_reads_the_crate(lasting: Made) -> None:
    crate = ROCrate(str(lasting.newest))
    assert crate.mainEntity.id == "dvc.yaml"
    actions = {action.id for action in crate.root_dataset["mentions"]}
    assert actions == {f"#run-{name}" for name in ("all", "draw", "measure", "acceptance", "report")}
    numbers = crate.get("#run-draw")["result"]
    assert numbers["name"] == "data/draw/numbers"
    assert crate.get("#run-report")["result"].id == "data/report/report.html"
    held = {path.relative_to(lasting.newest).as_posix() for path in lasting.newest.rglob("*") if path.is_file()}
    assert {entity.id for entity in crate.data_entities} == held - {"ro-crate-metadata.json"}
