"""Ollama's Modelfile: which GGUF file, how chats are laid out, what ends a turn, sampling.

The layout of Winnow's own chats is written out in Ollama's template language (Go's); of a foreign model Ollama takes what it
knows from the file. The token that begins a document is put by the tokenizer. Source: Ollama, docs/modelfile.mdx and
docs/template.mdx."""

import json
from collections.abc import Mapping
from typing import Any

from models.tokenizer.reserved import SEPARATOR, TURN, TURN_END
from models.tokenizer.roles import is_winnow
from models.tokenizer.tokenizer import Tokenizer
from storage.problem import Problem

LAYOUT = f"{{{{- range .Messages }}}}{TURN}{{{{ .Role }}}}{SEPARATOR}{{{{ .Content }}}}{TURN_END}{{{{ end }}}}{TURN}assistant{SEPARATOR}"
COMPLETION = "{{ .Prompt }}"
"""Of a model that goes on with a text and knows no turns."""
MOST = 8192
"""Tokens of context that Ollama is told to keep room for, where the model has as many."""


def modelfile(
    file: str, tokenizer: Tokenizer, config: Mapping[str, Any], chats: bool, system: str, temperature: float, license: str
) -> str:
    """`config`: of config.json; `chats`: whether the model has a chat template."""
    if '"""' in system:
        raise Problem('the system message holds """, which a Modelfile has no way to say; expected another text')
    names = {number: name for name, number in tokenizer.special.items()}
    lines = [f"FROM ./{file}"]
    if is_winnow(tokenizer.special):
        lines.append(f'TEMPLATE """{LAYOUT if chats else COMPLETION}"""')
    if system:
        lines.append(f'SYSTEM """{system}"""')
    lines += [f"PARAMETER stop {json.dumps(names[stop])}" for stop in tokenizer.stops if stop in names]
    context = config.get("max_position_embeddings") or config.get("n_positions") or MOST
    lines += [f"PARAMETER temperature {temperature:g}", f"PARAMETER num_ctx {min(context, MOST)}"]
    if license:
        lines.append(f'LICENSE """{license}"""')
    return "\n".join(lines) + "\n"
