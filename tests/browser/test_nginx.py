"""Behind a real nginx with deploy/nginx.conf, over TLS, at the root of a site and under a path of it."""

from __future__ import annotations

import re
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from ipaddress import IPv4Address
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from playwright.sync_api import expect
from websockets.sync.client import connect
from websockets.typing import Origin

from tests.browser.conftest import Visit
from tests.browser.panel_steps import LiveApp, live_app, question, say, spoken, start, talk
from tests.browser.steps import PATIENCE_MS, replies, wait_for_reply, write
from tests.browser.test_panel import BLOCK_SOCKETS
from tests.running import PROJECT, find_free_port

pytestmark = pytest.mark.slow

WHERE = f"{Path(sys.prefix) / 'nginx/usr/sbin'}:/usr/local/sbin:/usr/sbin"
NGINX = shutil.which("nginx") or shutil.which("nginx", path=WHERE)
PATIENCE_SECONDS = 60

if NGINX is None:
    pytest.skip("No nginx here: tests/install_nginx.sh gets it where there is apt", allow_module_level=True)


@dataclass
class Site:
    """Two of Kaiwa behind one nginx."""

    port: int
    trust: ssl.SSLContext
    apps: dict[str, LiveApp]
    """By the path that each is under."""

    def address(self, path: str, scheme: str = "https") -> str:
        return f"{scheme}://127.0.0.1:{self.port}{path}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("nginx")
    with live_app() as whole, live_app(root_path="/demo") as part:
        port = find_free_port()
        certificate = write_certificate(folder)
        (folder / "kaiwa.conf").write_text(adapt(port, folder, whole.address, part.address))
        (folder / "nginx.conf").write_text(
            f"daemon off; master_process off; pid {folder}/pid; error_log stderr; events {{}}\n"
            f"http {{ access_log off; {place_scratch(folder)} include {folder}/kaiwa.conf; }}\n"
        )
        nginx = subprocess.Popen([str(NGINX), "-p", folder, "-c", folder / "nginx.conf"])
        try:
            site = Site(port, ssl.create_default_context(cafile=certificate), {"/": whole, "/demo/": part})
            wait_until_up(site, nginx)
            yield site
        finally:
            nginx.terminate()
            nginx.wait(10)


def adapt(port: int, folder: Path, whole: str, part: str) -> str:
    """deploy/nginx.conf with both ways of it, on this machine."""
    text = (PROJECT / "deploy/nginx.conf").read_text()
    for pattern, replacement in (
        (r"^( *)#(?! \S)", r"\1"),
        (r"listen 443", f"listen 127.0.0.1:{port}"),
        (r".*listen \[::\].*\n", ""),
        (r"/etc/letsencrypt/\S+/", f"{folder}/"),
        (r"http://127.0.0.1:7860;", f"{whole};"),
        (r"http://127.0.0.1:7860/;", f"{part}/;"),
    ):
        text, count = re.subn(pattern, replacement, text, flags=re.MULTILINE)
        assert count, pattern
    return text


def place_scratch(folder: Path) -> str:
    """Directives that keep nginx's own files where nobody needs to be root."""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    return " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)


def write_certificate(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Kaiwa's test")])
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "fullchain.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "privkey.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "fullchain.pem"


def wait_until_up(site: Site, nginx: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while nginx.poll() is None and time.monotonic() < deadline:
        try:
            httpx.get(site.address("/"), verify=site.trust)
        except httpx.ConnectError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("nginx did not start")


@pytest.mark.parametrize("path", ["/", "/demo/"])
def test_the_page_talks_live_through_nginx(visit: Visit, site: Site, path: str) -> None:
    app = site.apps[path]
    app.will_hear("Which folder should I take?")
    app.will_answer("Take the blue one.", "You are welcome.")
    page = visit(site.address(path), microphone=say(question(1)), ignore_https_errors=True)
    sockets: list[str] = []
    page.on("websocket", lambda socket: sockets.append(socket.url))

    start(page)

    expect(spoken(page)).to_have_text("Take the blue one.", timeout=PATIENCE_MS)
    expect(replies(page)).to_have_text(["Take the blue one."])
    page.locator("#live .end").click()
    write(page, "Thank you!")
    assert wait_for_reply(page, 2) == "You are welcome."
    assert sockets == [site.address(f"{path}v1/realtime", "wss")]


def test_under_a_path_the_lane_of_plain_http_streams_too(visit: Visit, site: Site) -> None:
    app = site.apps["/demo/"]
    app.will_hear("Which folder should I take?")
    app.will_answer("Take the blue one.")
    page = visit(site.address("/demo/"), microphone=say(2.0, question(1)), ignore_https_errors=True)
    page.add_init_script(BLOCK_SOCKETS)
    page.reload()
    expect(talk(page)).to_be_enabled(timeout=PATIENCE_MS)

    start(page)

    expect(spoken(page)).to_have_text("Take the blue one.", timeout=PATIENCE_MS)


@pytest.mark.parametrize("path", ["/", "/demo/"])
def test_programs_chat_through_nginx(site: Site, path: str) -> None:
    site.apps[path].will_answer("Hello yourself.")
    origin = Origin(site.address(""))

    with connect(site.address(f"{path}api/chat", "wss"), ssl=site.trust, origin=origin) as socket:
        socket.send("Hello!")

        assert socket.recv(PATIENCE_SECONDS) == "Hello yourself."
        sound = socket.recv(PATIENCE_SECONDS)
        assert isinstance(sound, bytes)
        assert sound.startswith(b"RIFF")
