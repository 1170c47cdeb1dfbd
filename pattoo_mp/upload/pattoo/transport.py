"""Unencrypted posts to one pattoo server, and its status page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from pattoo_mp.config.values import API, NO_FILES
from pattoo_mp.model import STRING, Origin
from pattoo_mp.upload.answer import ANSWER_BYTES, FailedError
from pattoo_mp.upload.http_client import EXCHANGE_S, HttpClient
from pattoo_mp.upload.pattoo.answer import StatusPage, post_outcome, status_page
from pattoo_mp.wire.checksum import origin_pairs, series_checksum

if TYPE_CHECKING:
    from pattoo_mp.config.values import Trust
    from pattoo_mp.upload.answer import Answer, Outcome

#: The host, the key and the interval of test posts. No database keeps them.
_HOST: Final = "localhost"
_KEY: Final = "test_post"
_INTERVAL_MS: Final = 1000


class PattooTransport:
    """Posts unencrypted to one pattoo server. The arguments are those of `HttpClient`."""

    def __init__(
        self,
        server: str,
        trust: Trust = NO_FILES,
        proxy: str | None = None,
        exchange_s: float = EXCHANGE_S,
    ) -> None:
        #: The common beginning of the URLs of all pages for agents.
        self.agent_url = f"{server}{API}"
        self._client = HttpClient(self.url, trust, proxy, exchange_s)

    @property
    def url(self) -> str:
        """Where posts go, without the agent's identifier."""
        return f"{self.agent_url}receive/"

    @property
    def status_url(self) -> str:
        """The URL of the server's status page."""
        return f"{self.agent_url}status"

    def post(self, agent_id: str, body: bytes) -> Outcome:
        """Post `body`. Never raises for a failure of the network or the server; see the outcome."""
        try:
            answer = self.exchange("POST", self.url + agent_id, body)
        except FailedError as failed:
            return failed.outcome
        outcome = post_outcome(answer)
        if outcome.delivered:
            self.keep_session(answer)
        return outcome

    def accepts_posts(self, agent_id: str, envelope_ms: int) -> bool:
        """Whether the server accepts a test post, whose envelope has the time `envelope_ms`."""
        return self.post(agent_id, make_test_post(agent_id, envelope_ms)).delivered

    def is_healthy(self) -> bool:
        """Ask for the server's status page. Anything but a clear yes counts as no."""
        return not self.ask_status().error

    def ask_status(self) -> StatusPage:
        """Ask for the server's status page, and return what the answer means. Never raises."""
        try:
            return status_page(self.exchange("GET", self.status_url))
        except FailedError as failed:
            return StatusPage(failed.outcome.error, failed.outcome.fault)

    def exchange(
        self, method: str, url: str, body: bytes | None = None, max_bytes: int = ANSWER_BYTES
    ) -> Answer:
        """Make one exchange; see `HttpClient.exchange`."""
        return self._client.exchange(method, url, body, max_bytes)

    def keep_session(self, answer: Answer) -> None:
        """Use the session of an answer that the protocol expects; see `HttpClient.keep_session`."""
        self._client.keep_session(answer)

    def forget_session(self) -> None:
        """Begin a new session with the server, which recognizes its clients by a cookie."""
        self._client.forget_session()

    def close(self) -> None:
        """Cut off the current exchange and refuse all later ones. Callable from any thread."""
        self._client.close()


def make_test_post(agent_id: str, envelope_ms: int) -> bytes:
    """Return a post that a working server accepts, and of which its database keeps nothing.

    It holds one datapoint, a text. The server's ingester drops texts, and removes the post's file.
    An empty post would not do: the ingester never removes a batch of files that are all empty, and
    stores nothing more of any agent (docs/decisions/007).
    """
    origin = Origin(agent_id, _HOST)
    pairs: list[tuple[str, str | int]] = [
        *origin_pairs(origin),
        ("pattoo_agent_polling_interval", str(_INTERVAL_MS)),
        ("pattoo_data_type", STRING),
        ("pattoo_key", _KEY),
        ("pattoo_checksum", series_checksum(_KEY, STRING, (), origin)),
        ("pattoo_timestamp", envelope_ms),
        ("pattoo_value", "test"),
    ]
    content = {
        "pattoo_agent_timestamp": envelope_ms,
        "pattoo_agent_id": agent_id,
        "pattoo_agent_polling_interval": _INTERVAL_MS,
        "pattoo_datapoints": {
            "key_value_pairs": {str(number): pair for number, pair in enumerate(pairs)},
            "datapoint_pairs": [list(range(len(pairs)))],
        },
    }
    return json.dumps(content).encode()
