"""Unencrypted posts to one pattoo server, and its status page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pattoo_mp.config.values import API, NO_FILES
from pattoo_mp.upload.answer import ANSWER_BYTES, FailedError
from pattoo_mp.upload.http_client import EXCHANGE_S, HttpClient
from pattoo_mp.upload.pattoo.answer import StatusPage, post_outcome, status_page

if TYPE_CHECKING:
    from pattoo_mp.config.values import Trust
    from pattoo_mp.upload.answer import Answer, Outcome


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
            return post_outcome(self.exchange("POST", self.url + agent_id, body))
        except FailedError as failed:
            return failed.outcome

    def accepts_posts(self, agent_id: str, envelope_ms: int) -> bool:
        """Whether the server accepts an empty post, whose envelope has the time `envelope_ms`."""
        return self.post(agent_id, empty_post(agent_id, envelope_ms)).delivered

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

    def forget_session(self) -> None:
        """Begin a new session with the server, which recognizes its clients by a cookie."""
        self._client.forget_session()

    def close(self) -> None:
        """Cut off the current exchange and refuse all later ones. Callable from any thread."""
        self._client.close()


def empty_post(agent_id: str, envelope_ms: int) -> bytes:
    """Return a post without datapoints: a working server accepts it, and stores nothing."""
    content = {
        "pattoo_agent_timestamp": envelope_ms,
        "pattoo_agent_id": agent_id,
        "pattoo_agent_polling_interval": 1000,
        "pattoo_datapoints": {"key_value_pairs": {}, "datapoint_pairs": []},
    }
    return json.dumps(content).encode()
