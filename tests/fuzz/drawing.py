"""Examples for the fuzz: real content with changes, and the limits that each one must keep to."""

from __future__ import annotations

import os
import resource
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: How many examples each test makes; tests/fuzz/__main__.py sets it.
EXAMPLES: Final = int(os.environ.get("FUZZ_EXAMPLES", "0"))
#: What one example may cost: hundreds of times the usual, so a busy machine fails none.
_PROCESSOR_S: Final = 10.0
_MEMORY_KB: Final = 300_000

#: The settings of all tests here. The suite's short run has the same examples each time.
fuzz = settings(
    max_examples=EXAMPLES or 40,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

#: Content that parsers stumble over.
TOKENS: Final = (
    b"", b"\0", b"\xff", b"\xc3\xa9", b"\x1b[2J", "\u202e\u2028".encode(), b"\n", b"\r\n", b" ", b"\t", b":", b"=",
    b"-", b"-1", b"0", b"1", b"00000000000", b"99999999999999999999", b"9" * 5000, b"1e999", b"-1e-999", b"nan",
    b"inf", b"null", b"true", b'"', b"'", b"\\", b"{", b"}", b"[]", b"[" * 65_000, b'{"a":' * 20_000, b"(", b"*a",
    b"&a", b"<<: ", b"!!python/object:os.system ", b"#", b"%s", b"\\x1b", b"a" * 70_000, b"[]," * 20_000,
    b"0x10", b"1_000", "\u0661".encode(), "\u00b2".encode(), b"../..", b"/", b"\xed\xb3\xbf",
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn, samples: Sequence[bytes]) -> bytes:
    """One of the samples with some of its parts replaced, repeated, moved or cut off."""
    content = draw(st.sampled_from(samples))
    for _ in range(draw(st.integers(1, 4))):
        begin = draw(st.integers(0, len(content)))
        end = min(len(content), begin + draw(st.sampled_from((0, 0, 1, 2, 8, 40, 10_000_000))))
        kept = content[begin:end]
        new = draw(st.sampled_from(TOKENS) | st.binary(max_size=6) | st.just(kept * 3))
        content = content[:begin] + new + content[end:]
    return content


JSON: Final[st.SearchStrategy[Any]] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=10,
)


@contextmanager
def bounded() -> Iterator[None]:
    """Fail the test if the code inside takes much processor time or memory."""
    began_s, before_kb = time.process_time(), _peak_kb()
    yield
    took_s, grown_kb = time.process_time() - began_s, _peak_kb() - before_kb
    assert took_s < _PROCESSOR_S, f"{took_s:.1f} s of processor time"
    assert grown_kb < _MEMORY_KB, f"{grown_kb} kB of memory"


def _peak_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
