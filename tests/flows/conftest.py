"""Toy DVC projects, a Prefect server for the session, and a look at the machine's processes."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from http import HTTPStatus
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from socketserver import BaseServer
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
import typer
from dvc.repo import Repo
from typer.testing import CliRunner

from flows.children import end_supervised
from flows.project import read_lines
from flows.server import find_free_port, probe_api, start_server, wait_for_api

ROOT = Path(__file__).parents[2]
Invoke = Callable[..., tuple[int, str]]
Ask = Callable[..., Any]
SLOW = "echo begun > begun; test -e fast || sleep 300; echo result > out"  # until `fast` is there
MARK = "FLOW_TEST_MARK"
DATABASE, EMPTY = "prefect.db", "empty.db"
SERVER_SECONDS = 90  # a Prefect server on SQLite may keep one waiting for a minute while another writes


class Mailbox:
    """A webhook's address on this machine, and what was posted to it; `code` is what it answers."""

    def __init__(self) -> None:
        self.received: list[Any] = []
        self.code = 200
        mailbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                mailbox.received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(mailbox.code)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        self.url = f"http://127.0.0.1:{self.port}/services/secret"


def stage(cmd: str, outs: str = "", deps: str = "", **others: Any) -> dict[str, Any]:
    """A stage of dvc.yaml.  outs, deps: paths, with spaces between them."""
    return {"cmd": cmd, "outs": outs.split(), "deps": deps.split(), **others}


class Project:
    """A DVC project in a temporary folder, and the command line run in it."""

    def __init__(self, path: Path, api: str | None) -> None:
        self.path = path
        self.mark = uuid.uuid4().hex
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "DVC_"))},
            "PYTHONPATH": str(ROOT),
            "SHELL": "/bin/sh",
            MARK: self.mark,
            **({"PREFECT_API_URL": api} if api else {}),
        }

    def write_stages(self, **stages: dict[str, Any]) -> None:
        """Write dvc.yaml; JSON is YAML."""
        (self.path / "dvc.yaml").write_text(json.dumps({"stages": stages}))

    def start(self, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "flows.cli", *arguments],
            cwd=self.path,
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    @contextmanager
    def running(self, *arguments: str, **environment: str) -> Iterator["subprocess.Popen[str]"]:
        """A command that is killed at the end if it has not ended, so that nobody waits for it after a failure."""
        with self.start(*arguments, **environment) as process:
            try:
                yield process
            finally:
                process.kill()

    def run(self, *arguments: str, **environment: str) -> tuple[int, str]:
        """Exit code and all output of one command."""
        with self.running(*arguments, **environment) as process:
            output, _ = process.communicate(timeout=120)
        return process.returncode, output

    def log(self) -> list[dict[str, Any]]:
        """The entries of stages."""
        return list(read_lines(self.path / "logs/flows.jsonl"))

    def dvc(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "dvc", *arguments]
        return subprocess.check_output(command, cwd=self.path, env=self.environment, text=True)

    def history(self) -> list[dict[str, Any]]:
        """The entries of re-evaluations."""
        return list(read_lines(self.path / "logs/reevaluate.jsonl"))

    def processes(self) -> dict[int, str]:
        """All living processes that descend from this project's commands: number -> command line."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if f"{MARK}={self.mark}".encode() in (folder / "environ").read_bytes():
                    found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue  # ended meanwhile
        return found

    def wait_for_file(self, name: str, seconds: float = 60) -> None:
        wait_until(lambda: (self.path / name).exists(), seconds, name)

    def clear(self) -> None:
        """Kill whatever of this project is alive, and what that starts while it is being killed."""

        def is_clear() -> bool:
            numbers = self.processes().keys() - {os.getpid()}
            for number in numbers:
                with suppress(ProcessLookupError):  # ended meanwhile, as after a kill of its parent
                    os.kill(number, signal.SIGKILL)
            return not numbers

        wait_until(is_clear, 30, self.processes)

    def wait_for_silence(self, seconds: float = 20) -> None:
        wait_until(lambda: not self.processes(), seconds, lambda: f"still alive: {self.processes()}")


def wait_until(condition: Callable[[], bool], seconds: float, what: Any, every: float = 0.05) -> None:
    """every: seconds between looks; more where each look is work, as for a server."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(every)


class Bucket:
    """An S3 server on this machine, not started yet, with one bucket and one user who may use it."""

    def __init__(self) -> None:
        self.port = find_free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.user = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_DEFAULT_REGION": "us-east-1"}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server, with nothing in it but the bucket; from the fifth request on it asks for keys."""
        command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(self.port)]
        quiet: Any = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, env=os.environ | {"INITIAL_NO_AUTH_ACTION_COUNT": "4"}, **quiet)
        wait_until(lambda: probe_api(f"{self.url}/moto-api") in (None, "HTTP 404"), 120, "S3 server")
        options = {"endpoint_url": self.url, "region_name": "us-east-1"}
        anybody = {"aws_access_key_id": "x", "aws_secret_access_key": "x"}
        users, store = boto3.client("iam", **options, **anybody), boto3.client("s3", **options, **anybody)
        users.create_user(UserName="user")
        allowed = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
        users.put_user_policy(UserName="user", PolicyName="all", PolicyDocument=json.dumps(allowed))
        made = users.create_access_key(UserName="user")["AccessKey"]
        store.create_bucket(Bucket="bucket")
        self.user |= {"AWS_ACCESS_KEY_ID": made["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": made["SecretAccessKey"]}

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    bucket = Bucket()
    yield bucket
    bucket.stop()


@contextmanager
def serving(server: BaseServer) -> Iterator[None]:
    """Let a server answer in a thread of its own, inside the block."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    mailbox = Mailbox()
    with serving(mailbox.server):
        yield mailbox


@pytest.fixture(autouse=True, scope="session")
def _heed_interrupts() -> Iterator[None]:
    """A shell starts background jobs with SIGINT ignored, and commands under test would inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty DVC project with this project's own settings, made once."""
    path = tmp_path_factory.mktemp("template")
    Repo.init(str(path), no_scm=True).close()
    settings = (ROOT / ".dvc/config").read_text()
    (path / ".dvc/config").write_text(settings.replace("[core]", "[core]\n    no_scm = true"))
    return path


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Iterator[Project]:
    """A project that has no server of its own."""
    with open_project(template, tmp_path, None) as project:
        yield project


@pytest.fixture
def served_project(template: Path, tmp_path: Path, server: str) -> Iterator[Project]:
    """A project whose runs report to the session's server."""
    with open_project(template, tmp_path, server) as project:
        yield project


@contextmanager
def open_project(template: Path, folder: Path, api: str | None) -> Iterator[Project]:
    path = folder / "project"
    shutil.copytree(template, path)
    project = Project(path, api)
    try:
        yield project
    finally:
        project.clear()


@pytest.fixture(scope="session")
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the session's server keeps its database, and a copy of the empty one."""
    return tmp_path_factory.mktemp("prefect")


@pytest.fixture(scope="session")
def server(prefect_home: Path) -> Iterator[str]:
    """The API address of one Prefect server for all tests; starting one takes 9 to 20 s."""
    home, log = prefect_home, prefect_home / "server.log"
    quiet = {"PREFECT_SERVER_UI_ENABLED": "false", "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
    url, process = start_server(find_free_port(), log, {"PREFECT_HOME": str(home), **quiet})
    try:
        wait_for_api(url, process, "the server", str(log))
        # More than half of a server's start is the making of an empty database: others get a copy of this one.
        with closing(sqlite3.connect(home / DATABASE)) as made, closing(sqlite3.connect(home / EMPTY)) as copy:
            made.backup(copy)
        yield url
    finally:
        end_supervised(process)


@pytest.fixture
def project_with_database(project: Project, server: str, prefect_home: Path) -> Project:
    """A project that has no server of its own, but the database that its first one would have to make."""
    (project.path / ".prefect").mkdir()
    shutil.copy(prefect_home / EMPTY, project.path / ".prefect" / DATABASE)
    return project


@pytest.fixture(scope="session")
def ask(server: str) -> Ask:
    """Ask the session's server: `ask("task_runs/filter", {...})`."""

    def send(path: str, body: dict[str, Any], method: str = "POST") -> Any:
        for _ in range(SERVER_SECONDS):
            with closing(HTTPConnection(urlsplit(server).netloc, timeout=SERVER_SECONDS)) as connection:
                connection.request(method, f"/api/{path}", json.dumps(body), {"Content-Type": "application/json"})
                response = connection.getresponse()
                said = response.read()
            if response.status != HTTPStatus.SERVICE_UNAVAILABLE:
                break
            time.sleep(1)  # its database is locked for the moment: Prefect's own client asks again, too
        assert response.status < 300, said
        return json.loads(said or "null")

    return send


def call(command: Callable[..., None], *arguments: str) -> tuple[int, str]:
    """Exit code and output of a command's function; what the command line would tell of an error is raised."""
    app = typer.Typer()
    app.command()(command)
    result = CliRunner().invoke(app, [*arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


@pytest.fixture
def invoke(project: Project, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Call a command's function in the project: `invoke(function, arguments...)` is exit code and output."""
    monkeypatch.chdir(project.path)
    return call
