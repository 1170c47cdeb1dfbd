"""Posts that only the server can read, over whatever the other transport does to reach it.

    encrypted   {"data": <post>, "source": <agent id>} under the session's pass phrase    202

A session lasts as long as the server remembers it, so there is one for many posts. 208 says that it
does not: the post is not stored, and goes again in a new session.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Final

from pattoo_mp.errors import KeyringError
from pattoo_mp.upload.answer import ANSWER_BYTES, Answer, FailedError, Outcome
from pattoo_mp.upload.encrypted.handshake import Handshake, in_json
from pattoo_mp.upload.encrypted.known import FILE, KnownServers
from pattoo_mp.upload.fault import Fault

if TYPE_CHECKING:
    from pattoo_mp.upload.encrypted.keyring import Keyring
    from pattoo_mp.upload.transport import Transport

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

    def __init__(self, plain: Transport, keyring: Keyring, whole_s: float = _WHOLE_S) -> None:
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

    def is_well(self) -> bool:
        """Ask the server's status page. What is not a clear yes is a no."""
        return self._plain.is_well()

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
        return answer.refusal("202 from pattoo")

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
