"""A folder to its tokenizer: Winnow's, or that of a foreign model in Hugging Face's format.

| found | read as |
|---|---|
| tokenizer.model that Winnow made | sentencepiece |
| tokenizer.json | byte-level BPE, or whatever BPE it holds |
| another tokenizer.model | sentencepiece |
"""

from collections.abc import Mapping
from pathlib import Path

from models.tokenizer import tokenizer_json, tokenizer_model
from models.tokenizer.roles import BESIDE, FILES
from models.tokenizer.tokenizer import Tokenizer
from models.unusable import Unusable

OWN = (tokenizer_model.FILE, tokenizer_json.FILE, *FILES, "chat_template.jinja")
"""Files of a tokenizer, in whatever folder."""


def load(folder: Path) -> Tokenizer:
    """Raises Unusable, naming the folder, where there is none or one that cannot be used."""
    if not folder.is_dir():
        raise Unusable(f"there is no folder {folder}; expected one with tokenizer.json or tokenizer.model")
    try:
        return made({name: (folder / name).read_bytes() for name in (*OWN, *BESIDE) if (folder / name).is_file()})
    except Unusable as error:
        raise Unusable(f"{folder}: {error}") from None


def made(files: Mapping[str, bytes]) -> Tokenizer:
    """From files by name: those of a folder, or those that training gave."""
    own = {name: data for name, data in files.items() if name in OWN}
    beside = {name: data for name, data in files.items() if name in BESIDE}
    if tokenizer_model.FILE in own and (tokenizer_json.FILE not in own or tokenizer_model.is_ours(own)):
        return tokenizer_model.tokenizer_model(own, beside)
    if tokenizer_json.FILE in own:
        return tokenizer_json.tokenizer_json(own, beside)
    raise Unusable(
        "no tokenizer is here; expected tokenizer.json or tokenizer.model. Where there are vocab.json and merges.txt alone, "
        "`AutoTokenizer.from_pretrained(folder).save_pretrained(folder)` of transformers makes a tokenizer.json"
    )
