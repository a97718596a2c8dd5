"""The value of an expression, by walking its syntax tree: what is not named here is not computed.

In: text. Out: text. Allowed are numbers, texts, lists and tuples of these, `+ - * / // % **`, `& | ^ ~ << >>` on whole numbers,
comparisons, `in`, `and or not`, `a if b else c`, places and slices, and calls of the functions in models/chat/tools/functions.py.
There are no attributes, methods, keywords, comprehensions, f-strings, assignments or names of any other kind; nothing is compiled or
executed. Sizes are bounded before and after every step, so the cost is bounded by the length of the text.
"""

from __future__ import annotations

import ast
import operator
import unicodedata  # noqa: F401  the parser needs it for names outside ASCII, when a process may open no file any more
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from models.chat.tools.bounds import CHARACTERS, ITEMS, Refused, bounded, narrow, within
from models.chat.tools.functions import CONSTANTS, FUNCTIONS, power
from models.chat.tools.tool import ERROR, LONGEST_ARGUMENT, LONGEST_RESULT, shortened

DEEPEST = 200

NUMERIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: power,
}
BITWISE: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
}
COMPARED: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda part, whole: part in whole,
    ast.NotIn: lambda part, whole: part not in whole,
}
UNARY: Mapping[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Not: operator.not_,
    ast.Invert: lambda value: -value - 1,  # of True, ~ is deprecated
}


def evaluate(text: str, longest: int = LONGEST_RESULT) -> str:
    """The value, written: a text as it is, all else as Python writes it. Never raises: what cannot be computed gives "error: " and why."""
    try:
        return shortened(written(value(parse(text))), longest)
    except ZeroDivisionError:
        reason = "division by zero"
    except SyntaxError as error:
        reason = f"not an expression: {error.msg}"
    except OverflowError:
        reason = "the number is too large"
    except (RecursionError, MemoryError):
        reason = "too deeply nested, or too large"
    except (Refused, TypeError, ValueError, IndexError) as error:
        reason = str(error) or type(error).__name__
    return shortened(f"{ERROR}{reason}", longest)


def written(result: Any) -> str:
    return result if isinstance(result, str) else repr(result)


def parse(text: str) -> ast.expr:
    """The tree. Raises Refused or SyntaxError; what the parser has to warn of is of no interest."""
    within(len(text), LONGEST_ARGUMENT, "characters in an expression")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(text.strip(), mode="eval").body
    level: list[ast.AST] = [tree]
    for _ in range(DEEPEST):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return tree
    raise Refused("too deeply nested")


def value(node: ast.expr) -> Any:
    """The bounded value of a tree. Raises Refused, and what Python's operators raise."""
    match node:
        case ast.Constant(value=bool() | int() | float() | str() as constant):
            result: Any = constant
        case ast.Name(id=name) if name in CONSTANTS:
            result = CONSTANTS[name]
        case ast.Name(id=name):
            raise Refused(f"{name!r:.40} is not defined" if name not in FUNCTIONS else f"{name} needs its arguments: {name}(...)")
        case ast.List(elts=items):
            result = [value(item) for item in items]
        case ast.Tuple(elts=items):
            result = tuple(value(item) for item in items)
        case ast.UnaryOp(op=op, operand=operand):
            result = UNARY[type(op)](value(operand))
        case ast.BinOp(left=left, op=op, right=right):
            result = _binary(op, value(left), value(right))
        case ast.Compare():
            result = _compared(node)
        case ast.BoolOp(op=op, values=values):
            result = value(values[0])
            for other in values[1:]:
                if bool(result) == isinstance(op, ast.Or):
                    break
                result = value(other)
        case ast.IfExp(test=test, body=body, orelse=otherwise):
            result = value(body) if value(test) else value(otherwise)
        case ast.Subscript(value=of, slice=place):
            result = _place(value(of), place)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            if name not in FUNCTIONS:
                raise Refused(f"there is no function {name!r:.40}")
            result = FUNCTIONS[name](*[value(argument) for argument in arguments])
        case ast.Call(func=ast.Name(), keywords=[_, *_]):
            raise Refused("arguments have no names here: give them in order")
        case ast.Call(func=ast.Attribute(attr=name)) | ast.Attribute(attr=name):
            raise Refused(f"there are no methods or attributes: found .{name:.40}; use functions, such as count(text, part)")
        case _:
            raise Refused(f"{type(node).__name__} is not allowed in an expression")
    return bounded(result)


def _binary(op: ast.operator, left: Any, right: Any) -> Any:
    if isinstance(left, int | float) and isinstance(right, int | float):
        if type(op) in NUMERIC:
            return NUMERIC[type(op)](left, right)
        if isinstance(op, ast.LShift) and isinstance(right, int):
            narrow(right)
        if type(op) in BITWISE:
            return BITWISE[type(op)](left, right)
    elif isinstance(op, ast.Add) and type(left) is type(right):
        return left + right
    elif isinstance(op, ast.Mult):
        for whole, times in ((left, right), (right, left)):
            if isinstance(times, int) and isinstance(whole, str | list | tuple):
                within(len(whole) * max(times, 0), CHARACTERS if isinstance(whole, str) else ITEMS, "characters or items")
                return whole * times
    raise Refused(f"no {type(op).__name__} of a {type(left).__name__} and a {type(right).__name__}")


def _compared(node: ast.Compare) -> bool:
    left = value(node.left)
    for op, comparator in zip(node.ops, node.comparators, strict=True):
        right = value(comparator)
        if type(op) not in COMPARED:
            raise Refused("compare with ==, !=, <, <=, >, >=, in, not in")
        if not COMPARED[type(op)](left, right):
            return False
        left = right
    return True


def _place(whole: Any, place: ast.expr) -> Any:
    if not isinstance(whole, str | list | tuple):
        raise Refused("only a text or a list has places")
    if isinstance(place, ast.Slice):
        ends = [None if end is None else value(end) for end in (place.lower, place.upper, place.step)]
        return whole[slice(*ends)]
    return whole[value(place)]
