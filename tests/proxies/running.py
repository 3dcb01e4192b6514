"""Start real proxies on loopback, each for one test: async context managers that give the port."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import trustme

from tests.support.valkey import UNTIL_PARENT_DIES, free_port
from tests.support.waiting import eventually

PROXIES: Final = Path(__file__).parents[2] / ".venv/proxies"
LOGIN: Final = ("ada", "geheim-1")
_SQUIDS_USER: Final = "proxy"
"""The user of Debian's own that squid becomes: it does not run as root."""


def program(name: str) -> str:
    """Return the path of a program that `make test` installs."""
    found = shutil.which(
        name, path=f"{PROXIES}/usr/sbin:{PROXIES}/usr/bin:{PROXIES}/mitmproxy/bin:{os.environ['PATH']}:/usr/sbin"
    )
    assert found is not None, f"{name} is missing. Install it: make .venv/.installed-proxies"
    return found


@asynccontextmanager
async def tinyproxy(folder: Path, login: tuple[str, str] | None = None) -> AsyncIterator[int]:
    """An HTTP proxy that tunnels to whatever is asked for."""
    port = free_port()
    lines = [f"Port {port}", "Listen 127.0.0.1", "Timeout 600", "MaxClients 20"]
    lines += [f"BasicAuth {login[0]} {login[1]}"] if login else []
    config = _written(folder / "tinyproxy.conf", lines)
    async with _running([program("tinyproxy"), "-d", "-c", str(config)], folder, port):
        yield port


@asynccontextmanager
async def haproxy(folder: Path, upstream_port: int, idle_s: float) -> AsyncIterator[int]:
    """A balancer that cuts connections over which nothing came for a while."""
    port = free_port()
    idle = f"{idle_s * 1000:.0f}ms"
    lines = ["defaults", "  mode tcp", "  timeout connect 5s", f"  timeout client {idle}", f"  timeout server {idle}"]
    lines += ["listen relay", f"  bind 127.0.0.1:{port}", f"  server relay 127.0.0.1:{upstream_port}"]
    config = _written(folder / "haproxy.cfg", lines)
    async with _running([program("haproxy"), "-db", "-f", str(config)], folder, port):
        yield port


@asynccontextmanager
async def mitmproxy(folder: Path, inspector: trustme.CA, upstream: trustme.CA, *options: str) -> AsyncIterator[int]:
    """A proxy that inspects TLS with a CA of its own, `inspector`, and trusts `upstream`."""
    port = free_port()
    both = inspector.private_key_pem.bytes() + inspector.cert_pem.bytes()
    (folder / "mitmproxy-ca.pem").write_bytes(both)
    upstream.cert_pem.write_to_path(folder / "upstream.pem")
    settings = [f"confdir={folder}", f"ssl_verify_upstream_trusted_ca={folder / 'upstream.pem'}", *options]
    command = [program("mitmdump"), "--quiet", "--listen-host", "127.0.0.1", "--listen-port", str(port)]
    async with _running([*command, *(part for each in settings for part in ("--set", each))], folder, port):
        yield port


@asynccontextmanager
async def squid(inspector: trustme.CA, upstream: trustme.CA) -> AsyncIterator[int]:
    """A proxy that inspects TLS with a CA of its own, and knows no HTTP/2.

    It takes all it reads from a folder of its own: the user that it becomes may not be able to read the checkout.
    """
    port = free_port()
    name = f"test{port}"
    with tempfile.TemporaryDirectory(prefix="squid-") as made:
        folder = Path(made)
        (folder / "ca.pem").write_bytes(inspector.private_key_pem.bytes() + inspector.cert_pem.bytes())
        upstream.cert_pem.write_to_path(folder / "upstream.pem")
        makes_certificates = shutil.copy(PROXIES / "usr/lib/squid/security_file_certgen", folder)
        unlinkd = shutil.copy(PROXIES / "usr/lib/squid/unlinkd", folder)
        shutil.copytree(PROXIES / "usr/share/squid/errors/templates", folder / "errors")
        shutil.copytree(PROXIES / "usr/share/squid/icons", folder / "icons")
        shutil.copy(PROXIES / "usr/share/squid/mime.conf", folder)
        made_db = await asyncio.create_subprocess_exec(
            makes_certificates, "-c", "-s", str(folder / "certificates"), "-M", "4MB", stdout=asyncio.subprocess.DEVNULL
        )
        assert await made_db.wait() == 0
        lines = [
            f"http_port 127.0.0.1:{port} ssl-bump generate-host-certificates=on dynamic_cert_mem_cache_size=4MB tls-cert={folder}/ca.pem",
            f"sslcrtd_program {makes_certificates} -s {folder}/certificates -M 4MB",
            f"unlinkd_program {unlinkd}",
            "sslcrtd_children 2 startup=1 idle=1",
            f"tls_outgoing_options cafile={folder}/upstream.pem",
            "acl step1 at_step SslBump1", "ssl_bump peek step1", "ssl_bump bump all", "http_access allow all",
            f"error_directory {folder}/errors", f"icon_directory {folder}/icons", f"mime_table {folder}/mime.conf",
            f"coredump_dir {folder}", f"cache_log {folder}/cache.log", "access_log none", "pid_filename none",
            "cache deny all", "cache_mem 4 MB", "memory_cache_shared off", "sslproxy_session_cache_size 0", "shutdown_lifetime 0 seconds",
            "pinger_enable off", "visible_hostname squid.test", "max_filedescriptors 512",
        ]  # fmt: skip
        if os.geteuid() == 0:
            lines.append(f"cache_effective_user {_SQUIDS_USER}")
        config = _written(folder / "squid.conf", lines)
        _give_to_squid(folder)
        try:
            async with _running([program("squid"), "-n", name, "-N", "-f", str(config)], folder, port):
                yield port
        finally:
            _unlink_shared_memory(name)


def _give_to_squid(folder: Path) -> None:
    if os.geteuid() == 0:
        owner = pwd.getpwnam(_SQUIDS_USER)
        for path in (folder, *folder.rglob("*")):
            os.chown(path, owner.pw_uid, owner.pw_gid)


def _unlink_shared_memory(name: str) -> None:
    for left in Path("/dev/shm").glob(f"{name}-*"):
        left.unlink()


def _written(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


@asynccontextmanager
async def _running(command: list[str], folder: Path, port: int) -> AsyncIterator[None]:
    """Run a program until the block ends. It begins when the program listens."""
    output = folder / "output"
    with output.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-S", "-c", UNTIL_PARENT_DIES, str(os.getpid()), *command),
            cwd=folder,
            env=_environ(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )

    async def listens() -> bool:
        assert process.returncode is None, output.read_text(errors="replace")[-2000:]
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            await writer.wait_closed()
            return True
        return False

    try:
        await eventually(listens, 60.0, lambda: output.read_text(errors="replace")[-2000:])
        yield
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 30)
        except TimeoutError:
            process.kill()
            await process.wait()


def _environ() -> Mapping[str, str]:
    """Return the environment of a program: with Debian's libraries that are unpacked beside it, and without Python's settings."""
    libraries = [str(path) for where in ("usr/lib", "lib") for path in (PROXIES / where).glob("*-linux-gnu")]
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
    return {**kept, "LD_LIBRARY_PATH": ":".join(libraries)}
