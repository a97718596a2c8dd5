"""What every process of the job of `reward_model` does, and the reward model as a method of the training loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import torch
from torch import Tensor, nn

from models.alignment.preference import answers
from models.alignment.reward import RewardModel, centring, pair_loss, save_head
from models.transformer.lora import merge
from models.transformer.train import Loss, Row
from models.transformer.world import World, joined
from stages.alignment.comparisons import Comparison, Comparisons, comparisons, cut, spread
from stages.alignment.reward_model import CALIBRATION, CURVE, HELD_OUT, RewardModelConfig
from stages.alignment.reward_report import calibration, correlations, report
from stages.alignment.start import balance, begun, written
from stages.compute import Compute
from stages.posttraining.fitting import fit
from stages.pretraining.metrics import due, metrics_table
from stages.pretraining.progress import Progress
from stages.pretraining.start import exact
from storage.canonical import digest
from storage.problem import Problem
from storage.shards import encode


def work(inputs: Mapping[str, Any], out: Path, config: RewardModelConfig, compute: Compute) -> dict[str, Any]:
    """The stage's figures. Raises Problem and Unusable."""
    exact(compute)
    with joined(compute.device) as world:
        model, known, name = begun(inputs["model"], config, compute, world)
        given = comparisons(inputs["preferences"], known, model.shape.context, ranked=True)
        if not given.held_out:
            raise Problem(
                "found no held-out pair to measure the reward model by; expected rows with the split validation: keep a share of them"
            )
        reward = RewardModel(model).to(world.device)
        schedule = config.plan(len(given.train))
        method = RewardTraining(reward, given, config, compute, world, schedule.steps)
        made_of = {"data": given.digest, "settings": digest(config.model_dump(mode="json"), 16), "begun from": name}
        rows = fit(reward, method, schedule, made_of, out, config, compute, world, Progress(out, schedule.steps, "comparisons"))
        if config.lora is not None:
            merge(model)
        held_out = _held_out(given.held_out, method.scores(given.held_out))
        if world.rank:
            return {}
        written(out, model, known.tokenizer)
        save_head(reward, out)
        table = calibration(held_out, config.bins)
        curve = metrics_table([_named(row) for row in rows], CURVE)
        told = correlations(held_out, table)
        for file, frame, columns in (
            ("metrics", curve, CURVE),
            ("held_out", held_out, HELD_OUT),
            ("calibration", table, CALIBRATION),
        ):
            (out / f"{file}.parquet").write_bytes(encode(frame, columns))
        (out / "report.md").write_text(report(told, table), encoding="utf-8")
        computed = f"{world.device.type}, {world.size} x {compute.threads_each} threads, torch {torch.__version__}"
        return {"steps": schedule.steps, "comparisons": int(curve["comparisons"][-1]), **told, "computed_on": computed}


def _named(row: Row) -> Row:
    """The loop counts tokens; here these are comparisons."""
    names = {"tokens": "comparisons", "tokens_per_second": "comparisons_per_second"}
    return {names.get(name, name): value for name, value in row.items()}


class RewardTraining:
    def __init__(
        self, model: RewardModel, given: Comparisons, config: RewardModelConfig, compute: Compute, world: World, steps: int
    ) -> None:
        self.model, self.given, self.config, self.compute, self.world, self.steps = model, given, config, compute, world, steps
        self.drawn = 0
        if config.rows < world.size:
            raise Problem(f"{config.rows} rows a step for {world.size} processes; expected at least a row for each: raise `rows`")

    def batches(self, step: int) -> Sequence[list[Comparison]]:
        some = self.given.training(self.drawn, self.config.rows, self.config.seed)
        self.drawn += self.config.rows
        return self._cut(some)

    def loss(self, model: nn.Module, batch: list[Comparison]) -> Loss:
        scores = self._scored(model, batch)
        totals, extra, right, ahead, pairs = [], [], [], [], 0
        for comparison, scores_A in zip(batch, scores, strict=True):
            chosen_P, rejected_P, margin_P = self._sides(comparison, scores_A)
            totals.append(pair_loss(chosen_P, rejected_P, margin_P).mean())
            extra.append(centring(chosen_P, rejected_P).mean())
            right.append((chosen_P > rejected_P).sum())
            ahead.append((chosen_P - rejected_P).sum())
            pairs += len(chosen_P)
        count, weight = torch.tensor(len(batch), device=scores[0].device), torch.tensor(pairs, device=scores[0].device)
        auxiliary = self.config.centring * torch.stack(extra).sum()
        answers_read = [len(answer.prompt) + len(answer.completion) for one in batch for answer in one.answers]
        if (experts := balance(self.model.model, len(batch), len(answers_read) * max(answers_read))) is not None:
            auxiliary = auxiliary + experts
        measures = {"accuracy": (torch.stack(right).sum(), weight), "margin": (torch.stack(ahead).sum(), weight)}
        return Loss(torch.stack(totals).sum(), count, auxiliary, measures)

    def observe(self, step: int, seconds: float) -> Row:
        some = spread(self.given.held_out, self.config.validation_rows)
        if not some or not due(step, self.config.validation_every, self.steps):
            return {}
        sums = torch.zeros(4, dtype=torch.float64, device=self.world.device)
        with torch.no_grad():
            for batch in self._cut(some):
                found = self.loss(self.model, batch)
                right, pairs = found.measures["accuracy"]
                sums += torch.stack([found.total.double(), found.count.double(), right.double(), pairs.double()])
        total, count, right_sum, pair_sum = self.world.total(sums).tolist()
        return {"validation_loss": total / count, "validation_accuracy": right_sum / pair_sum}

    def state(self) -> dict[str, Any]:
        return {"drawn": self.drawn}

    def restore(self, state: dict[str, Any]) -> None:
        self.drawn = state["drawn"]

    def scores(self, some: Sequence[Comparison]) -> list[list[float]]:
        """Of the answers of each comparison, in order."""
        found: dict[tuple[str, ...], list[float]] = {}
        with torch.inference_mode():
            for batch in cut(some, self.model.model.shape, self.compute, World(0, 1, self.world.device)):
                for comparison, scores_A in zip(batch, self._scored(self.model, batch), strict=True):
                    found[comparison.ids] = scores_A.tolist()
        return [found[one.ids] for one in some]

    def _cut(self, some: Sequence[Comparison]) -> list[list[Comparison]]:
        return cut(some, self.model.model.shape, self.compute, self.world)

    def _scored(self, model: nn.Module, batch: list[Comparison]) -> list[Tensor]:
        every = answers([answer for one in batch for answer in one.answers]).to(self.world.device)
        scores_A: Tensor = model(every.tokens, every.last)
        return list(scores_A.split([len(one.answers) for one in batch]))

    def _sides(self, one: Comparison, scores_A: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        places_P2 = torch.tensor(one.pairs, device=scores_A.device)
        margin_P = None
        if self.config.margin:
            margin_P = self.config.margin * torch.tensor([margin or 0.0 for margin in one.margins], device=scores_A.device)
        return scores_A[places_P2[:, 0]], scores_A[places_P2[:, 1]], margin_P


def _held_out(some: Sequence[Comparison], scores: Sequence[Sequence[float]]) -> pl.DataFrame:
    rows = []
    for one, found in zip(some, scores, strict=True):
        for identity, margin, (chosen, rejected) in zip(one.ids, one.margins, one.pairs, strict=True):
            lengths = (len(one.answers[chosen].completion), len(one.answers[rejected].completion))
            rows.append((identity, found[chosen], found[rejected], *lengths, margin, found[chosen] > found[rejected]))
    return pl.DataFrame(rows, schema=HELD_OUT, orient="row")
