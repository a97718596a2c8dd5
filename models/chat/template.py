"""The renderer's layout as a Jinja chat template, for transformers, vLLM and llama.cpp.

In: messages as Hugging Face has them: role, content, and on the assistant's reasoning_content and tool_calls (one at a time, its
arguments a string: the expression or the query). Out: the text whose tokens, reserved names read as reserved tokens, are the
renderer's. That is where it falls short of the renderer: a reserved name that somebody typed becomes the token. Winnow itself never
goes this way.

It begins with `{{ bos_token }}`: by its layout llama.cpp takes it for phi-4's and would leave it out. Tools are listed in the system message;
a list in `tools` is refused rather than passed over. Source: transformers 5.23, utils/chat_template_utils.py.
"""

from pathlib import Path
from string import Template

from models.chat.conversation import ASSISTANT, ROLES, TOOL
from models.chat.renderer import CALLS
from models.tokenizer.reserved import RESULT, RESULT_END, SEPARATOR, THINK, THINK_END, TURN, TURN_END

FILE = "chat_template.jinja"

_LAYOUT = Template("""\
{{ bos_token }}
{%- if tools %}{{ raise_exception('tools are listed in the system message; expected no `tools`') }}{% endif %}
{%- set turn = namespace(open=false) %}
{%- for message in messages %}
{%- set content = message['content'] if message['content'] else '' %}
{%- set calls = message['tool_calls'] if message['tool_calls'] else [] %}
{%- if message['role'] not in $roles %}{{ raise_exception('unknown role ' ~ message['role']) }}{% endif %}
{%- if message['role'] == '$tool' %}
{%- if not turn.open %}{{ raise_exception('a result without a call') }}{% endif %}
{{- '$result' ~ content ~ '$result_end' }}
{%- else %}
{%- if not turn.open %}{{- '$turn' ~ message['role'] ~ '$separator' }}{% endif %}
{%- if message['reasoning_content'] is defined and message['reasoning_content'] is not none %}
{{- '$think' ~ message['reasoning_content'] ~ '$think_end' }}
{%- endif %}
{{- content }}
{%- if calls | length > 1 %}{{ raise_exception('several calls at once; expected each with its result') }}{% endif %}
{%- for call in calls %}
{%- set called = call['function'] if call['function'] else call %}
$calls
{%- else %}{{ raise_exception('unknown tool ' ~ called['name']) }}{% endif %}
{%- endfor %}
{%- if not calls %}{{- '$turn_end' }}{% endif %}
{%- set turn.open = calls | length > 0 %}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt and not turn.open %}{{- '$turn$assistant$separator' }}{% endif %}""")

_CALL = Template("""\
{%- $branch called['name'] == '$name' %}
{{- '$before' ~ called['arguments'] ~ '$after' }}""")


def template() -> str:
    """The text of chat_template.jinja."""
    calls = [
        _CALL.substitute(branch="elif" if place else "if", name=name, before=before, after=after)
        for place, (name, (before, after)) in enumerate(CALLS.items())
    ]
    return _LAYOUT.substitute(
        roles=list(ROLES), tool=TOOL, assistant=ASSISTANT, calls="\n".join(calls), turn=TURN, separator=SEPARATOR, turn_end=TURN_END,
        result=RESULT, result_end=RESULT_END, think=THINK, think_end=THINK_END,
    )  # fmt: skip


def save_template(folder: Path) -> None:
    """Write chat_template.jinja beside a tokenizer's files, where transformers looks for it."""
    (folder / FILE).write_text(template(), encoding="utf-8")
