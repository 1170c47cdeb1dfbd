"""A pattoo server for encrypted mode, which behaves like the real one: keys, nonce, session, posts.

It finds an agent's session by its cookie. Tests can make it forget all sessions.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import gnupg

from tests.support.server import PREFIX, Handler, PattooServer, Post

if TYPE_CHECKING:
    from pathlib import Path

EMAIL = "api@pattoo.example"
#: Small and without a pass phrase, so it is made quickly. For the agent it is a key like any other.
_KEY = """%no-protection
Key-Type: RSA
Key-Length: 2048
Name-Real: pattoo_api_agentd
Name-Email: {}
%commit
"""


def make_key(home: Path, email: str = EMAIL) -> str:
    """Make a key in a new key ring in `home`. Return its public half, in ASCII armor."""
    home.mkdir(mode=0o700)
    gpg = gnupg.GPG(gnupghome=str(home))
    made = gpg.gen_key(_KEY.format(email))
    end_gpg_agent(home)
    return str(gpg.export_keys(made.fingerprint))


def end_gpg_agent(home: Path) -> None:
    """End the gpg-agent that gpg started for a key ring."""
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "gpg-agent"], check=False, timeout=20)


@dataclass
class Session:
    """The server's state of one session."""

    email: str
    nonce: str = field(default_factory=lambda: secrets.token_hex(32))
    pass_phrase: str = ""


class DecryptingServer(PattooServer):
    """Takes encrypted posts, and keeps them decrypted in `posts`. Its keys are in `home`.

    `answers` maps requests such as `GET key` to answers that replace the usual ones. `asked` lists all
    requests with the status of the answer. If `mixes_up` is set, it expects another session's nonce.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.gpg = gnupg.GPG(gnupghome=str(home), options=["--trust-model", "always"])
        self.fingerprint = self.key_of(EMAIL)
        self.sessions: dict[str, Session] = {}
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.asked: list[tuple[str, int]] = []
        self.mixes_up = False
        self.lock = threading.Lock()
        super().__init__()

    def close(self) -> None:
        """End the server and its gpg-agent."""
        super().close()
        end_gpg_agent(self.home)

    def count(self, question: str) -> int:
        """Return how often a request came."""
        return sum(asked == question for asked, _ in self.asked)

    def key_of(self, email: str) -> str:
        """Return the first key with that name, as the real server does; empty if there is none."""
        keys = self.gpg.list_keys()
        return next((k["fingerprint"] for k in keys if f"<{email}>" in str(k["uids"])), "")

    def take_key(self, session: Session | None, content: dict[str, str]) -> tuple[int, str]:
        """Take an agent's public key. Return the status of the answer, and the new session's cookie."""
        if session is not None and session.pass_phrase:
            return 208, ""
        self.gpg.import_keys(content["pattoo_agent_key"])
        cookie = secrets.token_hex(8)
        self.sessions[cookie] = Session(content["pattoo_agent_email"])
        return 202, cookie

    def offer(self, session: Session) -> dict[str, str]:
        """Return our public key, and a nonce that only the agent's secret key can decrypt."""
        nonce = self.gpg.encrypt(session.nonce, [self.key_of(session.email)])
        if self.mixes_up:
            session.nonce = secrets.token_hex(32)
        key = self.gpg.export_keys(self.fingerprint)
        return {"api_email": EMAIL, "api_key": key, "encrypted_nonce": str(nonce)}

    def validate(self, session: Session, content: dict[str, str]) -> int:
        """Check the returned nonce. If it is right, keep the pass phrase and delete the agent's key.

        Return the status of the answer.
        """
        if session.pass_phrase:
            return 208
        pass_phrase = str(self.gpg.decrypt(content["encrypted_sym_key"]))
        nonce = str(self.gpg.decrypt(content["encrypted_nonce"], passphrase=pass_phrase))
        if nonce != session.nonce:
            return 401
        session.pass_phrase = pass_phrase
        self.gpg.delete_keys(self.key_of(session.email))
        return 200

    def decrypt(self, session: Session, content: dict[str, str]) -> Post:
        """Decrypt a post."""
        text = str(self.gpg.decrypt(content["encrypted_data"], passphrase=session.pass_phrase))
        post = json.loads(text)
        return Post(post["source"], json.dumps(post["data"]).encode())


class _Handler(Handler):
    def do_GET(self) -> None:  # noqa: N802 - as inherited
        if self._page() != "key":
            super().do_GET()
            return
        with _owner(self).lock:
            session = self._session()
            if self._has_other_answer() or session is None:
                return
            self._say(200, json.dumps(_owner(self).offer(session)).encode())

    def do_POST(self) -> None:  # noqa: N802 - as inherited
        owner, page = _owner(self), self._page()
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with owner.lock:
            session, content = self._session(), json.loads(json.loads(body))
            if self._has_other_answer():
                return
            if page == "key":
                status, cookie = owner.take_key(session, content)
                self._say(status, cookie=cookie)
            elif page == "validation" and session is not None:
                self._say(owner.validate(session, content))
            elif page == "encrypted" and (session is None or not session.pass_phrase):
                self._say(208)
            elif page == "encrypted" and session is not None:
                self._take(owner.decrypt(session, content))

    def _take(self, post: Post) -> None:
        owner = _owner(self)
        owner.attempts += 1
        if owner.behaviour(self):
            owner.posts.append(post)
            self._say(202, b"OK")

    def _has_other_answer(self) -> bool:
        answer = _owner(self).answers.get(f"{self.command} {self._page()}")
        if answer is not None:
            self._say(*answer)
        return answer is not None

    def _session(self) -> Session | None:
        cookies = self.headers.get("Cookie", "").split("; ")
        named = [c.removeprefix("session=") for c in cookies if c.startswith("session=")]
        return _owner(self).sessions.get(named[0]) if named else None

    def _page(self) -> str:
        return self.path.removeprefix(PREFIX)

    def _say(self, status: int, body: bytes = b"", cookie: str = "") -> None:
        _owner(self).asked.append((f"{self.command} {self._page()}", status))
        self.send_response(status)
        if cookie:
            self.send_header("Set-Cookie", f"session={cookie}; HttpOnly; Path=/")
        self.send_header("Connection", "close")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


DecryptingServer.handler = _Handler


def _owner(handler: Handler) -> DecryptingServer:
    owner: Any = handler.server.owner
    assert isinstance(owner, DecryptingServer)
    return owner
