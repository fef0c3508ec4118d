"""Classifiers without gradients, a function and one behind a URL: asked, brought, loaded again; every fault named."""

import json
import shutil
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch

from failure_atlas.brought import http_predictor
from failure_atlas.brought.black_box import BlackBox
from failure_atlas.brought.checkpoint import load_classifier, read_network
from failure_atlas.brought.http_predictor import HttpPredictor, check_url, read_npy, write_npy
from failure_atlas.brought.params import BringClassifierParams
from failure_atlas.classifiers.networks import is_differentiable
from failure_atlas.images.image_set import to_unit
from failure_atlas.world.gradients import differentiate, softmax
from failure_atlas.world.show import CLASSIFIER, World
from stages.common.artefacts.images import read_images
from stages.common.artefacts.networks import load_networks
from stages.compute_curves.__main__ import main as compute_curves
from stages.walk_corner_cases.__main__ import main as walk_corner_cases
from tests import yaml12 as yaml
from tests.refusing import refused

IMAGES = np.random.default_rng(0).random((7, 1, 3, 4)).astype(np.float32)


def predict(images):
    return np.stack([images.sum((1, 2, 3)), images.max((1, 2, 3))], axis=1, dtype=np.float64)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
RAW = {
    "/rude": b"\x1b[2Jaccepted\r\n\r\n", "/chunk_word": CHUNKED + b"many\r\n",
    "/chunk_negative": CHUNKED + b"-5\r\nabc",
    "/chunk_endless": CHUNKED + b"-1\r\n" + bytes(3_000_000),
}  # fmt: skip
SLOW = {"/slow_headers": b"HTTP/1.1 200 OK\r\nX: ", "/slow_body": b"HTTP/1.0 200 OK\r\n\r\n"}


def pickle_array(_):
    file = BytesIO()
    np.save(file, np.array([{}], object), allow_pickle=True)
    return file.getvalue()


ANSWERS = {  # by path: the status, and the body or what makes it of the outputs
    "/moved": (302, write_npy), "/broken": (500, b"no model loaded\nTraceback"), "/text": (200, b"0.1 0.9"),
    "/coloured": (500, b"\x1b[2J\x1b[32maccepted\r\x07"), "/cut": (200, lambda outputs: write_npy(outputs)[:-3]),
    "/transposed": (200, lambda outputs: write_npy(outputs.T)), "/pickle": (200, pickle_array),
    "/long": (200, bytes(2_000_000)), "/fickle": (200, lambda outputs: write_npy(outputs[:, : 1 + len(outputs) % 2])),
}  # fmt: skip


class Handler(BaseHTTPRequestHandler):
    """Answers what `server.predict` says as the path says; notes what it was asked."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, self.headers["Content-Type"], len(read_npy(body))))
        if self.path == "/drop" and len(self.server.asked) <= self.server.drops:
            self.close_connection = True  # without any answer
            return
        time.sleep(self.path == "/silent")
        if self.path in RAW:
            self.wfile.write(RAW[self.path])
            self.close_connection = True
            return
        outputs = self.server.predict(read_npy(body))
        status, answer = ANSWERS.get(self.path, (200, write_npy))
        content = answer(outputs) if callable(answer) else answer
        if self.path in SLOW:
            self.trickle(SLOW[self.path] + content)
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Location", "/elsewhere")
        self.end_headers()
        self.wfile.write(content)

    def trickle(self, content):
        """One byte every tenth of a second, until nobody listens any more."""
        self.close_connection = True
        for byte in content:
            try:
                self.wfile.write(bytes([byte]))
            except OSError:
                return
            time.sleep(0.1)

    def log_message(self, *_):
        pass


@contextmanager
def serving(answer):
    """Serve outputs [N, classes] of images [N, C, H, W] on loopback, until the block ends."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.asked, running.drops, running.daemon_threads, running.predict = [], 0, True, answer
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield running
        finally:
            running.shutdown()
            thread.join()


@pytest.fixture
def server():
    with serving(predict) as running:
        yield running


@pytest.fixture
def ask(server, monkeypatch):
    """A function that asks the server at a path; no wait between tries."""
    monkeypatch.setattr(http_predictor, "PAUSE_SECONDS", 0.0)
    predictors = []

    def call(path, images=IMAGES, **options):
        predictors.append(HttpPredictor(f"http://127.0.0.1:{server.server_port}{path}", **options))
        return predictors[-1](images)

    yield call
    for predictor in predictors:
        predictor.close()


def test_the_answer_is_what_the_server_computes_batch_by_batch(ask, server):
    refused(r"/fickle: answered with 1 and 2 classes; the same number is needed", ask, "/fickle", batch_size=4)
    server.asked.clear()
    np.testing.assert_array_equal(ask("/predict?model=2", batch_size=3), predict(IMAGES))
    assert server.asked == [("/predict?model=2", "application/x-npy", count) for count in (3, 3, 1)]
    assert ask("/predict", IMAGES[:0]).shape == (0, 2)  # asked for the number of classes, too


def test_a_dropped_connection_is_tried_again_and_one_that_keeps_failing_is_named(ask, server):
    server.drops = 2
    np.testing.assert_array_equal(ask("/drop"), predict(IMAGES))
    assert len(server.asked) == 3
    server.drops = 10
    server.asked.clear()
    refused(r"/drop: not reached in 3 tries \(RemoteDisconnected: .*\); start the server", ask, "/drop")
    assert len(server.asked) == 3


NOT_ANSWERED = [
    ("/moved", r"/moved: answered with status 302 .*; needed: 200; redirects are not followed: write the final U"),
    ("/broken", r"/broken: answered with status 500 \(no model loaded\); needed: 200$"),
    ("/coloured", r"/coloured: answered with status 500 \(\\x1b\[2J\\x1b\[32maccepted\); needed: 200$"),
    ("/text", r"/text: answered with no \.npy array \(.*\); needed: numbers \[1, classes\], as numpy\.save writes"),
    ("/cut", r"/cut: answered with no \.npy array \(13 bytes of data, 16 by its header\)"),
    ("/pickle", r"/pickle: answered with no \.npy array \(it holds Python objects\)"),
    ("/transposed", r"/transposed: answered with an array of shape \[2, 1\] for 1 images; needed: \[1, classes\]"),
    ("/long", r"/long: answered with more than 1,100,000 bytes; needed: one \.npy array"),
    ("/chunk_endless", r"answered with more than 1,100,000 bytes"),
    ("/chunk_negative", r"answered with no \.npy array|not reached in 3 tries"),
    ("/chunk_word", r"not reached in 3 tries"),
    ("/rude", r"/rude: not reached in 3 tries \(BadStatusLine: \\x1b\[2Jaccepted\); start"),
]


@pytest.mark.parametrize(("path", "message"), NOT_ANSWERED)
def test_what_is_no_answer_is_named_and_asked_once(ask, server, path, message):
    """One without end is not read, one that is no HTTP is escaped."""
    refused(message, ask, path, IMAGES[:1])
    assert len(server.asked) == 1 or "3 tries" in message


@pytest.mark.parametrize("path", [*SLOW, "/silent"])
def test_the_whole_of_a_request_has_one_limit(ask, server, path):
    started = time.monotonic()
    refused(rf"{path}: no whole answer within 0\.5 s; raise timeout_seconds", ask, path, timeout_seconds=0.5)
    assert time.monotonic() - started < 2
    asked = len(server.asked)
    time.sleep(0.3)
    assert len(server.asked) == asked == 1  # nobody asks on behind its back


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "ftp://host/x", "localhost:8000", "http:///predict", "http://host:99999/", "http://[::1",
        "http://host/a b", "http://host/\r\nX: y", "http://host/#part", "http://host:0/", "http://a..b/x",
        f"http://{'a' * 64}.org/x",
    ],
)  # fmt: skip
def test_only_urls_that_can_be_called_are_taken(url):
    refused(r"no URL.*; allowed: http://HOST\[:PORT\]/PATH or https://", check_url, url)


def test_what_numpy_saves_is_read_and_a_header_that_claims_more_than_there_is_takes_no_memory():
    np.save(file := BytesIO(), array := np.asfortranarray(np.arange(6.0).reshape(2, 3)))
    for content in (file.getvalue(), write_npy(array)):
        np.testing.assert_array_equal(read_npy(content), array)
    huge = write_npy(np.zeros((1, 2))).replace(b"(1, 2)", b"(9999999999, 2)").replace(b" " * 9 + b"\n", b"\n")
    refused("159999999984 by its header", read_npy, huge, error=ValueError)


CPU = torch.device("cpu")
# The brightest band of columns names the class, in NumPy alone; softmax of its brightness.
SOURCE = """
import numpy as np

LEFT = 1 + 3 * np.arange(10)


def predict(images):
    bands = np.stack([images[:, 0, 4:28, left : left + 3].mean((1, 2)) for left in LEFT], 1).astype(float)
    odds = np.exp(30 * (bands - bands.max(1, keepdims=True)))
    return odds / odds.sum(1, keepdims=True)


class Wrapped:
    pass


def names(images):
    return predict(images).argmax(1)


def reversed_bands(images):
    return np.ascontiguousarray(predict(images)[:, ::-1])
"""
ENTRY = {"predict": "bands:predict", "outputs": "probabilities"}


@pytest.fixture
def bands(brought):
    """The folder of the function, without anything of another classifier."""
    for file in brought.iterdir():
        file.unlink()
    (brought / "bands.py").write_text(SOURCE, encoding="utf-8")
    return brought


def expect(images):
    names: dict[str, object] = {}
    exec(SOURCE, names)  # noqa: S102 - the module that was brought
    return names["predict"](images)


def check_loaded(out, tiny_images):
    """The classifier of the file answers as the function, and says that it gives no gradients."""
    classifier = load_classifier(out / "classifier.safetensors", CPU)
    assert not is_differentiable(classifier)
    test = read_images(tiny_images, "test")
    shown = to_unit(test.images)
    np.testing.assert_allclose(classifier(shown).softmax(1), expect(shown.numpy()), atol=1e-6)
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["differentiable"] is False
    assert (metrics["parameters"], metrics["clean_test_accuracy"]["value"]) == (0, pytest.approx(1.0))
    return classifier


def test_a_function_is_brought_and_loaded_again(bands, bring, tiny_images, tiny_generator, hash_folder):
    out = bring(ENTRY)
    classifier = check_loaded(out, tiny_images)
    first = hash_folder(out)
    assert first == hash_folder(bring(ENTRY))
    network, again = load_networks(tiny_generator, out / "classifier.safetensors", CPU)
    styles = torch.ones(2, network.style_dimensions)
    with torch.no_grad():
        np.testing.assert_allclose(again(network.synthesize(styles)), classifier(network.synthesize(styles)), rtol=1e-4)
    world = World(network.synthesize, {CLASSIFIER: again})
    slopes = differentiate(world, {"softmax": softmax}, styles.numpy(), np.zeros(2, np.int64))
    refused(r"bring_classifiers\.mine\.predict: is a black box and gives no gradients", list, slopes)
    (bands / "bands.py").write_text(SOURCE + "\n", encoding="utf-8")
    told = r"bands\.py: expected SHA-256 [0-9a-f]{64}, found SHA-256"
    refused(told, load_classifier, out / "classifier.safetensors", CPU)


def test_a_server_is_brought_and_its_warning_says_what_no_hash_pins(bands, bring, tiny_images, monkeypatch):
    (bands / "bands.py").rename(bands / "model.txt")
    with serving(expect) as server:
        url = f"http://127.0.0.1:{server.server_port}/"
        out = bring({"url": f"{url}predict", "outputs": "probabilities"})
        check_loaded(out, tiny_images)
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    (warning,) = metrics["warnings"]
    assert warning.startswith("bring_classifiers.mine.url: no hash pins what the server runs")
    assert list(metrics["files"]) == ["model.txt"]
    monkeypatch.setattr(http_predictor, "PAUSE_SECONDS", 0.0)
    refused(rf"{url}: not reached in 3 tries", bring, {"url": url})


def test_a_server_is_asked_as_its_entry_says(tmp_path):
    for entry, wanted in (({}, (60, 250)), ({"timeout_seconds": 2.5, "images_per_request": 7}, (2.5, 7))):
        params = BringClassifierParams(url="http://127.0.0.1:1/predict", **entry)
        again = BringClassifierParams.model_validate(params.model_dump())
        predictor = read_network(again, tmp_path, "bring_classifiers.mine").predict
        assert (predictor.timeout_seconds, predictor.batch_size) == wanted


WALKS = {
    "scope": "class", "dimensions": 1, "max_shift_std": 3.0, "grid_step_std": 1.5, "min_effect": 0.001,
    "only_true_failures": False, "start_samples": [], "real_starts": 0, "figure_classes": [], "batch_size": 64,
}  # fmt: skip
CURVES = {
    "seed": 1, "top_k": [3], "headline_k": 3, "bins": 2, "tail_quantile": 0.99, "shift_samples": 20,
    "shift_dimensions": 2, "max_shift_std": 1.0, "shift_step_std": 1.0, "random_draws": 2, "bootstrap_replicates": 100,
    "batch_size": 50,
}  # fmt: skip


def test_walks_and_curves_of_a_server_are_those_of_the_function_that_it_serves(
    brought, keep, hash_folder, tiny_generator, tiny_population, tiny_judge, tiny_names, tiny_black_box,
    tiny_black_box_ranking, tiny_images,
):  # fmt: skip
    names = {"classifiers": {"classifier": "bring_classifiers"}, "bring_classifiers": {"classifier": {}}}
    params = yaml.safe_dump(names | {"walk_corner_cases": WALKS, "compute_curves": CURVES})
    Path("params.yaml").write_text(params, encoding="utf-8")
    Path("ranked_classifier").symlink_to(tiny_black_box_ranking)
    inside = load_classifier(tiny_black_box, CPU)
    asked = []

    def predict(images):
        asked.append(len(images))
        with torch.no_grad():
            return inside(torch.from_numpy(images.copy())).double().softmax(1).numpy()

    shutil.rmtree(brought)
    brought.mkdir()
    (brought / "model.txt").write_text("version 1\n", encoding="utf-8")
    with serving(predict) as server:
        served = keep({"url": f"http://127.0.0.1:{server.server_port}/", "outputs": "probabilities"})
        for name, weights in (("function", tiny_black_box), ("server", served)):
            world = tiny_generator, weights, tiny_judge, tiny_population
            nowhere = Path("inverted")  # walks from real images are not asked for
            walk_corner_cases(*world, tiny_black_box_ranking, tiny_names, nowhere, Path(name) / "walks")
            places = f"{weights.parent}/{{name}}.safetensors", tiny_population, "ranked_{name}", tiny_judge
            compute_curves(tiny_generator, *places, tiny_images, Path(name) / "curves")
    assert sum(asked) > 100
    for out in ("walks", "curves"):
        assert hash_folder(Path("server") / out) == hash_folder(Path("function") / out) != {}


NOT_ASKED = [
    ({"predict": "bands:Wrapped"}, r"mine\.predict: bands:Wrapped is a type; name a function of a NumPy array"),
    ({"predict": "bands:LEFT"}, r"mine\.predict: bands:LEFT is a ndarray; name a function of a NumPy array"),
    ({"predict": "bands:nobody"}, r"mine\.predict: got 'bands:nobody'; bands has no nobody"),
    ({"predict": "bands:names"}, r"mine\.predict: returned an array of shape \[24\] for 24 images; needed: \[24, "),
    ({"predict": "bands:predict", "input": {"size_px": 16}}, r"mine\.predict: (failed on|ret|its)|mine: its a"),
    ({"predict": "bands:predict", "weights": "w.pt"}, r"weights only beside load; it stands beside predict"),
    ({"predict": "bands:predict", "timeout_seconds": 5}, r"timeout_seconds only beside url; it stands beside pred"),
    (ENTRY | {"predict": "bands:reversed_bands"}, r"mine: 0\.000 of 50 clean test .* no better than chance"),
    ({"url": "http://me:secret@host/x"}, r"http://\.\.\.@host/x: no URL that can be called; allowed: http://HOST"),
]  # fmt: skip


@pytest.mark.parametrize(("entry", "message"), NOT_ASKED)
@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:invalid value encountered")
def test_what_cannot_be_asked_is_named(bands, bring, entry, message):
    refused(message, bring, entry)


TWO = torch.arange(2 * 1 * 3 * 4, dtype=torch.float32).view(2, 1, 3, 4) / 24


def test_predict_gets_a_float32_copy_in_rows_after_rows_whatever_the_memory_order():
    seen = []

    def spoil(images):
        seen.append((images.dtype, images.flags.c_contiguous, images.copy()))
        images[:] = 0
        return np.ones((len(images), 2))

    images = TWO.clone().contiguous(memory_format=torch.channels_last)
    BlackBox(spoil, "mine")(images)
    assert seen[0][:2] == (np.dtype(np.float32), True)
    np.testing.assert_array_equal(seen[0][2], TWO.numpy())
    torch.testing.assert_close(images, TWO)
    counts = iter((3, 4))  # of classes, which may not change between calls
    box = BlackBox(lambda x: np.ones((len(x), next(counts))), "mine")
    box(TWO)
    refused(r"shape \[2, 4\] for 2 images; needed: \[2, 3\]", box, TWO)
    one = BlackBox(lambda x: np.ones((len(x), 1)), "mine")
    refused(r"shape \[2, 1\] for 2 images; needed: \[2, classes\]", one, TWO)


NO_OUTPUTS = [
    (lambda _: {}["w"], r"mine: failed on images of shape \(2, 1, 3, 4\) with KeyError: 'w'; correct its code"),
    (lambda x: x.tolist(), r"mine: returned list; needed: a NumPy array \[2, 3\] of numbers; convert it"),
    (lambda x: torch.ones(len(x), 3), r"mine: returned Tensor; needed: a NumPy array"),
    (lambda x: np.full((len(x), 3), "cat"), r"mine: returned an array of <U3; needed: real numbers \[2, 3\]"),
    (lambda x: np.ones((len(x), 3), complex), r"mine: returned an array of complex128; needed: real numbers"),
    (lambda x: x[:, 0, 0, 0], r"mine: returned an array of shape \[2\] for 2 images; needed: \[2, 3\], one row"),
    (lambda _: np.ones((1, 3)), r"mine: returned an array of shape \[1, 3\] for 2 images; needed: \[2, 3\]"),
    (lambda x: np.ones((len(x), 4)), r"mine: returned an array of shape \[2, 4\] for 2 images; needed: \[2, 3\]"),
]


@pytest.mark.parametrize(("predict", "message"), NO_OUTPUTS)
def test_what_is_no_answer_is_named(predict, message):
    refused(message, BlackBox(predict, "mine", classes=3), TWO)
