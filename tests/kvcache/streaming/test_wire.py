from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvcache.streaming.wire import HEADER, Message, MessageReader, read_messages
from latentmas.protocol.errors import InvalidInput, TooLarge

MESSAGES = [Message("chunk", 0, b"abc"), Message("chunk", 1, b""), Message("end", 2, b"{}")]
BYTES = b"".join(message.write() for message in MESSAGES)


@given(st.sets(st.integers(0, len(BYTES))))
def test_messages_survive_being_cut_anywhere(cuts: set[int]) -> None:
    edges = [0, *sorted(cuts), len(BYTES)]
    pieces = [BYTES[start:stop] for start, stop in pairwise(edges)]
    assert list(read_messages(pieces)) == MESSAGES


def test_a_stream_that_breaks_off_is_refused() -> None:
    with pytest.raises(InvalidInput, match="the stream ends 17 bytes into a message"):
        list(read_messages([BYTES[:-1]]))


@pytest.mark.parametrize(
    ("offset", "byte", "said"), [(0, 0, "must begin with"), (4, 90, "must begin with"), (5, 2, "the version 2")]
)
def test_what_is_no_message_is_refused(offset: int, byte: int, said: str) -> None:
    data = bytearray(BYTES)
    data[offset] = byte
    with pytest.raises(InvalidInput, match=said):
        list(read_messages([bytes(data)]))


def test_a_length_beyond_the_limit_is_refused_before_the_body_is_awaited() -> None:
    header = HEADER.pack(b"KVZS", b"C", 1, 0, 0, 2**32 - 1)
    with pytest.raises(TooLarge, match="message 0 claims 4294967295 bytes"):
        list(MessageReader().feed(header))
