import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.chat.tools.bounds import CHARACTERS, DIGITS, ITEMS
from models.chat.tools.expression import evaluate
from models.chat.tools.functions import CONSTANTS, FUNCTIONS


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("1 + 2 * 3", "7"),
        ("  (1 + 2) * 3\n", "9"),
        ("7 / 2", "3.5"),
        ("7 // 2, 7 % 2, -7 // 2", "(3, 1, -4)"),
        ("2 ** 10", "1024"),
        ("2 ** -1", "0.5"),
        ("-2 ** 2", "-4"),
        ("10 ** 30 + 1", "1" + "0" * 29 + "1"),
        ("1_000 * 3", "3000"),
        ("0x10 + 0b11", "19"),
        ("6 & 3 | 8 ^ 1", "11"),
        ("~5 << 2 >> 1", "-12"),
        ("1 < 2 <= 2 != 3", "True"),
        ("3 > 2 > 2", "False"),
        ("not 0 and 5", "5"),
        ("0 or 'no'", "no"),
        ("0 and 1 / 0", "0"),
        ("1 if 2 > 1 else 1 / 0", "1"),
        ("'r' in 'strawberry'", "True"),
        ("4 not in [1, 2]", "True"),
        ("'ha' * 3 + '!'", "hahaha!"),
        ("2 * [0, 'a']", "[0, 'a', 0, 'a']"),
        ("'strawberry'[::-1]", "yrrebwarts"),
        ("'strawberry'[0] + [1, 2, 3][-1:1:-1][0] * 'x'", "sxxx"),
        ("count('strawberry', 'r')", "3"),
        ("spell('owl')", "o-w-l"),
        ("letter('owl', 1), letter('owl', 3)", "('o', 'l')"),
        ("len(letters('owl')) + len(words('a b c'))", "6"),
        ("upper('owl') + lower('OWL') + title('owl')", "OWLowlOwl"),
        ("reverse('owl') + str(reverse([1, 2]))", "lwo[2, 1]"),
        ("join(sorted('owl'), '+')", "l+o+w"),
        ("replace('a-b', '-', '+')", "a+b"),
        ("find('owl', 'l'), find([5, 6], 6), find('owl', 'x')", "(2, 1, -1)"),
        ("startswith('owl', 'o') and endswith('owl', 'l')", "True"),
        ("sum(range(101))", "5050"),
        ("mean([1, 2, 6])", "3.0"),
        ("round(2 / 3, 2), round(7.5), round(1234, -2)", "(0.67, 8, 1200)"),
        ("max(3, 4), min([3, 4]), abs(-3)", "(4, 3, 3)"),
        ("sqrt(2) == 2 ** 0.5", "True"),
        ("round(sin(pi / 2) + log(e) + log2(8) + log10(100))", "7"),
        ("factorial(5), comb(5, 2), perm(5, 2), gcd(12, 18), lcm(4, 6)", "(120, 10, 20, 6, 12)"),
        ("divmod(17, 5)", "(3, 2)"),
        ("int('12') + int(2.9) + float('0.5')", "14.5"),
        ("str(12) + '!'", "12!"),
        ("ord('a'), chr(98), bin(5), hex(255)", "(97, 'b', '0b101', '0xff')"),
        ("any([0, 1]), all([0, 1])", "(True, False)"),
        ("'é' * 2 + '日本'", "éé日本"),
        ("ａｂｓ(-1)", "1"),  # Python reads names in their compatibility form
        ("1 # one", "1"),
        ("+".join(map(str, range(1, 101))), "5050"),
    ],
)
def test_an_expression_has_the_value_that_python_gives_it(text: str, result: str) -> None:
    assert evaluate(text) == result


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1 / 0", "division by zero"),
        ("5 % 0.0", "division by zero"),
        ("", "not an expression"),
        ("1 +", "not an expression"),
        ("import os", "not an expression"),
        ("x = 1", "not an expression"),
        ("1; 2", "not an expression"),
        ("1\x00", "not an expression"),
        ("x", "'x' is not defined"),
        ("__builtins__", "'__builtins__' is not defined"),
        ("abs", "abs needs its arguments"),
        ("__import__('os')", "there is no function '__import__'"),
        ("eval('1')", "there is no function 'eval'"),
        ("open('/etc/passwd')", "there is no function 'open'"),
        ("getattr(1, 'real')", "there is no function 'getattr'"),
        ("().__class__", "no methods or attributes: found .__class__"),
        ("(1).real", "no methods or attributes"),
        ("'x'.upper()", "no methods or attributes: found .upper"),
        ("abs.__self__", "no methods or attributes"),
        ("(lambda: 1)()", "Call is not allowed"),
        ("lambda: 1", "Lambda is not allowed"),
        ("abs(1)(2)", "Call is not allowed"),
        ("[abs][0](1)", "Call is not allowed"),
        ("(x := 1)", "NamedExpr is not allowed"),
        ("[i for i in range(9)]", "ListComp is not allowed"),
        ("sum(i for i in range(9))", "GeneratorExp is not allowed"),
        ("{i for i in 'ab'}", "SetComp is not allowed"),
        ("{1: 2}", "Dict is not allowed"),
        ("{1}", "Set is not allowed"),
        ("f'{1}'", "JoinedStr is not allowed"),
        ("f'{1:>1000000000}'", "JoinedStr is not allowed"),
        ("abs(*[1])", "Starred is not allowed"),
        ("sorted([1], reverse=True)", "arguments have no names"),
        ("(yield 1)", "Yield is not allowed"),
        ("await abs(1)", "Await is not allowed"),
        ("1j", "Constant is not allowed"),
        ("b'x'", "Constant is not allowed"),
        ("None", "Constant is not allowed"),
        ("...", "Constant is not allowed"),
        ("1 is 1", "compare with"),
        ("'%1000000000d' % 1", "no Mod of a str and a int"),
        ("'a' + 1", "no Add of a str and a int"),
        ("[1] + 'a'", "no Add of a list and a str"),
        ("1.5 << 1", "unsupported operand"),
        ("'a' - 'b'", "no Sub of a str and a str"),
        ("-'a'", "bad operand type"),
        ("1 < 'a'", "not supported between"),
        ("sorted([1, 'a'])", "not supported between"),
        ("5[0]", "only a text or a list has places"),
        ("'abc'[9]", "out of range"),
        ("'abc'[::0]", "cannot be zero"),
        ("(-8) ** 0.5", "not a real number"),
        ("log(0)", "domain error"),
        ("int('x')", "invalid literal"),
        ("float('nan')", "not finite"),
        ("1e308 * 10", "not finite"),
        ("0.0 ** -1", "division by zero"),
        ("exp(1000)", "too large"),
        ("sin(10 ** 999)", "too large"),
        ("min()", "at least 1 argument"),
        ("letter('owl', 4)", "no letter 4"),
        ("mean([])", "mean of nothing"),
        ("upper(1)", "expected a text"),
        ("count(1, 1)", "expected a text or a list"),
    ],
)
def test_what_is_not_allowed_or_has_no_value_is_an_error_that_can_be_read(text: str, reason: str) -> None:
    assert evaluate(text).startswith("error: ")
    assert reason in evaluate(text)


BOMBS = [
    "9**9**9",
    "2**10**30",
    "(10**999) ** (10**999)",
    "(-9)**9**9",
    "pow(9, pow(9, 9))",
    "10**1000",
    "10**999 * 10**999",
    "1 << 10**9",
    "1 << (1 << 4000)",
    "factorial(10**9)",
    "factorial(10**30)",
    "factorial(1000)",
    "comb(10**9, 5 * 10**8)",
    "perm(10**9, 10**9)",
    "perm(4000)",
    "round(5, -10**9)",
    "round(5, 10**9)",
    "'a' * 10**9",
    "10**9 * 'a'",
    "'a' * 10**30",
    "[1] * 10**9",
    "(1,) * 10**9",
    "[[1] * 1000] * 1000",
    "['a' * 10000] * 1000",
    "[10**999] * 1000",
    "range(10**9)",
    "range(10**30)",
    "range(0, 10**30, 2)",
    "replace('a' * 10000, 'a', 'b' * 10000)",
    "replace('a' * 10000, '', 'b' * 10000)",
    "join([1] * 1000, 'a' * 10000)",
    "spell('a' * 10000)",
    "letters('a' * 10000)",
    "sorted('a' * 10000)",
    "prod([10**999] * 9)",
    "lcm(" + ", ".join(f"10**999-{i}" for i in range(80)) + ")",
    "int('9' * 5000)",
    "int('9' * 1001)",
    "'\\ud800'",
    "chr(0xdfff)",
    "'[' * 100000",
    "(" * 100_000 + "1" + ")" * 100_000,
    "(" * 400 + "1" + ")" * 400,
    "[" * 90 + "1" + "]" * 90,
    "-" * 900 + "1",
    "not " * 240 + "1",
    "1" + "+1" * 490,
    "1" + "**1" * 300,
    "'" + "a" * 1_000_000 + "'",
    "\n" * 1_000_000 + "1 +",
    "9" * 5000,
    "1" + "\t" * 600 + "\f\v" * 100 + "²",
    "a\u0301\u200b" * 200,
    "\u202e1+1\u202c",
]


@pytest.mark.parametrize("text", BOMBS, ids=[f"{bomb[:24]!a}" for bomb in BOMBS])
def test_what_would_take_long_or_grow_large_is_refused(text: str) -> None:
    assert evaluate(text).startswith("error: ")
    assert len(evaluate(text)) < 200


@pytest.mark.parametrize("text", [f"10**{DIGITS - 1}", f"'a' * {CHARACTERS}", f"[1] * {ITEMS}", f"range({ITEMS})", "2**3320"])
def test_what_is_just_within_bounds_is_computed_and_a_long_result_is_cut(text: str) -> None:
    result = evaluate(text, longest=200)
    assert not result.startswith("error")
    assert len(result) == 200
    assert result.endswith(" characters)")


def test_a_result_of_just_the_length_is_whole() -> None:
    assert evaluate("'a' * 200", longest=200) == "a" * 200
    assert len(evaluate("'a' * 201", longest=200)) == 200


EXPRESSIONS = st.recursive(
    st.one_of(
        st.integers(-(10**6), 10**40).map(str),
        st.floats(allow_nan=False, allow_infinity=False).map(repr),
        st.text(max_size=5).map(repr),
        st.sampled_from(["True", *CONSTANTS, "[]", "()", "10**900", "'ab' * 4000", "range(1000)"]),
    ),
    lambda inner: st.one_of(
        st.tuples(
            inner,
            st.sampled_from(["+", "-", "*", "/", "//", "%", "**", "&", "|", "^", "<<", ">>", "<", "==", "in", "and", "or"]),
            inner,
        )
        .map(" ".join)
        .map("({})".format),
        st.tuples(st.sampled_from(["-", "~", "not ", "+"]), inner).map("".join).map("({})".format),
        st.tuples(st.sampled_from(sorted(FUNCTIONS)), st.lists(inner, max_size=3).map(", ".join)).map(
            lambda made: f"{made[0]}({made[1]})"
        ),
        st.tuples(inner, inner).map(lambda made: f"{made[0]}[{made[1]}]"),
        st.lists(inner, max_size=3).map(", ".join).map("[{}]".format),
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(EXPRESSIONS)
def test_any_expression_gives_a_bounded_result_and_raises_nothing(text: str) -> None:
    assert len(evaluate(text, longest=300)) <= 300


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60))
def test_any_text_gives_a_bounded_result_and_raises_nothing(text: str) -> None:
    assert len(evaluate(text, longest=300)) <= 300


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("+-*"), st.integers(-99, 99)), max_size=20))
def test_chains_of_whole_numbers_are_exact(steps: list[tuple[str, int]]) -> None:
    expected, text = 7, "7"
    for op, number in steps:
        expected = {"+": expected + number, "-": expected - number, "*": expected * number}[op]
        text = f"({text}) {op} {number}"
    assert evaluate(text) == str(expected)
