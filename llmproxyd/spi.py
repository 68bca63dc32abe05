"""All that a provider or dialect author reads.

A *dialect* is a wire format (Anthropic Messages, OpenAI Chat Completions). A *backend* is a
provider: where it lives, how it authenticates, which dialect it speaks and which quirks it has.
A *backend entry* is one `[backends.NAME]` of the configuration: a backend plus address, key and
models. A *target* is an entry and the model chosen on it. An *exchange* is one attempt.

Everything here is a value or a pure function of values. The proxy calls a dialect like this:

    exchange = dialect.exchange(call)            # decode, translate; may raise ProxyError
    send exchange.request ...                    # done by upstream/client.py
    decoder = exchange.decoder(head)             # for a 2xx answer
    frames = decoder.feed(chunk); ...; frames = decoder.end()    # decoder.failure tells
    error = exchange.error(head, body)           # for any other answer
    again = exchange.repaired(error)             # a mended request to try once, or None

A provider in ten lines:

    BACKEND = Backend(
        kind="acme",
        base_url="https://api.acme.test/v1",
        dialects=(OpenAIChat(),),
        key_env="ACME_API_KEY",
        quirks=Quirks(top_k=True),
    )
"""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any, Protocol

import msgspec

from llmproxyd.errors import UpstreamError
from llmproxyd.quirks import Quirks as Quirks  # noqa: PLC0414 - part of what authors read
from llmproxyd.wire.frames import Frame
from llmproxyd.wire.messages import Headers, MessagesRequest
from llmproxyd.wire.usage import Usage

# Where servers put the id of a request, most telling first.
_REQUEST_IDS = (
    *("request-id", "x-request-id", "x-litellm-call-id", "x-generation-id", "inference-id"),
    "cf-ray",
)
_HEADER_MAX_CHARS = 200


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a model can take, in tokens; None when unknown."""

    context_window: int | None = None
    max_output: int | None = None


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """Upstream limits in seconds; 0 switches one off (translation spec, section 3.7)."""

    connect_s: float = 10.0
    first_byte_s: float = 600.0
    idle_s: float = 300.0


class Secret(msgspec.Struct, frozen=True):
    """A resolved key. Its text form never shows the value."""

    value: str

    def __repr__(self) -> str:
        """Masked, so that no log or traceback can hold a key."""
        return "Secret(…)"


class BackendEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One configured backend, compiled: what an attempt needs to know of its provider.

    Attributes:
        name: the `NAME` of `[backends.NAME]`.
        url: base URL without trailing slash, with or without `/v1`.
        dialect: None until detection has found it (`self-hosted` with `protocol = "auto"`).
        secret: the key to send; None for the client's own credential or none at all.
        model: the model that requests get unless `models` says otherwise; None keeps the name.
        models: slots (`opus`, `haiku`, …), exact names and globs to upstream models, in order.
        model_quirks: globs of upstream model names to flags, later ones win.
        model_limits: exact upstream model names to limits that replace `limits`.
    """

    name: str
    backend: Backend
    url: str
    dialect: Dialect | None
    secret: Secret | None = None
    model: str | None = None
    models: dict[str, str] = {}
    quirks: Quirks = Quirks()
    model_quirks: tuple[tuple[str, dict[str, Any]], ...] = ()
    limits: Limits = Limits()
    model_limits: dict[str, Limits] = {}
    timeouts: Timeouts = Timeouts()
    retries: int = 1

    def quirks_of(self, model: str) -> Quirks:
        """The quirks of `model` on this backend."""
        quirks = self.quirks
        for pattern, flags in self.model_quirks:
            if fnmatchcase(model.lower(), pattern.lower()):
                quirks = quirks.updated(flags)
        return quirks

    def limits_of(self, model: str) -> Limits:
        """The limits of `model` on this backend."""
        return self.model_limits.get(model, self.limits)


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where one attempt goes: an entry and the model name that it gets."""

    entry: BackendEntry
    model: str
    quirks: Quirks
    limits: Limits


class DiscoveredModel(msgspec.Struct, frozen=True, kw_only=True):
    """One model that a backend's own list has named.

    Attributes:
        id: the name to send upstream.
        display_name: what people call it; empty when the backend does not say.
    """

    id: str
    display_name: str = ""
    limits: Limits = Limits()


class ReasoningStore(Protocol):
    """Thinking text kept for the client: it replays only the signature (section 1.9)."""

    def get(self, key: str) -> str | None:
        """The text stored under a signature or tool id."""
        ...

    def put(self, key: str, text: str) -> None:
        """Keep `text`; old entries give way."""
        ...


def _claim_none(_id: str) -> bool:
    """Whoever keeps no track of ids takes none over."""
    return False


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one attempt may depend on, so that translation is a function of it.

    Attributes:
        request: the downstream request.
        target: where it goes.
        dialect: the dialect to speak, detection done.
        request_id: our `req_…` id of this request.
        entropy: `entropy(n)` gives n random characters of `[A-Za-z0-9]`, for message and tool
            ids of the answer; never used in what goes upstream.
        token_scale: real prompt tokens / raw estimate of this target, learned; 1.0 at first.
            None: nothing learned yet.
        reasoning: the reasoning store.
        secrets: values to redact from anything that leaves.
        dropped: request properties that this target has refused before (section 1.12).
        claim_id: `claim_id(id)` is True the first time that it is asked about a message id of an
            answer; clients merge turns whose ids are equal (section 0, invariant 1).
        images: remote image URLs of the request to data URIs; None where fetching failed.
    """

    request: MessagesRequest
    target: Target
    dialect: Dialect
    request_id: str
    entropy: Callable[[int], str]
    token_scale: float | None = None
    reasoning: ReasoningStore | None = None
    secrets: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    claim_id: Callable[[str], bool] = _claim_none
    images: dict[str, str | None] = {}


class UpstreamRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP request to send upstream, complete.

    Attributes:
        notes: what translation had to drop or repair, as short stable words for the log
            (e.g. `dropped:context_management`); never content.
    """

    url: str
    headers: Headers
    body: bytes
    method: str = "POST"
    notes: tuple[str, ...] = ()


class ResponseHead(msgspec.Struct, frozen=True):
    """Status and headers of an upstream answer; header names in lower case."""

    status: int
    headers: Headers = ()

    def header(self, name: str) -> str | None:
        """The first header called `name` (lower case), or None."""
        for key, value in self.headers:
            if key == name:
                return value
        return None

    @property
    def request_id(self) -> str | None:
        """The server's own id of this request, as far as a header of ours can hold it."""
        found = next(filter(None, map(self.header, _REQUEST_IDS)), None)
        return None if found is None else header_text(found)

    @property
    def content_type(self) -> str:
        """The media type without parameters, lower case; "" when absent."""
        return (self.header("content-type") or "").partition(";")[0].strip().lower()


class ResponseDecoder(Protocol):
    """Turns the bytes of one 2xx upstream answer into frames. Stateful, used once, never raises.

    A failure is a value, not an exception, so that frames decoded before it in the same read are
    not lost and any split of the bytes gives the same result.
    """

    @property
    def is_done(self) -> bool:
        """The answer is complete; whatever the upstream still sends is of no interest."""
        ...

    @property
    def failure(self) -> UpstreamError | None:
        """Why the answer can not be completed; once set, nothing more will be decoded.

        Before the first frame the pipeline may fail over or answer with its status; after it,
        the client gets an `error` event and the connection is closed (section 3.6).
        """
        ...

    @property
    def usage(self) -> Usage | None:
        """Token counts known so far; final once `is_done`."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What was odd about the answer, as short stable words for the log; never content."""
        ...

    @property
    def waits_for_usage(self) -> bool:
        """The answer has ended but for a usage chunk that may still come (section 3.6)."""
        ...

    def feed(self, data: bytes) -> list[Frame]:
        """Frames completed by these bytes."""
        ...

    def end(self) -> list[Frame]:
        """The upstream closed the body, well or not: the remaining frames; may set `failure`."""
        ...

    def settle(self) -> list[Frame]:
        """End cleanly without the usage that did not come; only while `waits_for_usage`."""
        ...


class Exchange(Protocol):
    """One attempt in one dialect: its request, and the state its answer needs to be decoded."""

    @property
    def request(self) -> UpstreamRequest | None:
        """What to send; None when `local` answers without an upstream call."""
        ...

    @property
    def local(self) -> list[Frame]:
        """The frames of an answer made here (model probe, `max_tokens: 0`); else empty."""
        ...

    @property
    def prompt_estimate(self) -> int:
        """Raw, uncalibrated estimate of the prompt in tokens; 0 when none was made."""
        ...

    @property
    def learned(self) -> str | None:
        """The request property that this mended exchange leaves out, if that is what it mends."""
        ...

    def decoder(self, head: ResponseHead) -> ResponseDecoder:
        """A decoder for a 2xx answer, whatever its content type."""
        ...

    def error(self, head: ResponseHead, body: bytes) -> UpstreamError:
        """What a non-2xx answer means. `body` is cut at 1 MiB."""
        ...

    def repaired(self, error: UpstreamError) -> Exchange | None:
        """A mended request to send instead, once, before commit; None when there is none."""
        ...

    def response_headers(self, head: ResponseHead) -> list[tuple[str, str]]:
        """Headers of the answer that the client gets, besides the proxy's own."""
        ...


class Dialect(Protocol):
    """A wire format. Stateless: one instance serves all exchanges."""

    @property
    def name(self) -> str:
        """Its name in configuration and logs: `anthropic` or `openai`."""
        ...

    def exchange(self, call: Call) -> Exchange:
        """Begin one attempt. Raises ProxyError when the request can not be served."""
        ...

    def remote_images(self, call: Call) -> list[str]:
        """URLs of images that must be fetched for `Call.images` before the exchange begins."""
        ...

    def count_request(self, call: Call) -> UpstreamRequest | None:
        """Where to ask for an exact count; None when only an estimate is to be had.

        The answer must be JSON `{"input_tokens": n}`.
        """
        ...

    def estimate_tokens(self, call: Call) -> int:
        """Tokens of `call.request` (tools included), scaled by `call.token_scale`; no I/O."""
        ...


class Backend(msgspec.Struct, frozen=True, kw_only=True):
    """A provider. One file in `backends/` (or one entry point `llmproxyd.backends`) holds one.

    Attributes:
        kind: its `type` in the configuration, in lower case with hyphens.
        dialects: what it can speak; the first is the default. With more than one, `protocol`
            in the configuration chooses, or detection does.
        base_url: used when the configuration gives no `url`; None makes `url` mandatory.
        key_env: environment variable read when no `api_key` is configured.
        needs_key: without a key the backend can not be used.
        takes_client_key: without a configured key, the client's own credential goes up.
        placeholder_key: sent when there is no key at all; some servers insist on one.
        model_quirks: globs of model names to flags.
        limits: what every model of this provider is held to unless the configuration says more.
        is_default: the backend of a daemon without configuration.
    """

    kind: str
    dialects: tuple[Dialect, ...]
    base_url: str | None = None
    key_env: str | None = None
    needs_key: bool = False
    takes_client_key: bool = False
    placeholder_key: str | None = None
    quirks: Quirks = Quirks()
    model_quirks: tuple[tuple[str, dict[str, Any]], ...] = ()
    limits: Limits = Limits()
    timeouts: Timeouts = Timeouts()
    is_default: bool = False


def header_text(value: str) -> str:
    """`value` as far as a header can hold it."""
    text = value[:_HEADER_MAX_CHARS].encode("ascii", "replace").decode()
    return "".join(character if character.isprintable() else "?" for character in text)


def versioned_url(base: str, path: str) -> str:
    """Join a base URL that may or may not end in an API version with `path`.

    `http://h:1/v1` and `http://h:1` both give `http://h:1/v1/messages` for `messages`.
    """
    base = base.rstrip("/")
    last = base.rpartition("/")[2]
    has_version = last[:1] == "v" and last[1:].isdigit()
    return f"{base}/{path}" if has_version else f"{base}/v1/{path}"
