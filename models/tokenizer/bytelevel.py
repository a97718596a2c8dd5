"""Byte-level BPE (Sennrich et al. 2016; GPT-2, Radford et al. 2019): any text is bytes, and what often stands side by side becomes one token.

In: texts. Out: the tokenizer's files, which `models.tokenizer.load` and Hugging Face's transformers read:

| ids | stand for |
|---|---|
| 0 .. 13 | reserved tokens |
| 14 .. 269 | the 256 bytes |
| 270 .. V-1 | merges, the most frequent first |

Nothing is normalised: every text comes back as it was. The same texts give the same files, in whatever order they come and on however
many threads: pairs are merged by their count, then by their ids.
"""

import re
from collections.abc import Iterable, Iterator

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from models.tokenizer.configuration import configuration
from models.tokenizer.plain import plain
from models.tokenizer.pretokenizers import Pretokenizer, pretokenizer
from models.tokenizer.reserved import RESERVED
from models.unusable import Unusable

SMALLEST = len(RESERVED) + 256
LONGEST = 64
"""Bytes of a token: enough for any word, and for a run of spaces or dashes as wide as a page."""
_RUN = re.compile(r"(?<!\S)\S{1000,}|(?<!\s)\s{1000,}")
_CUT = 1000  # characters: what the trainer does with a word takes the square of its length


def train(texts: Iterable[str], size: int, pretokenizer_name: Pretokenizer = "qwen2") -> dict[str, bytes]:
    """Files by name, of a vocabulary of exactly `size`. Raises Unusable where the texts do not give as many."""
    if size < SMALLEST:
        raise Unusable(
            f"a byte-level vocabulary of {size:,} is too small: {len(RESERVED)} reserved tokens and 256 bytes are {SMALLEST}; "
            "raise `size`"
        )
    engine = Tokenizer(models.BPE())
    engine.pre_tokenizer = pretokenizer(pretokenizer_name)
    engine.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        show_progress=False,
        special_tokens=[AddedToken(name, special=True, normalized=False) for name in RESERVED],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=LONGEST,
    )
    engine.train_from_iterator(_pieces(texts), trainer)
    found = engine.get_vocab_size()
    if found < size:
        raise Unusable(
            f"the text gives a vocabulary of {found:,} tokens at most, expected {size:,}; lower `size` to {found:,} or less, or give more text"
        )
    return {"tokenizer.json": engine.to_str().encode(), **configuration()}


def _pieces(texts: Iterable[str]) -> Iterator[str]:
    """The texts, cut where there is no other end of a word for long."""
    for text in map(plain, texts):
        at = 0
        for run in _RUN.finditer(text):
            for end in range(run.start() + _CUT, run.end(), _CUT):
                yield text[at:end]
                at = end
        yield text[at:]
