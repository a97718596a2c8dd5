"""What every process of the job of `dpo` does, and DPO and IPO as a method of the training loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import torch
from torch import nn

from models.alignment.dpo import Sides, chosen_nll, dpo, ipo, margin
from models.alignment.preference import Answer, all_logprobs, answer_logprobs, answers
from models.formats.peft import save_adapter
from models.formats.pretrained import load_model
from models.tokenizer.tokenizer import Tokenizer
from models.transformer.generate import Request, generate
from models.transformer.lora import merge
from models.transformer.train import Loss, Row
from models.transformer.transformer import Transformer
from models.transformer.world import World, joined
from stages.alignment.comparisons import Comparison, Comparisons, comparisons, cut, spread
from stages.alignment.dpo import CURVE, DpoConfig
from stages.alignment.reference_logprobs import FILE, LOGPROBS
from stages.alignment.start import balance, begun, written
from stages.compute import Compute
from stages.posttraining.fitting import fit
from stages.pretraining.metrics import due, metrics_table
from stages.pretraining.progress import Progress
from stages.pretraining.start import DTYPES, exact, folder_of
from stages.stage import Input
from storage.canonical import digest
from storage.problem import Problem
from storage.shards import encode, read_parquet

Pair = tuple[float, float, int, int]
"""Log-probabilities of the chosen and the rejected answer under the reference, and their numbers of tokens."""


def work(inputs: Mapping[str, Any], out: Path, config: DpoConfig, compute: Compute) -> dict[str, Any]:
    """The stage's figures. Raises Problem and Unusable."""
    exact(compute)
    with joined(compute.device) as world:
        model, known, name = begun(inputs["model"], config, compute, world)
        given = comparisons(inputs["preferences"], known, model.shape.context, ranked=False)
        reference = referred(inputs["reference"], given)
        schedule = config.plan(len(given.train))
        folder = folder_of(inputs["model"])
        method = DpoTraining(model, given, reference, folder, known.tokenizer, config, compute, world, schedule.steps)
        made_of = {
            "data": given.digest,
            "reference": digest([reference[one.ids[0]] for one in given.train], 16),
            "settings": digest(config.model_dump(mode="json"), 16),
            "begun from": name,
        }
        rows = fit(model, method, schedule, made_of, out, config, compute, world, Progress(out, schedule.steps, "pairs"))
        if world.rank:
            return {}
        if config.lora is not None:
            if model.shape.family != "gpt2":
                save_adapter(model, out / "adapter")
            merge(model)
        written(out, model, known.tokenizer)
        named = {"tokens": "pairs", "tokens_per_second": "pairs_per_second"}  # the loop counts tokens; here these are pairs
        curve = metrics_table([{named.get(key, key): value for key, value in row.items()} for row in rows], CURVE)
        (out / "metrics.parquet").write_bytes(encode(curve, CURVE))
        last = {key: value for row in rows for key, value in row.items()}
        told = (
            "loss",
            "reward_margin",
            "accuracy",
            "validation_loss",
            "validation_margin",
            "validation_accuracy",
            "kl",
            "answer_tokens",
        )
        return {
            "steps": schedule.steps,
            "pairs": int(last["tokens"]),
            **{key: last[key] for key in told if key in last},
            "computed_on": f"{world.device.type}, {world.size} x {compute.threads_each} threads, torch {torch.__version__}",
        }


def referred(reference: Input, given: Comparisons) -> dict[str, Pair]:
    """By the pair's id. Raises Problem where the reference does not hold all of them, as they are."""
    if FILE not in reference.names:
        raise Problem(f"{reference.folder} holds no {FILE}; expected the artifact of the stage `reference_logprobs`")
    try:
        frames = [read_parquet(str(path), list(LOGPROBS)) for path in reference.shards]
    except (pa.ArrowInvalid, OSError, ValueError) as error:
        raise Problem(f"cannot read the reference's log-probabilities: {error}. Compute them anew") from error
    found: dict[str, Pair] = {row[0]: row[1:] for row in pl.concat(frames).iter_rows()}
    for one in [*given.train, *given.held_out]:
        counts = tuple(int(answers([one.answers[place]]).counts) for place in one.pairs[0])
        if one.ids[0] not in found or found[one.ids[0]][2:] != counts:
            raise Problem(
                f"the reference has no log-probabilities of the pair {one.ids[0]} as it is here; expected those of the same rendered preferences: "
                "compute them for these (reference_logprobs)"
            )
    return found


class DpoTraining:
    def __init__(
        self,
        model: Transformer,
        given: Comparisons,
        reference: Mapping[str, Pair],
        start: Path,
        tokenizer: Tokenizer,
        config: DpoConfig,
        compute: Compute,
        world: World,
        steps: int,
    ) -> None:
        """`start`: the folder of the model that the training begins from."""
        self.model, self.given, self.reference, self.start, self.tokenizer = model, given, reference, start, tokenizer
        self.config, self.compute, self.world, self.steps = config, compute, world, steps
        self.drawn = 0
        if config.rows < world.size:
            raise Problem(f"{config.rows} rows a step for {world.size} processes; expected at least a row for each: raise `rows`")

    def batches(self, step: int) -> Sequence[list[Comparison]]:
        some = self.given.training(self.drawn, self.config.rows, self.config.seed)
        self.drawn += self.config.rows
        return cut(some, self.model.shape, self.compute, self.world)

    def loss(self, model: nn.Module, batch: list[Comparison]) -> Loss:
        assert isinstance(model, Transformer)
        config, device = self.config, self.world.device
        sides = [[one.answers[one.pairs[0][place]] for one in batch] for place in (0, 1)]
        every = answers([*sides[0], *sides[1]]).to(device)
        logprobs, counts = answer_logprobs(model, every).chunk(2), every.counts.chunk(2)
        known = torch.tensor([self.reference[one.ids[0]][:2] for one in batch], dtype=torch.float64, device=device)
        chosen, rejected = (Sides(logprobs[place], known[:, place].to(logprobs[place].dtype), counts[place]) for place in (0, 1))
        h_P = margin(chosen, rejected, config.length_normalised)
        nll_P = chosen_nll(chosen)
        losses_P = dpo(h_P, config.beta, config.label_smoothing) if config.loss == "dpo" else ipo(h_P, config.beta)
        if config.chosen_nll:
            losses_P = losses_P + config.chosen_nll * nll_P
        count = torch.tensor(len(batch), device=device)
        told = {
            "reward_margin": config.beta * h_P,
            "accuracy": (h_P > 0).float(),
            "chosen_reward": config.beta * chosen.ratios(config.length_normalised),
            "rejected_reward": config.beta * rejected.ratios(config.length_normalised),
            "chosen_nll": nll_P,
        }
        measures = {name: (values_P.sum(), count) for name, values_P in told.items()}
        return Loss(losses_P.sum(), count, balance(model, len(batch), every.tokens.numel()), measures)

    def observe(self, step: int, seconds: float) -> Row:
        if not due(step, self.config.validation_every, self.steps):
            return {}
        row: Row = {}
        if some := spread(self.given.held_out, self.config.validation_rows):
            sums = torch.zeros(4, dtype=torch.float64, device=self.world.device)
            with torch.no_grad():
                for batch in cut(some, self.model.shape, self.compute, self.world):
                    found = self.loss(self.model, batch)
                    means = [found.measures[name][0].double() for name in ("reward_margin", "accuracy")]
                    sums += torch.stack([found.total.double(), *means, found.count.double()])
            *totals, count = self.world.total(sums).tolist()
            names = ("validation_loss", "validation_margin", "validation_accuracy")
            row |= {name: total / count for name, total in zip(names, totals, strict=True)}
        if self.world.rank == 0 and self.config.kl_answers and self.given.held_out:
            row |= self._kl()
        return row

    def _kl(self) -> Row:
        """Of answers that are drawn anew from the model; the starting model is read from its folder for as long as it is needed."""
        config = self.config
        prompts = [one.answers[0].prompt for one in spread(self.given.held_out, config.kl_answers)]
        context = self.model.shape.context
        requests = [
            Request([int(token) for token in prompt], config.kl_tokens, stops=self.tokenizer.stops, seed=config.seed + place)
            for place, prompt in enumerate(prompts)
            if len(prompt) < context
        ]
        drawn = [
            Answer(request.prompt, done.tokens) for request, done in zip(requests, generate(self.model, requests), strict=True)
        ]
        start = load_model(self.start, DTYPES[config.dtype], self.world.device)
        apart = [now - then for now, then in zip(all_logprobs(self.model, drawn), all_logprobs(start, drawn), strict=True)]
        lengths = [len(one.completion) for one in drawn]
        return {"kl": sum(apart) / len(apart), "answer_tokens": sum(lengths) / len(lengths)}

    def state(self) -> dict[str, Any]:
        return {"drawn": self.drawn}

    def restore(self, state: dict[str, Any]) -> None:
        self.drawn = state["drawn"]
