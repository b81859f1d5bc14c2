import math
import time

import pytest

from comity import errors, strict_json


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (
            b' {"a": [1, -2.5, 1e3, true, false, null, "\xc3\xa9"]} ',
            {"a": [1, -2.5, 1000.0, True, False, None, "é"]},
        ),
        (b'"\\ud83d\\ude00"', "😀"),
        (b'{"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]}', {"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]}),
        (b"[18446744073709551615, -9223372036854775808]", [2**64 - 1, -(2**63)]),
        (b"1e-400", 0.0),
        (b'"\\\\ud800"', "\\ud800"),
        (b'""', ""),
    ],
)
def test_json_is_read(body, value):
    assert strict_json.decode(body) == value


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not JSON: Expecting value at line 1 column 1"),
        (b"{", "not JSON"),
        (b'{"a": 1,\n "b": }', "at line 2 column 7"),
        (b"{'a': 1}", "not JSON"),
        (b'{"a": 1,}', "not JSON"),
        (b"[1] [2]", "Extra data"),
        (b'{"a": 1} // x', "Extra data"),
        (b"01", "Extra data"),
        (b"+1", "not JSON"),
        (b'"a\nb"', "Invalid control character"),
        (b'"\\x"', "Invalid \\\\escape"),
        (b'"\\u12"', "Invalid \\\\uXXXX escape"),
        (b"NaN", "NaN is not a JSON number"),
        (b'{"a": [-Infinity]}', "-Infinity is not a JSON number"),
        (b"Infinity", "Infinity is not"),
        (b"1e400", "the number 1e400 is too large"),
        (b"-1e999", "too large"),
        (b"18446744073709551616", "the number 18446744073709551616 is too large"),
        (b"-9223372036854775809", "too large"),
        (b"9" * 5000, "too many digits"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b"\xff", "not valid UTF-8: invalid start byte"),
        (b'"\xed\xa0\x80"', "not valid UTF-8"),
        (b'{"\\ud800": 1}', "not valid UTF-8: surrogates not allowed"),
        (b'["\\udc00\\ud83d"]', "not valid UTF-8"),
        ("{}".encode("utf-16"), "not valid UTF-8"),
        (b'{"a": 1, "b": 2, "a": 1}', "the key 'a' stands twice"),
        (b'{"a": 1, "\\u0061": 2}', "the key 'a' stands twice"),
        (b'[{"b": {"c": 1, "c": 1}}]', "the key 'c' stands twice"),
    ],
)
def test_what_two_readers_could_understand_differently_is_refused(body, words):
    with pytest.raises(errors.InvalidInputError, match=words):
        strict_json.decode(body)


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
@pytest.mark.parametrize("depth", [129, 900, 10_000, 200_000])
def test_what_is_nested_too_deeply_is_refused(opening, closing, depth):
    body = opening * depth + (b"1" if closing == b"}" else b"") + closing * depth
    with pytest.raises(errors.InvalidInputError, match="nested too deeply: more than 128 levels"):
        strict_json.decode(body, most=len(body))


def test_the_deepest_value_that_is_allowed_is_read_hashed_and_compared():
    body = b"[" * 128 + b"]" * 128
    assert strict_json.canonical(strict_json.decode(body)) == body
    assert len(strict_json.digest(strict_json.decode(body))) == 32


def test_many_small_objects_are_not_deep():
    body = b"[" + b",".join([b'{"a": [1]}'] * 1000) + b"]"
    assert len(strict_json.decode(body)) == 1000


def test_brackets_in_a_text_are_not_deep():
    assert strict_json.decode(b'"' + b"[" * 1000 + b'"') == "[" * 1000


@pytest.mark.parametrize("value", ["[[[]]]", '{"a":1}', "0", "1e5"])
def test_a_body_of_very_many_values_is_refused_before_it_is_read(value):
    """Reading them would hold up everybody: what fits into 1 MiB takes up to a second."""
    body = b"[" + b",".join([value.encode()] * strict_json.MAX_VALUES) + b",0]"
    started = time.process_time()
    with pytest.raises(errors.InvalidInputError, match="more than 20000 values"):
        strict_json.decode(body)
    assert time.process_time() - started < 0.1
    assert len(strict_json.decode(b"[" + b",".join([b"0"] * 19_999) + b"]")) == 19_999


def test_a_repeated_key_among_very_many_is_found_quickly_and_named_shortly():
    names = [f"k{number}" for number in range(100_000)] + ["x" * 5000] * 2
    body = ("{" + ",".join(f'"{name}":1' for name in names) + "}").encode()
    started = time.process_time()
    with pytest.raises(errors.InvalidInputError) as caught:
        strict_json.decode(body, most=len(body))
    assert time.process_time() - started < 5
    assert len(caught.value.message) < 200


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"[]", "an array"),
        (b"null", "null"),
        (b'"x"', "a string"),
        (b"1", "a number"),
        (b"1.5", "a number"),
        (b"true", "a boolean"),
    ],
)
def test_what_is_no_object_is_refused_by_its_name(body, kind):
    with pytest.raises(errors.InvalidInputError, match=f"must be a JSON object, not {kind}$"):
        strict_json.decode_object(body)


def test_an_object_is_read():
    assert strict_json.decode_object(b'{"a": 1}') == {"a": 1}


def test_equal_values_are_equal_bytes_whatever_their_order():
    first = strict_json.decode(b'{"b": [1, {"d": null, "c": "\\u00e9"}], "a": 10000000000000000000}')
    second = strict_json.decode('{"a":10000000000000000000,"b":[1,{"c":"é","d":null}]}'.encode())
    written = '{"a":10000000000000000000,"b":[1,{"c":"é","d":null}]}'.encode()
    assert strict_json.canonical(first) == strict_json.canonical(second) == written
    assert strict_json.digest(first) == strict_json.digest(second)


@pytest.mark.parametrize(
    "other", [{"a": [2, 1]}, {"a": ["1", 2]}, {"a": [1, 2], "b": None}, {"A": [1, 2]}, [1, 2]]
)
def test_another_value_has_another_digest(other):
    assert strict_json.digest(other) != strict_json.digest({"a": [1, 2]})


def test_a_value_of_our_own_that_is_too_deep_is_refused():
    value = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(errors.InvalidInputError, match="nested too deeply"):
        strict_json.canonical(value)


def test_a_float_is_written_so_that_it_is_read_back():
    assert strict_json.decode(strict_json.canonical([0.1, 1e300, -0.0])) == [0.1, 1e300, -0.0]
    assert math.copysign(1, strict_json.decode(strict_json.canonical(-0.0))) == -1


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**30])
def test_a_whole_number_that_would_not_come_back_from_the_store_is_refused(number):
    with pytest.raises(errors.InvalidInputError, match="too large"):
        strict_json.decode(str(number).encode())


@pytest.mark.parametrize("number", [2**64 - 1, -(2**63)])
def test_the_largest_whole_numbers_are_kept_exactly(number):
    assert strict_json.decode(str(number).encode()) == number
