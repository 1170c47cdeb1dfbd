"""Ask each target once, for `--doctor` and `--check`. Takes no poll from anybody.

A fetch without the name of a hub is refused by an agent of ours with 400, once it has accepted the token; an
original has no such page, and its page is read.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pattoo_mp.collect.spokes import page
from pattoo_mp.collect.spokes.asking import (
    BAD_REQUEST,
    NOT_FOUND,
    OK,
    PULL_PATH,
    page_path,
    refused,
)
from pattoo_mp.collect.spokes.exchange import AskError, Exchanger, request
from pattoo_mp.collect.spokes.hub import raise_limit
from pattoo_mp.collect.spokes.target import GAPLESS, PAGE, Spoke
from pattoo_mp.config import secrets
from pattoo_mp.errors import TrustError
from pattoo_mp.ipc.messages import SpokeState
from pattoo_mp.model import now_ms

if TYPE_CHECKING:
    from pattoo_mp.collect.spokes.exchange import Answer
    from pattoo_mp.config.values import Config, Target

_AT_A_TIME: Final = 200


@dataclass(frozen=True, slots=True)
class Probed:
    """What a target answered: its `kind` if all is well, otherwise its `state` and `why`."""

    target: Target
    kind: str
    state: SpokeState
    why: str
    took_s: float


def probe(config: Config, exchange_s: float, whole_s: float) -> list[Probed]:
    """Ask every target of a configuration once. All of it takes at most about `whole_s`."""
    raise_limit()
    return asyncio.run(_probe(config, exchange_s, time.monotonic() + whole_s))


async def _probe(config: Config, exchange_s: float, until: float) -> list[Probed]:
    exchanger, free = Exchanger(exchange_s), asyncio.Semaphore(_AT_A_TIME)

    async def one(target: Target) -> Probed:
        async with free:
            began = time.monotonic()
            if began > until:
                why = "not asked: the others took too long"
                return Probed(target, "", SpokeState.NEW, why, 0.0)
            try:
                kind, state, why = await _ask(exchanger, target, config), SpokeState.WELL, ""
            except AskError as error:
                kind, state, why = "", error.state, str(error)
            return Probed(target, kind, state, why, time.monotonic() - began)

    return list(await asyncio.gather(*map(one, config.targets)))


async def _ask(exchanger: Exchanger, target: Target, config: Config) -> str:
    """Return the kind of a target. Raises `AskError`."""
    spoke = Spoke(target, config.interval_ms)
    try:
        context = secrets.tls_context(target.trust) if target.tls else None
        token = secrets.authorization(secrets.SERVER, target.trust.credentials_file)
    except TrustError as error:
        raise AskError(SpokeState.REFUSING, str(error)) from None

    async def get(path: str) -> Answer:
        lines = request("GET", path, spoke.host, token=token, close=True)
        answers = await exchanger.exchange(target.ip_address, target.ip_bind_port, [lines], context)
        return answers[0]

    answer = await get(PULL_PATH)
    if answer.status == BAD_REQUEST:
        return GAPLESS
    if answer.status != NOT_FOUND:
        raise refused(answer)
    answer = await get(page_path(spoke))
    if answer.status != OK:
        raise refused(answer)
    page.read(answer.body, now_ms())
    return PAGE
