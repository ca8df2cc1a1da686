"""Generated text for preset smoke: four domains of clearly different words, generic text and a task a domain.

English words in plain sentences, so that any tokenizer and any masked LM can read them. Everything follows from
the seed; nothing is downloaded or written.
"""

import random
import re
from functools import lru_cache

import pandas as pd

from helpers.data.toy_words import COMMON, MANNERS, TOPICS

CLASSES = 3  # the first topics of a domain are the classes of its task
_BEFORE_VOWEL = re.compile(r"\b(a) (?=[aeiou])")
_DOUBLES = re.compile("[^aeiou]+[aeiou][^aeiouwxy]")

_TEMPLATES = (
    "the {adjective} {noun} {verb_s} the {noun2} of the {actor}",
    "{actors} often {verb} the {adjective} {noun2}",
    "a {noun} was {verb_ed} {link} the {noun2} seemed {adjective}",
    "we found that {nouns} {verb} {common} {nouns2}",
    "the {actor} {verb_ed} the {common} {noun} {link} a {adjective} {noun2} appeared",
    "there were {number} {nouns} and {number2} {adjective} {nouns2} in the {plain}",
    "each {noun} {verb_s} one {common} {noun2} for every {actor}",
    "the {plain} of the {adjective} {noun} depends on the {noun2}",
)


@lru_cache(maxsize=16)
def domain_documents(name: str, documents: int = 400, seed: int = 0) -> tuple[str, ...]:
    """Documents of three to eight sentences, most of them on one of the domain's topics, all distinct."""
    draw = random.Random(f"{seed} domain {name}")
    topics = list(TOPICS[name])
    written: dict[str, None] = {}
    while len(written) < documents:
        topic = draw.choice(topics)
        lines = [
            _sentence(draw, name, topic if draw.random() < 0.85 else draw.choice(topics))
            for _ in range(draw.randint(3, 8))
        ]
        written[" ".join(lines)] = None
    return tuple(written)


def domain_texts(name: str, documents: int = 400, seed: int = 0) -> list[str]:
    """The documents of a toy domain: biomed, cs, news, reviews or generic."""
    return list(domain_documents(name, documents, seed))


def task_frames(name: str, train: int = 200, dev: int = 80, test: int = 80, seed: int = 0) -> dict[str, pd.DataFrame]:
    """{"train", "dev", "test": DataFrame(text, label)} of toy_biomed, toy_cs, toy_news or toy_reviews.

    A text has two sentences: one on the topic that is its label, the other on a topic of the task. No sentence
    occurs twice in the task or anywhere in the domain's documents.
    """
    domain = name.removeprefix("toy_")
    draw = random.Random(f"{seed} task {name}")
    topics = list(TOPICS[domain])[:CLASSES]
    taken = {line for document in domain_documents(domain, seed=seed) for line in _split(document)}

    def fresh(topic: str) -> str:
        while True:
            line = _sentence(draw, domain, topic)
            if line not in taken:
                taken.add(line)
                return line

    rows = []
    for number in range(train + dev + test):
        label = topics[number % CLASSES]
        second = label if draw.random() < 0.6 else draw.choice(topics)
        rows.append({"text": f"{fresh(label)} {fresh(second)}", "label": label})
    draw.shuffle(rows)
    table = pd.DataFrame(rows, dtype=object)
    cuts = {"train": (0, train), "dev": (train, train + dev), "test": (train + dev, len(rows))}
    return {split: table.iloc[low:high].reset_index(drop=True) for split, (low, high) in cuts.items()}


def _plural(word: str) -> str:
    """A noun's plural, and a verb's third person, which English spells alike."""
    if word.endswith(("s", "sh", "ch", "x", "z")):
        return word + "es"
    return word[:-1] + "ies" if word[-1] == "y" and word[-2] not in "aeiou" else word + "s"


def _past(word: str) -> str:
    if word.endswith("e"):
        return word + "d"
    if word[-1] == "y" and word[-2] not in "aeiou":
        return word[:-1] + "ied"
    # One syllable that ends in one vowel and one consonant doubles it: plug, plugged.
    return word + word[-1] + "ed" if _DOUBLES.fullmatch(word) else word + "ed"


def _split(document: str) -> list[str]:
    return [line + "." for line in document.removesuffix(".").split(". ")]


@lru_cache
def _words(domain: str, topic: str) -> tuple[list[str], list[str], list[str]]:
    nouns, verbs, adjectives = (part.split() for part in TOPICS[domain][topic].split("|"))
    return nouns, verbs, adjectives


def _sentence(draw: random.Random, domain: str, topic: str) -> str:
    nouns, verbs, adjectives = _words(domain, topic)
    actors, openings = MANNERS[domain]
    noun, noun2 = draw.sample(nouns, 2)
    verb, actor = draw.choice(verbs), draw.choice(actors.split())
    number, number2 = draw.sample(range(2, 100), 2)
    line = draw.choice(_TEMPLATES).format(
        noun=noun, noun2=noun2, nouns=_plural(noun), nouns2=_plural(noun2), verb=verb, verb_s=_plural(verb),
        verb_ed=_past(verb), adjective=draw.choice(adjectives), actor=actor, actors=_plural(actor),
        number=number, number2=number2, common=draw.choice(COMMON["adjectives"].split()),
        plain=draw.choice(COMMON["nouns"].split()), link=draw.choice(COMMON["links"].split()),
    )  # fmt: skip
    line = _BEFORE_VOWEL.sub(r"\1n ", line)
    if draw.random() < 0.4:
        return f"{draw.choice(openings.split('|'))} {line}."
    return f"{line[0].upper()}{line[1:]}."
