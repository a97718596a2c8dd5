"""sentencepiece BPE (Kudo and Richardson 2018): characters, what often stands side by side, and bytes for the characters it has no piece of.

In: texts. Out: the tokenizer's files:

| file | |
|---|---|
| tokenizer.model | what sentencepiece reads; no path and no name of a machine is in it |
| tokenizer.json, tokenizer_config.json | the same for Hugging Face's transformers (sentence_piece_json.py) |

| ids | stand for |
|---|---|
| 0 .. 13 | reserved tokens, control symbols: no text becomes one |
| 14 | `<unk>`, which byte fallback leaves without use |
| 15 .. 270 | the 256 bytes |
| 271 .. | merges, the most frequent first; then single characters |

Nothing is normalised, no space is put before a text, white space is as it was. llama.cpp gives the same ids where a GGUF file says model
`llama` and `add_space_prefix` false. One text does not come back as it was: sentencepiece writes a space as U+2581 (▁), so a ▁ in a text
becomes a space.
"""

import io
import re
from collections.abc import Iterable, Iterator

import sentencepiece

from models.tokenizer.configuration import configuration
from models.tokenizer.plain import plain
from models.tokenizer.reserved import END, PAD, RESERVED, START
from models.tokenizer.sentence_piece_json import tokenizer_json
from models.unusable import Unusable

SMALLEST = len(RESERVED) + 1 + 256
LONGEST = 1000
"""Characters of a piece of text that the trainer is given; a word longer than this is cut."""
_LINE = re.compile(r"\n*[^\n]+|\n+")
_TOO_MANY = re.compile(r"Vocabulary size too high \(\d+\)\. Please set it to a value <= (\d+)")
_TOO_FEW = re.compile(r"smaller than required_chars\. \d+ vs (\d+)")


def train(texts: Iterable[str], size: int, split_digits: bool = True, coverage: float = 0.9995) -> dict[str, bytes]:
    """Files by name, of a vocabulary of exactly `size`; `coverage` of the characters of the texts get a piece of their own.

    Raises Unusable where the texts do not give as many pieces, or have more characters than that.
    """
    model = io.BytesIO()
    given = _Sentences(texts)
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(given),
            model_writer=model,
            model_type="bpe",
            vocab_size=size,
            byte_fallback=True,
            character_coverage=coverage,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            add_dummy_prefix=False,
            allow_whitespace_only_pieces=True,
            split_digits=split_digits,
            pad_id=RESERVED.index(PAD),
            pad_piece=PAD,
            bos_id=RESERVED.index(START),
            bos_piece=START,
            eos_id=RESERVED.index(END),
            eos_piece=END,
            unk_id=len(RESERVED),
            control_symbols=[name for name in RESERVED if name not in (PAD, START, END)],
            max_sentence_length=16 * LONGEST,
            num_threads=1,  # it is written into the model
            minloglevel=2,
        )
    except RuntimeError as error:
        raise given.error or _explained(error, size) from error
    files = {"tokenizer.model": model.getvalue(), **configuration()}
    return files | {"tokenizer.json": tokenizer_json(sentencepiece.SentencePieceProcessor(model_proto=model.getvalue()))}


class _Sentences:
    """What the trainer takes for sentences: lines, each with the newlines before it (it would cut off those behind), in short pieces.

    An error in the texts' iterator, of which the trainer would leave nothing but its message, is kept in `error`.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts = texts
        self.error: Exception | None = None

    def __iter__(self) -> Iterator[str]:
        try:
            for text in self.texts:
                for line in _LINE.finditer(plain(text)):
                    for at in range(line.start(), line.end(), LONGEST):
                        yield text[at : min(at + LONGEST, line.end())]
        except Exception as error:
            self.error = error
            raise


def _explained(error: RuntimeError, size: int) -> Exception:
    if few := _TOO_MANY.search(str(error)):
        return Unusable(
            f"the text gives a vocabulary of {int(few[1]):,} pieces at most, expected {size:,}; lower `size` to {int(few[1]):,} or less, "
            "or give more text"
        )
    if many := _TOO_FEW.search(str(error)):
        return Unusable(
            f"a sentencepiece vocabulary of {size:,} is too small: reserved tokens, bytes and the characters of this text are "
            f"{int(many[1]):,}; raise `size` to that or more, or lower `coverage`: rare characters are then spelled in bytes"
        )
    if "sentences_.empty()" in str(error):
        return Unusable("there is no text to make a vocabulary of; expected a document or more")
    return error
