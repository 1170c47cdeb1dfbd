"""Encrypted mode: the handshake that starts a session, and posts within it.

The handshake exchanges keys and agrees on a pass phrase:

    POST key           our identity and public key                                           202
    GET  key           the server's public key, and a nonce encrypted to ours                200
    POST validation    the nonce under a new pass phrase, and that encrypted to the server   200

The server knows a session by its cookie, and answers 208 to a session that already has a pass
phrase. So each handshake begins without a cookie.

Posts go over the plain transport, whatever it does to reach the server:

    POST encrypted     {"data": <post>, "source": <agent id>} under the pass phrase          202

A session lasts as long as the server remembers it, so many posts share one. The answer 208 to a
post means that the server has forgotten it: the post is not stored, and is sent again in a new
session.
"""

from __future__ import annotations

import json
import logging
import secrets
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from pattoo_mp.errors import KeyringError
from pattoo_mp.upload.answer import ANSWER_BYTES, Answer, FailedError, Outcome
from pattoo_mp.upload.fault import Fault
from pattoo_mp.upload.pattoo.encrypted.known import FILE, KnownServers
from pattoo_mp.upload.pattoo.transport import make_test_post
from pattoo_mp.util import json_text

if TYPE_CHECKING:
    from pattoo_mp.upload.pattoo.encrypted.keyring import Keyring, OwnKey
    from pattoo_mp.upload.pattoo.transport import PattooTransport

_LOG = logging.getLogger(__name__)

#: A key of 16384 bits in armor is 6 kB.
_OFFER_BYTES: Final = 65536
_NO_SUCH_PAGE: Final = (404, 405)


@dataclass(frozen=True, slots=True)
class Offer:
    """A server's public key, and a nonce encrypted to ours."""

    key: str
    nonce: str


class Handshake:
    """A handshake with the server behind `transport`. No step starts after the deadline."""

    def __init__(
        self, transport: PattooTransport, keyring: Keyring, known: KnownServers, agent_id: str
    ) -> None:
        self._transport = transport
        self._keyring = keyring
        self._gpg = keyring.gpg
        self._known = known
        self._agent_id = agent_id
        self._due = 0.0

    def begin(self, seconds: float) -> str:
        """Begin a session and return its pass phrase.

        It may take `seconds`, not counting the time to make our key.
        Raises `FailedError` and `KeyringError`.
        """
        with self._keyring.open() as own:
            self._due = time.monotonic() + seconds
            offer = self._exchange_keys(own)
            fingerprint, is_new = self._server_key(offer, own)
            try:
                pass_phrase = self._agree(offer, own, fingerprint)
            except (FailedError, KeyringError):
                if is_new:
                    self._gpg.remove({fingerprint})
                raise
        if is_new:
            self._known.remember(self._transport.agent_url, fingerprint)
            _LOG.info(
                "Trusting %s by its key %s from now on.", self._transport.agent_url, fingerprint
            )
        return pass_phrase

    def _exchange_keys(self, own: OwnKey) -> Offer:
        self._transport.forget_session()
        ours = {"pattoo_agent_email": self._agent_id, "pattoo_agent_key": own.public}
        answer = self._ask("POST", "key", ours)
        if answer.status in _NO_SUCH_PAGE:
            raise _denied(
                f"the server accepts no keys (status {answer.status}): it must be a pattoo server set "
                f"up for encryption, or encrypted must be false here"
            )
        if answer.status != 202:
            raise FailedError(answer.failure("202 for our key"))
        self._transport.keep_session(answer)
        answer = self._ask("GET", "key")
        offer = _offer(answer) if answer.status == 200 else None
        if offer is None:
            raise FailedError(answer.failure("the key of a pattoo server"))
        self._transport.keep_session(answer)
        return offer

    def _server_key(self, offer: Offer, own: OwnKey) -> tuple[str, bool]:
        """Return the fingerprint of the server's key, and whether it is new to us."""
        url = self._transport.agent_url
        known = self._known.all().get(url, "")
        added = self._gpg.add(offer.key)
        if added == {known}:
            return known, False
        if len(added) != 1 or own.fingerprint in added:
            self._gpg.remove(added - {known, own.fingerprint})
            raise _denied("the server sent a key that cannot be its own; expected one public key")
        (fingerprint,) = added
        if known:
            self._gpg.remove(added)
            raise _denied(
                f"the server's key has changed, from {known} to {fingerprint}, so nothing is "
                f"sent. If the server has a new key, remove its line from {self._known.path}; "
                f"otherwise another host answers in its place"
            )
        return fingerprint, True

    def _agree(self, offer: Offer, own: OwnKey, fingerprint: str) -> str:
        nonce = self._nonce(offer, own)
        pass_phrase = secrets.token_urlsafe(32)
        ours = {
            "encrypted_nonce": self._gpg.symmetric(nonce, pass_phrase),
            "encrypted_sym_key": self._gpg.encrypt_to(fingerprint, pass_phrase.encode()),
        }
        answer = self._ask("POST", "validation", ours)
        if answer.status == 401:
            raise FailedError(Outcome("the server did not find its nonce in our answer (401)"))
        if answer.status != 200:
            raise FailedError(answer.failure("200 for the nonce of a pattoo server"))
        self._transport.keep_session(answer)
        return pass_phrase

    def _nonce(self, offer: Offer, own: OwnKey) -> bytes:
        if not offer.nonce.strip():
            # Its key ring fails like this if several agents come at once.
            raise FailedError(
                Outcome("the server's nonce is empty: its key ring failed or was busy")
            )
        try:
            return self._gpg.decrypt(offer.nonce, own.pass_phrase)
        except KeyringError as error:
            raise KeyringError(
                f"{error}: our key {own.fingerprint} cannot decrypt the server's nonce; the server may "
                f"have an older key of this agent: remove that from the server's key ring"
            ) from None

    def _ask(self, method: str, page: str, content: dict[str, str] | None = None) -> Answer:
        if time.monotonic() >= self._due:
            raise FailedError(Outcome("the server is too slow to exchange keys"))
        body = None if content is None else in_json(content)
        url = self._transport.agent_url + page
        return self._transport.exchange(method, url, body, _OFFER_BYTES)


def in_json(content: dict[str, str]) -> bytes:
    """Return a body in the form that a pattoo server expects: JSON in a JSON string."""
    return json.dumps(json.dumps(content)).encode()


def _offer(answer: Answer) -> Offer | None:
    """Return the server's offer, or None if the answer is something else."""
    if len(answer.body) > _OFFER_BYTES:
        return None
    try:
        content = json_text.parse(answer.body)
    except ValueError:
        return None
    if not isinstance(content, dict):
        return None
    key, nonce = content.get("api_key"), content.get("encrypted_nonce")
    if not isinstance(key, str) or not isinstance(nonce, str):
        return None
    return Offer(key, nonce)


def _before_post(outcome: Outcome) -> Outcome:
    """Return the outcome of a post whose handshake failed: neither data nor size can be to blame."""
    is_passing = outcome.fault in {Fault.REFUSED, Fault.TOO_LARGE}
    fault = Fault.UNREACHABLE if is_passing else outcome.fault
    return replace(outcome, fault=fault, reached=False)


def _denied(error: str) -> FailedError:
    return FailedError(Outcome(error, Fault.DENIED))


#: Many times what a loaded server takes. A post, a status page and another post must all fit within
#: the time limit of the uploader's posting thread.
_TOTAL_S: Final = 25.0
_ACCEPTED: Final = 202
_NO_SESSION: Final = 208


class EncryptedTransport:
    """Encrypts posts with the keys in `keyring`, and sends them to the server behind `plain`.

    Each step of a post and its handshake starts within `total_s`. The last one may then still take
    its own time limit.
    """

    def __init__(self, plain: PattooTransport, keyring: Keyring, total_s: float = _TOTAL_S) -> None:
        self._plain = plain
        self._keyring = keyring
        self._total_s = total_s
        self._known = KnownServers(keyring.directory / FILE)
        #: The pass phrase of the current session; empty without one.
        self._pass_phrase = ""
        self._due = 0.0

    @property
    def url(self) -> str:
        """Where posts go."""
        return f"{self._plain.agent_url}encrypted"

    def post(self, agent_id: str, body: bytes) -> Outcome:
        """Post `body`, in the current session or a new one. Never raises."""
        self._due = time.monotonic() + self._total_s
        try:
            return self._post(agent_id, body)
        except FailedError as failed:
            return failed.outcome
        except KeyringError as error:
            # The keys may be lost. A new session finds out.
            self._pass_phrase = ""
            return Outcome(str(error), Fault.DENIED)

    def accepts_posts(self, agent_id: str, envelope_ms: int) -> bool:
        """Whether the server accepts a test post, whose envelope has the time `envelope_ms`."""
        return self.post(agent_id, make_test_post(agent_id, envelope_ms)).delivered

    def is_healthy(self) -> bool:
        """Ask for the server's status page. Anything but a clear yes counts as no."""
        return self._plain.is_healthy()

    def close(self) -> None:
        """Cut off the current exchange and refuse all later ones. Callable from any thread."""
        self._plain.close()
        self._keyring.gpg.close()

    def _post(self, agent_id: str, body: bytes) -> Outcome:
        answer = self._send(agent_id, body) if self._pass_phrase else None
        if answer is None or answer.status == _NO_SESSION:
            self._begin(agent_id)
            answer = self._send(agent_id, body)
        if answer.status == _NO_SESSION:
            self._pass_phrase = ""
            return Outcome("the server forgot our session at once (208): the post is not stored")
        if answer.status == _ACCEPTED and len(answer.body) <= ANSWER_BYTES:
            self._plain.keep_session(answer)
            return Outcome()
        return answer.failure("202 from pattoo")

    def _begin(self, agent_id: str) -> None:
        self._pass_phrase = ""
        handshake = Handshake(self._plain, self._keyring, self._known, agent_id)
        left_s = self._due - time.monotonic()
        try:
            self._pass_phrase = handshake.begin(left_s)
        except FailedError as failed:
            raise FailedError(_before_post(failed.outcome)) from failed

    def _send(self, agent_id: str, body: bytes) -> Answer:
        if time.monotonic() >= self._due:
            raise FailedError(
                Outcome(f"the server is too slow: no post within {self._total_s:g} s")
            )
        content = b'{"data": %b, "source": %b}' % (body, json.dumps(agent_id).encode())
        encrypted = self._keyring.gpg.symmetric(content, self._pass_phrase)
        return self._plain.exchange("POST", self.url, in_json({"encrypted_data": encrypted}))
