"""What can be set in a flow, as lines for people and rows for programs."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python


@dataclass(frozen=True)
class Setting:
    name: str
    """As `--set` takes it: grpo.steps."""
    default: Any
    """This flow's own; null also where it must be given."""
    about: str

    def line(self) -> str:
        return f"{self.name}={json.dumps(self.default, ensure_ascii=False)}  {self.about}".rstrip()


def settings(model: type[BaseModel], own: BaseModel | None = None, before: str = "") -> Iterator[Setting]:
    """In the order of the form, sections after what they stand in. `own`: the flow's values, where they are not the model's."""
    for name, field in model.model_fields.items():
        value = getattr(own, name) if own else None if field.is_required() else field.get_default(call_default_factory=True)
        if isinstance(value, BaseModel):
            yield from settings(type(value), value, f"{before}{name}.")
        else:
            yield Setting(before + name, to_jsonable_python(value), " ".join((field.description or "").split()))


def printed(model: type[BaseModel], as_json: bool) -> str:
    found = [one for one in settings(model) if one.name != "store"]  # that is --store
    return json.dumps([asdict(one) for one in found]) if as_json else "\n".join(one.line() for one in found)
