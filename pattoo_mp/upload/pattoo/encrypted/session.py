"""How a session begins: keys are exchanged, and a pass phrase agreed upon.

    POST key           our identity and public key                                       202
    GET  key           the server's key, and a nonce that only we can read               200
    POST validation    the nonce under a new pass phrase, and that for the server alone  200

The server knows a session by its cookie, and answers 208 to one that it has a pass phrase of. So each
handshake begins without a cookie.
"""

from __future__ import annotations

import json
import logging
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pattoo_mp.errors import KeyringError
from pattoo_mp.upload.answer import ANSWER_BYTES, Answer, FailedError, Outcome
from pattoo_mp.upload.fault import Fault
from pattoo_mp.upload.pattoo.encrypted.known import FILE, KnownServers
from pattoo_mp.upload.pattoo.transport import empty_post

if TYPE_CHECKING:
    from pattoo_mp.upload.pattoo.encrypted.keyring import Keyring, OwnKey
    from pattoo_mp.upload.pattoo.transport import PattooTransport

_LOG = logging.getLogger(__name__)

#: A key of 16384 bits in armor is 6 kB.
_OFFER_BYTES: Final = 65536
_NO_SUCH_PAGE: Final = (404, 405)


@dataclass(frozen=True, slots=True)
class Offer:
    """What a server gives of its own: its public key, and a nonce encrypted to ours."""

    key: str
    nonce: str


class Handshake:
    """With the server behind `transport`. A step that would begin after `due` is not taken."""

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
        """Begin a session, in `seconds` without the making of a key; its pass phrase.

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
                "%s is known by its key %s from now on.", self._transport.agent_url, fingerprint
            )
        return pass_phrase

    def _exchange_keys(self, own: OwnKey) -> Offer:
        self._transport.forget_session()
        ours = {"pattoo_agent_email": self._agent_id, "pattoo_agent_key": own.public}
        answer = self._ask("POST", "key", ours)
        if answer.status in _NO_SUCH_PAGE:
            raise _denied(
                f"the server takes no keys (status {answer.status}): it has to be a pattoo server that "
                f"is set up to decrypt, or encrypted has to be false here"
            )
        if answer.status != 202:
            raise FailedError(answer.failure("202, to our key"))
        answer = self._ask("GET", "key")
        offer = _offer(answer) if answer.status == 200 else None
        if offer is None:
            raise FailedError(answer.failure("the key of a pattoo server"))
        return offer

    def _server_key(self, offer: Offer, own: OwnKey) -> tuple[str, bool]:
        """The fingerprint of the server's key, and whether it was not known before."""
        url = self._transport.agent_url
        known = self._known.all().get(url, "")
        added = self._gpg.add(offer.key)
        if added == {known}:
            return known, False
        if len(added) != 1 or own.fingerprint in added:
            self._gpg.remove(added - {known, own.fingerprint})
            raise _denied("the server gives a key that cannot be its own; expected one public key")
        (fingerprint,) = added
        if known:
            self._gpg.remove(added)
            raise _denied(
                f"the server's key has changed, from {known} to {fingerprint}: nothing is sent under "
                f"it. If the server has a new key, remove its line from {self._known.path}; if not, "
                f"somebody else answers"
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
            raise FailedError(Outcome("the server does not find its nonce in our answer (401)"))
        if answer.status != 200:
            raise FailedError(answer.failure("200, to the nonce of a pattoo server"))
        return pass_phrase

    def _nonce(self, offer: Offer, own: OwnKey) -> bytes:
        try:
            return self._gpg.decrypt(offer.nonce, own.pass_phrase)
        except KeyringError as error:
            raise KeyringError(
                f"{error}: our key {own.fingerprint} does not open the server's nonce; the server may "
                f"have an older key of this agent, which has to go from its key ring"
            ) from None

    def _ask(self, method: str, page: str, content: dict[str, str] | None = None) -> Answer:
        if time.monotonic() >= self._due:
            raise FailedError(Outcome("the server is too slow for an exchange of keys"))
        body = None if content is None else in_json(content)
        url = self._transport.agent_url + page
        return self._transport.exchange(method, url, body, _OFFER_BYTES)


def in_json(content: dict[str, str]) -> bytes:
    """A body as a pattoo server expects it: JSON, in a JSON string."""
    return json.dumps(json.dumps(content)).encode()


def _offer(answer: Answer) -> Offer | None:
    """What the server gave; none if that is something else."""
    if len(answer.body) > _OFFER_BYTES:
        return None
    try:
        content = json.loads(answer.body)
    except ValueError:
        return None
    if not isinstance(content, dict):
        return None
    key, nonce = content.get("api_key"), content.get("encrypted_nonce")
    if not isinstance(key, str) or not isinstance(nonce, str):
        return None
    return Offer(key, nonce)


def _denied(error: str) -> FailedError:
    return FailedError(Outcome(error, Fault.DENIED))


# Posts that only the server can read, over whatever the other transport does to reach it.
#
#     encrypted   {"data": <post>, "source": <agent id>} under the session's pass phrase    202
#
# A session lasts as long as the server remembers it, so there is one for many posts. 208 says that it
# does not: the post is not stored, and goes again in a new session.

#: Many times what a loaded server takes. A post, a look at the status page and another post are to end
#: within what the uploader gives its posting.
_WHOLE_S: Final = 25.0
_TAKEN: Final = 202
_NO_SESSION: Final = 208


class EncryptedTransport:
    """Posts to the server behind `plain`, under the keys in `keyring`.

    Each step of a post and its handshake begins within `whole_s`; the last may take a time limit of
    its own longer.
    """

    def __init__(self, plain: PattooTransport, keyring: Keyring, whole_s: float = _WHOLE_S) -> None:
        self._plain = plain
        self._keyring = keyring
        self._whole_s = whole_s
        self._known = KnownServers(keyring.directory / FILE)
        #: Of the session that goes on; empty if there is none.
        self._pass_phrase = ""
        self._due = 0.0

    @property
    def url(self) -> str:
        """Where posts go."""
        return f"{self._plain.agent_url}encrypted"

    def post(self, agent_id: str, body: bytes) -> Outcome:
        """Post `body`, in the session that goes on, or in a new one. Never raises."""
        self._due = time.monotonic() + self._whole_s
        try:
            return self._post(agent_id, body)
        except FailedError as failed:
            return failed.outcome
        except KeyringError as error:
            # The keys may have been lost, and the next session finds out.
            self._pass_phrase = ""
            return Outcome(str(error), Fault.DENIED)

    def accepts_posts(self, agent_id: str, envelope_ms: int) -> bool:
        """Whether the server takes an empty post, at `envelope_ms`."""
        return self.post(agent_id, empty_post(agent_id, envelope_ms)).delivered

    def is_healthy(self) -> bool:
        """Ask the server's status page. What is not a clear yes is a no."""
        return self._plain.is_healthy()

    def close(self) -> None:
        """Cut off what goes on, and all that comes later. For any thread."""
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
        if answer.status == _TAKEN and len(answer.body) <= ANSWER_BYTES:
            return Outcome()
        return answer.failure("202 from pattoo")

    def _begin(self, agent_id: str) -> None:
        self._pass_phrase = ""
        handshake = Handshake(self._plain, self._keyring, self._known, agent_id)
        left_s = self._due - time.monotonic()
        self._pass_phrase = handshake.begin(left_s)

    def _send(self, agent_id: str, body: bytes) -> Answer:
        if time.monotonic() >= self._due:
            raise FailedError(
                Outcome(f"the server is too slow: no post within {self._whole_s:g} s")
            )
        content = b'{"data": %b, "source": %b}' % (body, json.dumps(agent_id).encode())
        encrypted = self._keyring.gpg.symmetric(content, self._pass_phrase)
        return self._plain.exchange("POST", self.url, in_json({"encrypted_data": encrypted}))
