"""Plays one golden case through a dialect, as the pipeline does, without any I/O.

A case is a folder `golden/<dialect>/<case>/`. What goes in is written by people:

    about.toml          what it shows, where it comes from, the backend's configuration
    request.json        the client's request, indented; it is sent without the indentation
    upstream.*           the backend's answer; absent when none is asked for
    upstream_mended.*   its answer to the mended request, if there is one

What comes out is written by `rewrite.py` and compared byte by byte by `test_golden.py`:

    upstream_request.json         the body that goes up, indented (lossless: only white space)
    upstream_request_mended.json  the same after a refusal that can be mended
    heads.txt                     the lines and headers around the bodies, `>` up and `<` down
    downstream.sse|json           what the client gets
"""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from llmproxyd import __version__
from llmproxyd.config.places import Places
from llmproxyd.config.schema import BackendConfig
from llmproxyd.delivery import error_answer
from llmproxyd.errors import ProxyError, UpstreamError
from llmproxyd.registry import discover
from llmproxyd.reload.entries import World, compile_entry
from llmproxyd.routing.plan import make_plan
from llmproxyd.spi import Call, Exchange, ResponseHead
from llmproxyd.wire.error_body import error_frame
from llmproxyd.wire.fold import fold
from llmproxyd.wire.frames import Frame
from llmproxyd.wire.messages import parse_request

FOLDER = Path(__file__).parent
REQUEST_ID = "req_golden"
NAME = "golden"
KEY = "sk-golden-key"
PIECE_BYTES = 1000
OUTPUTS = frozenset(
    {
        "downstream.json",
        "downstream.sse",
        "heads.txt",
        "upstream_request.json",
        "upstream_request_mended.json",
    }
)
_TYPES = {
    ".sse": "text/event-stream",
    ".json": "application/json",
    ".html": "text/html",
}


class About(msgspec.Struct, forbid_unknown_fields=True):
    """`about.toml`.

    Attributes:
        shows: the one thing that the case is there for.
        spec: sections of the translation spec.
        source: where request and answer come from.
        license: of that source.
        backend: a `[backends.NAME]` of the configuration.
        headers: of the client's request.
        response: status and headers of the backend's answer.
        mended: the same of the answer to a mended request.
        store: the reasoning store: signature or tool id to text.
        images: fetched images.
    """

    shows: str
    spec: str
    source: str
    license: str
    backend: BackendConfig
    headers: dict[str, str] = {}
    query: str = ""
    response: dict[str, Any] = {}
    mended: dict[str, Any] = {}
    store: dict[str, str] = {}
    images: dict[str, str | None] = {}


def folders() -> list[Path]:
    """Every case."""
    return sorted(path.parent for path in FOLDER.glob("*/*/about.toml"))


def about(folder: Path) -> About:
    """What is said of a case."""
    return msgspec.convert(tomllib.loads((folder / "about.toml").read_text()), About)


def play(folder: Path) -> dict[str, bytes]:
    """The output files of a case, by name."""
    case = Case(folder)
    try:
        case.run()
    except ProxyError as error:
        case.refuse(error)
    case.files["heads.txt"] = "".join(f"{line}\n" for line in case.heads).encode()
    return case.files


class Case:
    """One case being played."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.about = about(folder)
        self.files: dict[str, bytes] = {}
        self.heads: list[str] = []
        self.frames: list[Frame] = []
        raw = msgspec.json.format((folder / "request.json").read_bytes(), indent=-1)
        headers = tuple(self.about.headers.items())
        self.request = parse_request(raw, headers, self.about.query)

    def run(self) -> None:
        """The one or two attempts."""
        call = self._call()
        exchange = call.dialect.exchange(call)
        try:
            self._attempt(exchange, "", self.about.response)
        except UpstreamError as error:
            mended = None if self.frames else exchange.repaired(error)
            if mended is None:
                raise
            self._attempt(mended, "_mended", self.about.mended)

    def _call(self) -> Call:
        world = World(kinds=discover(), env=_Keys(), read_key=str)
        entry = compile_entry(NAME, self.about.backend, world, Places()).entry
        assert entry is not None
        (target,) = make_plan({NAME: entry}, NAME, (), self.request.model)
        by_folder = {dialect.name: dialect for dialect in entry.backend.dialects}
        return Call(
            request=self.request,
            target=target,
            dialect=by_folder[self.folder.parent.name],
            request_id=REQUEST_ID,
            entropy=counting_entropy(),
            reasoning=_Store(self.about.store),
            secrets=(KEY,),
            claim_id=_OnceEach(),
            images=self.about.images,
        )

    def _attempt(self, exchange: Exchange, suffix: str, told: dict[str, Any]) -> None:
        request = exchange.request
        if request is None:
            self.frames += exchange.local
            self._answer([])
            return
        self.files[f"upstream_request{suffix}.json"] = indented(request.body)
        self.heads.append(f"> {request.method} {request.url}")
        self.heads += [f"> {name}: {value}" for name, value in request.headers]
        self.heads += [f"# note {note}" for note in request.notes]
        answer = _only(self.folder.glob(f"upstream{suffix}.*"))
        given = {"content-type": _TYPES[answer.suffix], **told}
        status = given.pop("status", 200)
        head = ResponseHead(status, tuple(given.items()))
        if status != 200:
            raise exchange.error(head, answer.read_bytes())
        self._relay(exchange, head, answer.read_bytes())

    def _relay(self, exchange: Exchange, head: ResponseHead, data: bytes) -> None:
        decoder = exchange.decoder(head)
        for piece in _pieces(data):
            self.frames += decoder.feed(piece)
            if decoder.is_done or decoder.failure is not None:
                break
        else:
            self.frames += decoder.end()
        self.heads += [f"# note {note}" for note in decoder.notes]
        if decoder.failure is not None:
            raise decoder.failure
        self._answer(exchange.response_headers(head))

    def _answer(self, headers: list[tuple[str, str]]) -> None:
        self._status(200, headers)
        if self.request.stream:
            self.files["downstream.sse"] = _wire(self.frames)
        else:
            self.files["downstream.json"] = fold(self.frames) + b"\n"

    def refuse(self, error: ProxyError) -> None:
        """The answer to a request that failed: an event if the stream has begun, else a status."""
        if self.frames and self.request.stream:
            frame = error_frame(error.kind, error.message, REQUEST_ID)
            self._status(200, [])
            self.files["downstream.sse"] = _wire([*self.frames, frame])
            return
        status, headers, body = error_answer(error, REQUEST_ID)
        self._status(status, headers)
        self.files["downstream.json"] = body.rstrip() + b"\n"

    def _status(self, status: int, headers: list[tuple[str, str]]) -> None:
        self.heads.append(f"< {status}")
        self.heads += [f"< {name}: {value}" for name, value in headers]
        version = f"llmproxyd/{__version__}"
        self.heads = [line.replace(version, "llmproxyd/VERSION") for line in self.heads]


class _Keys(dict[str, str]):
    """An environment in which every provider has its key."""

    def get(self, name: str, default: Any = None) -> Any:
        return KEY

    def __missing__(self, name: str) -> str:
        return KEY


class _Store(dict[str, str]):
    """A reasoning store."""

    def put(self, key: str, text: str) -> None:
        self[key] = text


class _OnceEach:
    """Claims of message ids: each is new once."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def __call__(self, claimed: str) -> bool:
        is_new = claimed not in self._seen
        self._seen.add(claimed)
        return is_new


def counting_entropy() -> Callable[[int], str]:
    """Random characters that are not: `000…1`, `000…2`, … of the asked length."""
    numbers = itertools.count(1)
    return lambda chars: f"{next(numbers):0{chars}}"


def indented(body: bytes) -> bytes:
    """`body` in lines; nothing but white space changes."""
    text = msgspec.json.format(body, indent=2)
    assert body == msgspec.json.format(text, indent=-1)
    return text + b"\n"


def _pieces(data: bytes) -> Iterator[bytes]:
    return (data[at : at + PIECE_BYTES] for at in range(0, len(data), PIECE_BYTES))


def _wire(frames: list[Frame]) -> bytes:
    return b"".join(frame.wire for frame in frames)


def _only(found: Iterator[Path]) -> Path:
    (path,) = found
    return path
