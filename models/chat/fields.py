"""A message as a mapping, in the fields that Hugging Face's chat templates read and OpenAI's interface has.

| field | value |
|---|---|
| role, content | strings |
| reasoning_content | string: what the assistant thought; null mostly |
| tool_calls | a list of one {"type": "function", "function": {"name", "arguments"}}; null mostly. `arguments` is the expression or the query |
"""

from collections.abc import Mapping
from typing import Any

from models.chat.conversation import Call, Message
from models.unusable import Unusable


def fields(message: Message) -> dict[str, Any]:
    call = message.call
    calls = None if call is None else [{"type": "function", "function": {"name": call.tool, "arguments": call.text}}]
    return {"role": message.role, "content": message.content, "reasoning_content": message.thinking, "tool_calls": calls}


def message(fields: Mapping[str, Any]) -> Message:
    """The inverse of `fields`; what is missing is null. Raises Unusable where a message calls several tools at once."""
    calls = fields.get("tool_calls") or []
    if len(calls) > 1:
        raise Unusable(f"a message calls {len(calls)} tools at once; expected one call, its result, then the next")
    call = Call(calls[0]["function"]["name"], calls[0]["function"]["arguments"]) if calls else None
    return Message(fields["role"], fields.get("content") or "", fields.get("reasoning_content"), call)
