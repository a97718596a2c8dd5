"""What a model had better have computed: spelling, counting letters, sums of many digits, through the tool `python`.

    How many letters r are in parrot?   <|python|>count('parrot', 'r')<|python_end|><|result|>2<|result_end|>2

A tokenizer hides letters from a model. Results are those of the tool itself. One word and one sum in eight are kept for tests.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from models.chat.conversation import ASSISTANT, PYTHON, TOOL, USER, Call, Message
from models.chat.tools.expression import evaluate
from stages.posttraining.world.made import Made, reserved

FORMS: dict[str, tuple[str, ...]] = {
    "spell": ("Spell {word}.", "How do you spell {word}?", "Spell the word {word}."),
    "count": ("How many letters {letter} are in {word}?", "How often is the letter {letter} in {word}?"),
    "length": ("How many letters does {word} have?", "How long is the word {word}?"),
    "sum": ("What is {a} {sign} {b}?", "Compute {a} {sign} {b}.", "How much is {a} {sign} {b}?"),
}
CALLS = {"spell": "spell('{word}')", "count": "count('{word}', '{letter}')", "length": "len('{word}')", "sum": "{a} {sign} {b}"}
SIGNS = ("+", "-", "*")


def computing(words: Sequence[str], system: str, rng: random.Random, count: int, test: bool) -> list[Made]:
    """As many of each form; `system` lists the tool."""
    mine = [word for word in sorted(set(words)) if reserved("word", word) == test]
    forms = [form for form in FORMS if mine or form == "sum"]
    return [_one(forms[number % len(forms)], mine, system, rng, test) for number in range(count)]


def _one(form: str, words: Sequence[str], system: str, rng: random.Random, test: bool) -> Made:
    slots = _sum(rng, test) if form == "sum" else _word(words, rng)
    call = CALLS[form].format(**slots)
    result = evaluate(call)
    messages = (
        Message("system", system),
        Message(USER, rng.choice(FORMS[form]).format(**slots)),
        Message(ASSISTANT, call=Call(PYTHON, call)),
        Message(TOOL, result),
        Message(ASSISTANT, result),
    )
    return Made(messages, "python", form, result)


def _sum(rng: random.Random, test: bool) -> dict[str, str]:
    while True:
        a, b, sign = rng.randint(30, 999), rng.randint(10, 99), rng.choice(SIGNS)
        if reserved("sum", a, sign, b) == test:
            return {"a": str(a), "b": str(b), "sign": sign}


def _word(words: Sequence[str], rng: random.Random) -> dict[str, str]:
    word = rng.choice(words)
    letters = sorted(set(word.lower())) if rng.random() < 0.8 else list("aeioulrst")
    return {"word": word, "letter": rng.choice(letters)}
