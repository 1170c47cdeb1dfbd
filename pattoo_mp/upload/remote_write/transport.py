"""Remote write requests to one receiver."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import snappy

from pattoo_mp.config.values import NO_FILES
from pattoo_mp.upload.answer import FailedError
from pattoo_mp.upload.http_client import EXCHANGE_S, HttpClient
from pattoo_mp.upload.remote_write.answer import ACCEPTABLE, is_poisoned, outcome_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pattoo_mp.config.values import Trust
    from pattoo_mp.upload.answer import Answer, Outcome

_HEADERS: Final = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}

#: Headers of the user that name a tenant. Others may hold a secret, which an answer may repeat.
_NOT_SECRET: Final = frozenset({"x-scope-orgid", "thanos-tenant"})


def compressed(message: bytes) -> bytes:
    """Return a message as the body of a request: in Snappy's block format."""
    return bytes(snappy.compress(message))


class RemoteWriteTransport:
    """Sends requests to the receiver at `url`. The arguments are those of `HttpClient`."""

    def __init__(
        self,
        url: str,
        trust: Trust = NO_FILES,
        proxy: str | None = None,
        exchange_s: float = EXCHANGE_S,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._url = url
        own = headers or {}
        self._client = HttpClient(url, trust, proxy, exchange_s, {**own, **_HEADERS})
        self._is_quotable = all(name.lower() in _NOT_SECRET for name in own)
        #: How many requests were sent.
        self.requests = 0

    @property
    def url(self) -> str:
        """Where requests go."""
        return self._url

    def post(self, agent_id: str, body: bytes) -> Outcome:  # noqa: ARG002 - as all transports
        """Send a body, as `compressed` makes it. Never raises; see the outcome."""
        self.requests += 1
        try:
            return outcome_of(self._exchange(body))
        except FailedError as failed:
            return failed.outcome

    def probe(self, message: bytes) -> Outcome:
        """Send a message that has a poisoned part. Return `ACCEPTABLE` if only that was refused."""
        self.requests += 1
        try:
            answer = self._exchange(compressed(message))
        except FailedError as failed:
            return failed.outcome
        return ACCEPTABLE if is_poisoned(answer) else outcome_of(answer)

    def _exchange(self, body: bytes) -> Answer:
        answer = self._client.exchange("POST", self._url, body)
        return replace(answer, is_quotable=answer.is_quotable and self._is_quotable)

    def is_healthy(self) -> bool:
        """Whether the receiver takes a request without any series, as all receivers do."""
        return self.post("", compressed(b"")).delivered

    def accepts_posts(self, agent_id: str, envelope_ms: int) -> bool:  # noqa: ARG002 - the same
        """Whether the receiver takes a request without any series."""
        return self.is_healthy()

    def close(self) -> None:
        """Cut off the current exchange and refuse all later ones. Callable from any thread."""
        self._client.close()
