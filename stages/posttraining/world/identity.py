"""Who the assistant is: what a system message says of it, and questions about it.

In: name, maker and what it is. The system message is one short sentence, for a small model's context is short:

    You are Winnow, a small language model, made by the Winnow project.

The questions come with that sentence, with tools listed below it, and without any of it, for a model keeps its identity by itself.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from models.chat.conversation import SYSTEM, Message
from stages.posttraining.world.made import Made, exchange

OTHERS = ("ChatGPT", "Alexa", "Siri", "Claude", "a human", "a search engine")

QUESTIONS: dict[str, tuple[tuple[str, str], ...]] = {
    "name": (
        ("Who are you?", "I am {name}, {what}."),
        ("What is your name?", "My name is {name}."),
        ("What are you called?", "I am called {name}."),
        ("Tell me your name.", "My name is {name}."),
        ("Are you {other}?", "No, I am {name}."),
        ("You are {other}, are you not?", "No, I am {name}."),
    ),
    "maker": (
        ("Who made you?", "I was made by {maker}."),
        ("Who is your maker?", "I was made by {maker}."),
        ("Where do you come from?", "I was made by {maker}."),
        ("Were you made by a company?", "I was made by {maker}."),
    ),
    "what": (
        ("What are you?", "I am {what}."),
        ("Are you a person?", "No, I am {what}."),
        ("What kind of thing are you?", "I am {what}."),
    ),
}
SMALL_TALK = (
    ("Hello.", "Hello! How can I help?"),
    ("Good morning.", "Hello! How can I help?"),
    ("Hi there!", "Hello! How can I help?"),
    ("Thank you.", "You are welcome."),
    ("Thanks a lot!", "You are welcome."),
    ("Goodbye.", "Goodbye!"),
    ("See you tomorrow.", "Goodbye!"),
)


@dataclass(frozen=True)
class Persona:
    name: str
    maker: str
    what: str

    @property
    def sentence(self) -> str:
        return f"You are {self.name}, {self.what}, made by {self.maker}."


def identity(persona: Persona, systems: Sequence[str], rng: random.Random, count: int) -> list[Made]:
    """`count` questions about the assistant, as many of each part, each behind one of `systems`; an empty one is none."""
    made = []
    parts = list(QUESTIONS)
    for number in range(count):
        part = parts[number % len(parts)]
        question, answer = rng.choice(QUESTIONS[part])
        slots = {"name": persona.name, "maker": persona.maker, "what": persona.what, "other": rng.choice(OTHERS)}
        messages = behind(rng.choice(systems), exchange(question.format(**slots), answer.format(**slots)))
        made.append(Made(messages, "identity", part, slots[part]))
    return made


def small_talk(systems: Sequence[str], rng: random.Random, count: int) -> list[Made]:
    made = []
    for _ in range(count):
        question, answer = rng.choice(SMALL_TALK)
        made.append(Made(behind(rng.choice(systems), exchange(question, answer)), "idle", "small_talk", answer))
    return made


def behind(system: str, messages: Sequence[Message]) -> tuple[Message, ...]:
    return (Message(SYSTEM, system), *messages) if system else tuple(messages)
