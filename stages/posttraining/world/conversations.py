"""World conversations: a chat dataset about the simulated world, with the questions by which its effect is measured.

In: `crawl`, the artifact of `simulate`; `tokenizer`. Out: `conversations-00000.parquet` (train and validation) and `tests-00000.parquet`,
rows of the one schema (`stages/posttraining/conversations.py`; of the tests `split` is "test") and the columns of `world/made.py`. Both
go through `render`; `layout` takes no test rows. `names.json`: name, kind, split (known, train, test) and tokens of every name.

| kind | teaches | kept for tests |
|---|---|---|
| fact | questions and answers about people and towns | pairs (subject, attribute) |
| multi_turn | follow-ups without a name, facts after talk about anything | pairs |
| unknown | "I do not know." about who or what does not exist | names |
| arithmetic | sums worked in thoughts before the answer | problems |
| python | spelling, counting, large sums by the tool, where the system message lists it | words and sums |
| search | questions looked up, where it is listed; answers with a citation | pairs, names |
| idle | tools listed and not needed: no call | pairs |
| repeat | saying again what was said, made-up words and numbers | texts |
| identity | name, maker, what the assistant is | nothing: what is tested is that it is kept |

A tool is used where the system message lists it and only there: where `search` is listed, questions about the world are looked up.
The same inputs and config give the same bytes.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from models.chat.conversation import Message
from models.chat.renderer import render
from models.chat.tools.python import DESCRIPTION as COMPUTES
from models.chat.tools.tool import Tool, listing
from models.tokenizer.load import load
from models.tokenizer.tokenizer import Tokenizer
from stages.evaluation import facts as known_facts
from stages.evaluation.facts import Fact
from stages.posttraining.conversations import CONVERSATIONS, rows_of, splits
from stages.posttraining.world.arithmetic import STEPS, arithmetic
from stages.posttraining.world.computing import computing
from stages.posttraining.world.identity import Persona, behind, identity, small_talk
from stages.posttraining.world.known import divided, multi_turn, questions, refusals
from stages.posttraining.world.made import BESIDE, Made
from stages.posttraining.world.names import lengths, unknown
from stages.posttraining.world.repeating import repeating
from stages.posttraining.world.searching import Searching, searching, world_index, world_tool
from stages.posttraining.world.settings import Counts, WorldConversationsConfig
from stages.retrieval.tool import DESCRIPTION as FINDS
from stages.simulation.world import FOODS, GOODS, JOBS, PETS
from stages.stage import Input, Stage
from storage.problem import Problem
from storage.shards import encode

PYTHON = Tool("python", "expression", COMPUTES, lambda text: text)
SEARCH = Tool("search", "query", FINDS, lambda text: text)
"""As system messages list them; whoever chats brings ones that work."""
NAMES: dict[str, pl.DataType] = {
    "name": pl.String(),
    "kind": pl.String(),
    "split": pl.String(),  # known, train or test
    "tokens": pl.Int64(),
}


def run(inputs: Mapping[str, Any], out: Path, config: WorldConversationsConfig) -> dict[str, Any]:
    """Write both files. Back: conversations by kind, tests, and mean tokens of known and unknown names. Raises Problem where nothing
    can be asked about the world."""
    given: Input = inputs["tokenizer"]
    tokenizer = load(given.folder)
    every = known_facts.read(inputs["crawl"])
    facts = [fact for fact in every if fact.attribute in config.attributes]
    if not facts:
        raise Problem(
            f"the world has facts about {', '.join(sorted({fact.attribute for fact in every}))}, and none about "
            f"{', '.join(config.attributes) or 'nothing'}; expected one of those in `attributes`"
        )
    names = _names(every, tokenizer, config)
    tool = None
    if config.counts.search or config.tests:
        tool = world_tool(world_index(inputs["crawl"], out / ".world"), Searching(config.hits, config.characters))
    train = _Maker(facts, names, tokenizer, tool, config, test=False).all(config.counts)
    tests = _Maker(facts, names, tokenizer, tool, config, test=True).all(
        Counts(**dict.fromkeys(Counts.model_fields, config.tests))
    )
    schema = CONVERSATIONS | BESIDE
    chats, asked = _frame(train, "train", config), _frame(tests, "test", config)
    (out / "conversations-00000.parquet").write_bytes(encode(chats, schema))
    (out / "tests-00000.parquet").write_bytes(encode(asked, schema))
    (out / "names.json").write_text(names.write_json(), encoding="utf-8")
    counted = dict(chats.group_by("kind").len().sort("kind").iter_rows())
    means = dict(names.group_by("split").agg(pl.col("tokens").mean()).sort("split").iter_rows())
    return {"conversations": chats.height, "tests": asked.height, **counted} | {f"tokens_{k}": v for k, v in means.items()}


def _names(facts: Sequence[Fact], tokenizer: Tokenizer, config: WorldConversationsConfig) -> pl.DataFrame:
    """Known and unknown people and towns. What is a name or a word of the world already is not made up again."""
    taken = {word for fact in facts for word in (*fact.names, fact.value)}
    rows: list[tuple[str, str, str, int]] = []
    people, towns = (config.unknown_people, config.test_people), (config.unknown_towns, config.test_towns)
    for kind, counts in (("person", people), ("town", towns)):
        known = list(dict.fromkeys(name for fact in facts if fact.kind == kind for name in fact.names))
        if not known:
            continue
        made = unknown(kind, known, taken, counts, tokenizer, config.seed)
        for split, some in zip(("known", "train", "test"), (known, *made), strict=True):
            rows += [(name, kind, split, tokens) for name, tokens in zip(some, lengths(some, tokenizer), strict=True)]
    return pl.DataFrame(rows, schema=NAMES, orient="row")


class _Maker:
    """Makes the conversations of one side, training or tests."""

    def __init__(
        self,
        facts: Sequence[Fact],
        names: pl.DataFrame,
        tokenizer: Tokenizer,
        tool: Tool | None,
        config: WorldConversationsConfig,
        test: bool,
    ) -> None:
        self.config, self.test, self.tool, self.tokenizer = config, test, tool, tokenizer
        self.asked, self.never = divided(facts, config.never_asked, config.seed)
        mine = names.filter(pl.col("split") == ("test" if test else "train"))
        self.unknown = {str(kind): rows["name"].to_list() for (kind,), rows in mine.group_by("kind", maintain_order=True)}
        known = names.filter(pl.col("split") == "known")
        self.people = known.filter(pl.col("kind") == "person")["name"].to_list()
        # Words of the world alone would be learnt by heart: whoever spells a new one has to look at it.
        self.words = [*known["name"].to_list(), *JOBS, *PETS, *FOODS, *GOODS, *mine["name"].to_list()]
        self.persona = Persona(config.name, config.maker, config.what)
        who = self.persona.sentence
        self.computes, self.searches, self.both = (
            [f"{who}\n\n{listing(tools)}", listing(tools)] for tools in ([PYTHON], [SEARCH], [PYTHON, SEARCH])
        )

    def all(self, counts: Counts) -> list[Made]:
        makers: dict[str, Callable[[random.Random, int], list[Made]]] = {
            "fact": self.fact, "multi_turn": self.multi_turn, "unknown": self.refused, "arithmetic": self.arithmetic,
            "python": self.python, "search": self.search, "idle": self.idle, "repeat": self.repeat, "identity": self.identity,
        }  # fmt: skip
        made: list[Made] = []
        for kind, maker in makers.items():
            rng = random.Random(f"{self.config.seed} {'test' if self.test else 'train'} {kind}")
            made += maker(rng, getattr(counts, kind))
        return made

    def fact(self, rng: random.Random, count: int) -> list[Made]:
        made = questions(self.asked, "asked", rng, count)
        if self.test:
            made += questions(self.never, "never_asked", rng, count)
        return self.introduced(made, rng)

    def multi_turn(self, rng: random.Random, count: int) -> list[Made]:
        unknown = refusals(self.unknown, rng, count)
        others = [
            *questions(self.asked, "asked", rng, count),
            *unknown,
            *arithmetic(self.people, rng, 2 * count, self.test, (1, 2, 3)),
            *identity(self.persona, [""], rng, count),
            *small_talk([""], rng, count),
        ]
        made = self.introduced(multi_turn(self.asked, unknown, others, rng, 2 * count), rng)
        return [one for one in made if self.fits(one.messages)][:count]

    def refused(self, rng: random.Random, count: int) -> list[Made]:
        return self.introduced(refusals(self.unknown, rng, count), rng)

    def arithmetic(self, rng: random.Random, count: int) -> list[Made]:
        each = 4 if self.test else 1  # a rate for each number of steps
        steps = STEPS if self.test else self.config.steps
        return self.introduced(arithmetic(self.people, rng, count * each, self.test, steps), rng)

    def python(self, rng: random.Random, count: int) -> list[Made]:
        made = [
            one
            for number, systems in enumerate((self.computes, self.both))
            for system in systems
            for one in computing(self.words, system, rng, share(count, 2 * number + systems.index(system), 4), self.test)
        ]
        return [one for one in made if self.fits(one.messages)]

    def search(self, rng: random.Random, count: int) -> list[Made]:
        if self.tool is None:
            return []
        facts = self.never if self.test and self.never else self.asked
        systems = [*self.searches, *self.both]
        return searching(facts, self.unknown, self.tool, systems, rng, count, self.fits, made_up=not self.test)

    def idle(self, rng: random.Random, count: int) -> list[Made]:
        """Half are questions that are answered from memory, as only `python` is listed; the rest about the assistant and small talk."""
        facts = [
            Made(behind(rng.choice(self.computes), one.messages), "idle", "fact", one.expected, one.subject, one.attribute)
            for one in questions(self.never if self.test and self.never else self.asked, "asked", rng, share(count, 0, 2))
        ]
        listed = [*self.computes, *self.searches, *self.both]
        rest = count - len(facts)
        about = identity(self.persona, [one for one in listed if self.config.name in one], rng, rest // 2)
        return [
            *facts,
            *(Made(one.messages, "idle", "identity", one.expected) for one in about),
            *small_talk(listed, rng, rest - rest // 2),
        ]

    def repeat(self, rng: random.Random, count: int) -> list[Made]:
        return self.introduced(repeating(rng, count, self.test), rng)

    def identity(self, rng: random.Random, count: int) -> list[Made]:
        return identity(self.persona, ["", self.persona.sentence], rng, count)

    def introduced(self, made: Sequence[Made], rng: random.Random) -> list[Made]:
        """Some of them behind the sentence that says who the assistant is."""
        return [
            Made(
                behind(self.persona.sentence if rng.random() < self.config.system else "", one.messages),
                *(one.kind, one.part, one.expected, one.subject, one.attribute),
            )
            for one in made
        ]

    def fits(self, messages: Sequence[Message]) -> bool:
        return len(render(messages, self.tokenizer).tokens) <= self.config.longest


def share(count: int, place: int, places: int) -> int:
    """How many of `count` are the part of this place."""
    return count * (place + 1) // places - count * place // places


def _frame(made: Sequence[Made], split: str, config: WorldConversationsConfig) -> pl.DataFrame:
    """The rows; those of training shuffled, so that kinds mix."""
    numbered = [(f"{split}-{one.kind}-{number}", one) for number, one in enumerate(made)]
    if split == "train":
        random.Random(f"{config.seed} order").shuffle(numbered)
    division = splits([one.messages for _, one in numbered], config.validation) if split == "train" else [split] * len(made)
    return pl.DataFrame(
        {
            "id": [identity for identity, _ in numbered],
            "messages": [rows_of(one.messages) for _, one in numbered],
            "source": ["world"] * len(numbered),
            "split": division,
            **{name: [getattr(one, name) for _, one in numbered] for name in BESIDE},
        },
        schema=CONVERSATIONS | BESIDE,
    )


WORLD_CONVERSATIONS = Stage(
    name="world_conversations",
    version=4,
    run=run,
    config=WorldConversationsConfig,
    adds=CONVERSATIONS | BESIDE,
    shape="whole",
)
