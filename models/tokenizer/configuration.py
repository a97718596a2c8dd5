"""tokenizer_config.json: which reserved tokens are what to Hugging Face's transformers, which reads tokenizer.json beside it."""

import json
from typing import Any

from models.tokenizer.reserved import END, PAD, START


def configuration() -> dict[str, bytes]:
    """The file by its name. Nothing is put before or after a text, and decoding changes no spaces."""
    document: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": START,
        "eos_token": END,
        "pad_token": PAD,
        "clean_up_tokenization_spaces": False,
        "model_max_length": 10**9,
    }
    return {"tokenizer_config.json": (json.dumps(document, indent=2) + "\n").encode()}
