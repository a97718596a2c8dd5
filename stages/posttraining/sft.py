"""Supervised fine-tuning: rows of conversations and a model to a model that answers.

In: `rows`, an artifact of `layout`; `model`, a model folder with its tokenizer; `replay`, if given, an artifact of `pack` whose rows are
read beside, so that the model keeps what it knows; `compute`, where and how to run (stages/compute.py). Out, in `out`:

| file | |
|---|---|
| config.json, generation_config.json, model.safetensors, tokenizer files, chat_template.jinja | the model, a Hugging Face folder; adapters are merged; either stop token ends a generation |
| adapter/ | of a LoRA: the adapter alone, in PEFT's format, for the model that was given; GPT-2's has no such format |
| metrics.parquet | a row a step: METRICS, MIXTURE of a mixture of experts (stages/pretraining/metrics.py), REPLAY where text is replayed |
| samples.parquet | what it answers to fixed prompts: SAMPLES |
| experts.parquet | of a mixture of experts: EXPERTS, at each validation |

The loss is on what the assistant says, its calls and the end of its turn; conversations in a row do not see each other
(stages/posttraining/material.py). bits_per_byte and validation_loss are of held-out answers. The work is a job that may be killed at
any moment and goes on from its last checkpoint to the same weights, bit for bit, as pretraining does.

Sources: Ouyang et al. 2022 (InstructGPT; replay of pretraining text), Hu et al. 2021 (LoRA).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stages.compute import compute_of
from stages.job import run_job
from stages.posttraining.fine_tuning import FineTuning
from stages.stage import Stage


class SftConfig(FineTuning):
    """How a model is trained to answer."""


def run(inputs: Mapping[str, Any], out: Path, config: SftConfig) -> dict[str, Any]:
    """Have the job done; back: its figures. Raises Problem."""
    given = {name: value for name, value in inputs.items() if name != "compute"}
    return run_job("stages.posttraining.sft_training:work", given, out, config, compute_of(inputs.get("compute", {})))


SFT = Stage(name="sft", version=1, run=run, config=SftConfig, shape="whole")
