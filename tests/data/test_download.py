"""Hub, repository and bucket, played by a server on this machine."""

import hashlib
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from helpers.data import TASKS, available, download, load_task
from helpers.data.hub import ask_hub
from helpers.errors import UserError

HYPERPARTISAN = {"train": 515, "dev": 65, "test": 65}


def rows(count, labels=("true", "false")):
    return [{"text": f"text {n}", "label": labels[n % len(labels)], "metadata": {}} for n in range(count)]


def lines(some):
    return "".join(json.dumps(row) + "\n" for row in some).encode()


@pytest.fixture
def server(monkeypatch):
    """A server that answers GET from .files, notes what it was asked in .asked, and stands for all three places."""
    files: dict[str, bytes] = {}
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            asked.append(self.path)
            body = files.get(self.path)
            self.send_response(200 if body is not None else 404)
            self.send_header("Content-Length", str(len(body or b"")))
            if body is None:
                self.send_header("X-Error-Code", "EntryNotFound")  # as the hub says it
            self.send_header("ETag", f'"{hashlib.sha256(body or b"").hexdigest()}"')
            self.send_header("X-Repo-Commit", 40 * "0")
            self.end_headers()
            return body or b""

        def do_GET(self):
            self.wfile.write(self.do_HEAD())

        def log_message(self, *arguments):
            pass

    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web.files, web.asked = files, asked
    base = f"http://127.0.0.1:{web.server_port}"
    monkeypatch.setenv("DSP_SCIBERT_URL", base + "/scibert")
    monkeypatch.setenv("HF_ENDPOINT", base + "/hub/")
    monkeypatch.setenv("DSP_BUCKET_URL", base + "/bucket")
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)  # read from the environment at its import
    monkeypatch.setattr(download, "_silent_hosts", set())
    threading.Thread(target=web.serve_forever, args=(0.01,), daemon=True).start()
    yield web
    web.shutdown()


def waiting(listener):
    """The connections made to a listening socket that were never accepted."""
    while True:
        try:
            yield listener.accept()[0]
        except BlockingIOError:
            return


def serve(server, pattern, sizes, **options):
    for split, count in sizes.items():
        server.files[pattern.format(split)] = lines(rows(count, **options))


def test_the_hub_answers_and_the_cache_answers_next_time(server):
    serve(server, "/hub/datasets/zapsdcn/hyperpartisan_news/resolve/main/hyperpartisan_news_{}.jsonl", HYPERPARTISAN)
    task = load_task("hyperpartisan_news")
    assert (len(task.train), len(task.dev), len(task.test)) == (515, 65, 65) and task.labels == ("false", "true")
    asked = len(server.asked)
    assert load_task("hyperpartisan_news").train.equals(task.train) and len(server.asked) == asked
    manifest = json.loads((download.get_task(TASKS["hyperpartisan_news"]) / "manifest.json").read_text())
    assert manifest["source"] == "hub zapsdcn" and manifest["files"]["dev"]["rows"] == 65
    assert available().set_index("what").loc["hyperpartisan_news", "rows"] == "515/65/65"


def test_the_bucket_serves_where_the_hub_has_nothing(server):
    serve(server, "/bucket/hyperpartisan_news/{}.jsonl", HYPERPARTISAN)
    assert len(load_task("hyperpartisan_news").test) == 65


def test_text_that_is_not_the_official_one_is_refused_and_the_next_place_asked(server):
    sizes = dict(zip(("train", "dev", "test"), TASKS["sciie"].paper_sizes, strict=True))
    labels = TASKS["sciie"].labels
    serve(server, "/scibert/data/text_classification/sciie-relation-extraction/{}.txt", sizes, labels=labels)
    with pytest.raises(UserError, match="allenai/scibert: train is not the official text.*hub zapsdcn.*answers 404"):
        load_task("sciie")
    serve(server, "/hub/datasets/zapsdcn/sciie/resolve/main/{}.jsonl", sizes, labels=labels)
    assert len(load_task("sciie").train) == 3219


def test_pinned_text_is_taken_whatever_its_spacing_and_further_keys(server, monkeypatch):
    sizes = dict(zip(("train", "dev", "test"), TASKS["sciie"].paper_sizes, strict=True))
    hashes = {}
    for split, count in sizes.items():
        some = rows(count, TASKS["sciie"].labels)
        hashes[split] = download.content_hash(download.pd.DataFrame(some))
        spaced = [row | {"text": row["text"].replace(" ", "  ") + "\n"} for row in some]
        server.files[f"/scibert/data/text_classification/sciie-relation-extraction/{split}.txt"] = lines(spaced)
    monkeypatch.setitem(download.CONTENT, "sciie", hashes)
    assert len(load_task("sciie").train) == 3219
    assert all(path.startswith("/scibert/") for path in server.asked)


@pytest.mark.parametrize(
    ("train", "said"),
    [
        (lines(rows(514)), "train has 514 rows, the paper 515"),
        (lines(rows(515, ("a", "b", "c"))), "3 labels, the paper has 2"),
        (b"<html>moved</html>", "train cannot be read"),
    ],
)
def test_what_is_not_as_the_paper_counts_it_is_not_kept(server, train, said):
    serve(server, "/bucket/hyperpartisan_news/{}.jsonl", HYPERPARTISAN)
    server.files["/bucket/hyperpartisan_news/train.jsonl"] = train
    with pytest.raises(UserError, match=said) as caught:
        load_task("hyperpartisan_news")
    assert "--data-dir" in str(caught.value) and not download.is_fetched(TASKS["hyperpartisan_news"])


def test_a_silent_host_is_asked_once(server, monkeypatch):
    with socket.socket() as listener:  # a port that accepts and never answers
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        silent = f"http://127.0.0.1:{listener.getsockname()[1]}"
        for variable in ("DSP_SCIBERT_URL", "HF_ENDPOINT", "DSP_BUCKET_URL"):
            monkeypatch.setenv(variable, silent)
        monkeypatch.setenv("DSP_TIMEOUT", "0.3")
        for name in ("chemprot", "imdb", "ag"):
            with pytest.raises(UserError, match="does not answer.*Ways out"):
                load_task(name)
        listener.setblocking(False)
        assert len(list(waiting(listener))) == 1  # of three tasks, each with two or three places on this host


def test_a_hub_that_hangs_up_is_one_place_that_refused(server, monkeypatch):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        threading.Thread(target=lambda: [listener.accept()[0].close() for _ in range(8)], daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{listener.getsockname()[1]}")
        serve(server, "/bucket/hyperpartisan_news/{}.jsonl", HYPERPARTISAN)
        assert len(load_task("hyperpartisan_news").test) == 65


def test_downloads_can_be_switched_off(server, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match="switched off"):
        load_task("ag")
    assert server.asked == []


def test_rct_sample_needs_its_training_rows_alone(server, monkeypatch):
    for name, sizes in (("rct", (40, 10, 10)), ("rct-sample", (5, 10, 10))):
        monkeypatch.setitem(TASKS, name, download.TaskSpec(**{**vars(TASKS[name]), "paper_sizes": sizes}))
    labels = ("a", "b", "c", "d", "e")
    serve(server, "/hub/datasets/zapsdcn/rct-20k/resolve/main/rct-20k_{}.jsonl", {"train": 40, "dev": 10, "test": 10},
          labels=labels)  # fmt: skip
    serve(server, "/bucket/rct-sample/{}.jsonl", {"train": 5}, labels=labels)
    task = load_task("rct-sample")
    assert (len(task.train), len(task.dev), len(task.test)) == (5, 10, 10)


def test_without_network_the_hub_is_asked_once_and_not_again_and_again(monkeypatch):
    tried = []

    class NoNetwork:
        def head(self, address, timeout):
            tried.append((address, timeout))
            raise ConnectionError("Name or service not known")

    monkeypatch.setattr("huggingface_hub.get_session", NoNetwork)
    with pytest.raises(OSError, match="^Name or service not known$"):
        ask_hub("https://huggingface.co", 2)
    assert tried == [("https://huggingface.co", 2)]
