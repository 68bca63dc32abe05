"""The composition root: builds every object once, starts them in order, stops them in reverse.

Start: configuration → log → lock → sockets → what outlives reloads → both servers → ready.
Stop: no new requests → drain → servers → upstream connections → sockets → lock.
"""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Final, TextIO

import msgspec
import platformdirs
from aiohttp import web
from structlog.typing import FilteringBoundLogger

from llmproxyd.cache.ids import RecentIds
from llmproxyd.cache.reasoning import ReasoningCache
from llmproxyd.control import schema
from llmproxyd.control.app import serve_control
from llmproxyd.downstream.app import Proxied, ProxyApp
from llmproxyd.downstream.models import ModelLists
from llmproxyd.errors import ConfigError
from llmproxyd.ledger.calibration import Calibration
from llmproxyd.ledger.counters import Counters
from llmproxyd.pipeline import Pipeline, Services
from llmproxyd.registry import discover
from llmproxyd.reload.entries import World
from llmproxyd.reload.files import ConfigFile, ConfigLoader
from llmproxyd.reload.snapshot import Snapshot, compile_snapshot
from llmproxyd.reload.store import SnapshotStore
from llmproxyd.reload.watch import Reloader
from llmproxyd.service.lifecycle import Lifecycle
from llmproxyd.service.lock import instance_lock
from llmproxyd.service.logs import Logs, wants_color
from llmproxyd.service.ready import Ready, StartupError
from llmproxyd.service.signals import signal_handlers
from llmproxyd.service.sockets import control_listener, private_dir, proxy_listeners
from llmproxyd.service.state import StateFile
from llmproxyd.service.tasks import Tasks
from llmproxyd.standing import Sources, Standing
from llmproxyd.upstream.client import UpstreamClient
from llmproxyd.upstream.credentials import key_reader
from llmproxyd.upstream.discovery import ModelDiscovery
from llmproxyd.upstream.images import ImageFetcher
from llmproxyd.upstream.probe import ProtocolProbe, detect_quietly

# Downstream connections without a request are closed after this long.
_KEEPALIVE_S: Final = 75.0
# A request line or header may be this long; aiohttp's own 8 KiB is less than some backends take.
_MAX_HEADER_BYTES: Final = 64 * 1024
# After the drain only handlers that are ending anyway are left.
_SHUTDOWN_S: Final = 2.0
# Servers that were down come up, and model lists change rarely.
_EXPLORE_INTERVAL_S: Final = 300.0
# How long the event loop waits for its turn while a thread works on a long request; default 5 ms.
_SWITCH_S: Final = 0.001
_ALPHANUMERIC = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_TO_ALPHANUMERIC = bytes(_ALPHANUMERIC[byte % len(_ALPHANUMERIC)] for byte in range(256))


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """The command line."""

    config: str | None = None
    host: str | None = None
    port: str | None = None
    socket: str | None = None
    ready_fd: int | None = None


def run(options: Options, stderr: TextIO) -> int:
    """Run a daemon to its end; the exit code. Errors of the start are said on `stderr`."""
    ready = Ready(options.ready_fd)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(options, os.environ, ready, stderr))
    except StartupError as error:
        stderr.write(f"llmproxyd: {error.message}\n")
        ready.failed(error)
        return error.exit_code
    return schema.EXIT_OK


async def _serve(
    options: Options, environ: Mapping[str, str], ready: Ready, stderr: TextIO
) -> None:
    """Everything between the command line and the last connection."""
    loaded = _load(options, environ, stderr)
    store = loaded.store
    lifecycle = Lifecycle(time.monotonic)
    reload_wanted = asyncio.Event()
    async with AsyncExitStack() as stack:
        # Outermost, so that a signal during the last steps does not cut them short.
        stack.enter_context(
            signal_handlers(
                drain=lambda: lifecycle.request_stop(store.current.config.server.drain_timeout_s),
                stop_now=lambda: lifecycle.request_stop(0),
                reload=reload_wanted.set,
            )
        )
        logs = Logs(
            store.current.config.log,
            stderr,
            lambda: store.current.secrets,
            color=wants_color(stderr, environ),
        )
        stack.callback(logs.close)
        claimed = _claim(options, environ, store.current, stack)
        memory = await _open_memory(logs.logger, stack)
        services, tasks = _open_services(environ, memory, logs.logger, stack)
        house = _build(loaded, claimed, lifecycle, services, tasks, logs.logger)
        control = await serve_control(house.standing, claimed.control, logs.logger)
        stack.push_async_callback(control.cleanup)
        proxy = await _serve_proxy(house.app, claimed.listeners)
        stack.push_async_callback(proxy.cleanup)
        tasks.spawn(house.standing.reload_whenever(reload_wanted), name="reload on HUP")
        _keep_pauses_short()
        lifecycle.set_ready()
        status = house.standing.status()
        logs.logger.info("daemon_started", base_url=status.base_url, backend=status.active)
        ready.ok(schema.to_json(status))
        await lifecycle.stop_requested()
        await _drain(lifecycle, house.pipeline, proxy, logs.logger)


class Loaded(msgspec.Struct, frozen=True):
    """The configuration in force, and how to read it again."""

    path: Path
    loader: ConfigLoader
    world: World
    store: SnapshotStore


def _load(options: Options, environ: Mapping[str, str], stderr: TextIO) -> Loaded:
    """Read and compile the configuration; every problem of it ends the start."""
    path = Path(options.config).expanduser().absolute() if options.config else _default_config()
    given = {"--host": options.host, "--port": options.port}
    loader = ConfigLoader(ConfigFile(path, is_required=bool(options.config)), environ, given)
    kinds = discover(lambda problem: print(f"llmproxyd: {problem}", file=stderr))
    world = World(kinds=kinds, env=environ, read_key=key_reader(path.parent))
    try:
        first = compile_snapshot(loader.load(), world, generation=1, loaded_at_s=_unix_time())
    except ConfigError as error:
        raise StartupError(str(error), exit_code=schema.EXIT_NOT_CONFIGURED) from None
    return Loaded(path, loader, world, SnapshotStore(first))


class Claimed(msgspec.Struct, frozen=True):
    """What only one daemon can have: its lock and its sockets."""

    control_path: Path
    control: socket.socket
    listeners: list[socket.socket]


def _claim(
    options: Options, environ: Mapping[str, str], snapshot: Snapshot, stack: AsyncExitStack
) -> Claimed:
    try:
        path = schema.choose_socket_path(
            options.socket, environ, sys.platform, os.getuid(), Path.home()
        )
    except PermissionError as error:
        raise StartupError(f"{error}; or choose a --socket elsewhere") from None
    private_dir(path.parent)
    lock = stack.enter_context(instance_lock(schema.lock_path(path)))
    control = stack.enter_context(control_listener(path, lock))
    listeners = proxy_listeners(snapshot.config.server.host, snapshot.config.server.port)
    for listener in listeners:
        stack.callback(listener.close)
    return Claimed(path, control, listeners)


class House(msgspec.Struct, frozen=True):
    """The parts that the servers and the end of the daemon need."""

    app: ProxyApp
    standing: Standing
    pipeline: Pipeline


class Memory(msgspec.Struct, frozen=True):
    """What was learned from answers; outlives the process."""

    reasoning: ReasoningCache
    calibration: Calibration


async def _open_memory(log: FilteringBoundLogger, stack: AsyncExitStack) -> Memory:
    """Read what earlier daemons have learned; what is learned from now on is added to it."""
    state = StateFile(platformdirs.user_state_path("llmproxyd") / "state.db", log)
    stack.push_async_callback(state.close)
    rows = await state.open()
    memory = Memory(
        ReasoningCache(partial(state.set, "reasoning")),
        Calibration(partial(state.set, "calibration")),
    )
    memory.reasoning.restore(rows.get("reasoning", ()))
    memory.calibration.restore(rows.get("calibration", ()))
    return memory


def _open_services(
    environ: Mapping[str, str], memory: Memory, log: FilteringBoundLogger, stack: AsyncExitStack
) -> tuple[Services, Tasks]:
    """What outlives reloads; closed by `stack`."""
    client, images, tasks = UpstreamClient(environ), ImageFetcher(), Tasks(log)
    for close in (client.close, images.close, tasks.close):
        stack.push_async_callback(close)
    services = Services(
        client=client,
        probe=ProtocolProbe(client),
        calibration=memory.calibration,
        counters=Counters(),
        reasoning=memory.reasoning,
        claim_id=RecentIds().claim,
        images=images,
        spawner=tasks,
        entropy=_entropy,
        clock=time.monotonic,
        log=log,
    )
    return services, tasks


def _build(
    loaded: Loaded,
    claimed: Claimed,
    lifecycle: Lifecycle,
    services: Services,
    tasks: Tasks,
    log: FilteringBoundLogger,
) -> House:
    """Wire the parts to each other."""
    pipeline = Pipeline(services)
    discovery = ModelDiscovery(services.client)
    reloader = Reloader(loaded.store, loaded.loader.load, loaded.world, _unix_time, log)
    standing = Standing(
        Sources(
            store=loaded.store,
            reloader=reloader,
            lifecycle=lifecycle,
            probe=services.probe,
            counters=services.counters,
            clock=time.monotonic,
            listener=claimed.listeners[0],
            socket_path=claimed.control_path,
            config_path=loaded.path,
        )
    )
    app = ProxyApp(
        Proxied(
            pipeline=pipeline,
            store=loaded.store,
            admission=lifecycle,
            models=ModelLists(discovery),
            health=standing.health,
            entropy=_entropy,
            clock=time.monotonic,
            unix_time=_unix_time,
            log=log,
            is_loopback_only=all(map(_is_loopback, claimed.listeners)),
        )
    )
    explorer = Explorer(loaded.store, services.probe, discovery, tasks)
    reloader.on_swap.append(explorer.follow)
    tasks.spawn(explorer.keep_exploring(), name="explore backends")
    return House(app, standing, pipeline)


class Explorer:
    """Finds out about backends ahead of the first request: their dialect, their models."""

    def __init__(
        self, store: SnapshotStore, probe: ProtocolProbe, discovery: ModelDiscovery, tasks: Tasks
    ) -> None:
        self._store = store
        self._probe = probe
        self._discovery = discovery
        self._tasks = tasks

    def follow(self, old: Snapshot, new: Snapshot) -> None:
        """Explore the backends of a snapshot that has come into force."""
        if old.entries != new.entries:
            self._tasks.spawn(self._explore(new), name="explore backends")

    async def keep_exploring(self) -> None:
        """Explore now and then, for as long as the task lives."""
        while True:
            await self._explore(self._store.current)
            await asyncio.sleep(_EXPLORE_INTERVAL_S)

    async def _explore(self, snapshot: Snapshot) -> None:
        entries = snapshot.entries.values()
        await asyncio.gather(*[detect_quietly(self._probe, entry) for entry in entries])
        await self._discovery.refresh(entries)


async def _serve_proxy(app: ProxyApp, listeners: list[socket.socket]) -> web.ServerRunner:
    server = web.Server(
        app.handle,
        access_log=None,
        handler_cancellation=True,  # a client that leaves must stop its upstream (ADR 7)
        keepalive_timeout=_KEEPALIVE_S,
        max_line_size=_MAX_HEADER_BYTES,
        max_field_size=_MAX_HEADER_BYTES,
    )
    runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_S)
    await runner.setup()
    for listener in listeners:
        await web.SockSite(runner, listener).start()
    return runner


async def _drain(
    lifecycle: Lifecycle, pipeline: Pipeline, proxy: web.ServerRunner, log: FilteringBoundLogger
) -> None:
    """No new connections; finish what is in flight, or end it with an `overloaded_error`."""
    log.info("drain_started", in_flight=len(lifecycle.in_flight))
    for site in tuple(proxy.sites):
        await site.stop()
    is_drained = await lifecycle.drain()
    if not is_drained:
        await pipeline.abort()
    lifecycle.set_stopped()
    log.info("drain_finished", is_complete=is_drained)


def _keep_pauses_short() -> None:
    """Let streams wait for other work of the interpreter as little as can be.

    What was built so far stays; the garbage collector need not go over it ever again. That took
    37 ms each time, which long requests brought about at every fourth.
    """
    sys.setswitchinterval(_SWITCH_S)
    gc.collect()
    gc.freeze()


def _default_config() -> Path:
    return platformdirs.user_config_path("llmproxyd") / "config.toml"


def _is_loopback(listener: socket.socket) -> bool:
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback


def _entropy(count: int) -> str:
    """`count` random characters of [A-Za-z0-9]."""
    return os.urandom(count).translate(_TO_ALPHANUMERIC).decode()


def _unix_time() -> float:
    return time.time()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it is installed; asyncio's own loop elsewhere."""
    try:
        import uvloop  # noqa: PLC0415 - not on every platform
    except ImportError:
        return None
    return uvloop.new_event_loop
