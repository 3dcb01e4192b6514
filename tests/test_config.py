"""Settings: where they come from, and how what is wrong is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from console.settings import console_settings
from onboarding.settings import WebSettings, web_settings
from relay.alerts.settings import alert_settings
from relay.core.push.subscription import SubscriptionPolicy
from relay.edge.settings import EdgeSettings, edge_settings
from relay.graph.push.certificates import make
from relay.settings import env
from relay.settings.env import SettingsInvalid, duration, retired_in_use, shown_value
from relay.settings.load import Settings, load
from relay.settings.roles import Role, needs_of
from relay.store.sealing.keyring import make_ring
from relay.store.sealing.signing import Purpose, public_set
from relay.webhook.settings import WebhookSettings, webhook_settings
from relay.worker.settings import WorkerSettings, worker_settings
from tests.support.ring import RING, RING_JSON

AUTHORITY = trustme.CA()


def worker_settings_of(settings: Settings) -> WorkerSettings:
    """Return what the worker gets, as `app` puts it together."""
    return worker_settings(
        settings.worker,
        settings.poll,
        settings.watch,
        settings.subscription,
        push=settings.push_settings(),
        alerts=alert_settings(settings.mail, settings.notice, settings.web),
    )


def faults(*needs: str) -> list[str]:
    with pytest.raises(SettingsInvalid) as caught:
        load(needs)
    return caught.value.faults


@pytest.fixture
def variable(monkeypatch: pytest.MonkeyPatch):
    return monkeypatch.setenv


@pytest.fixture
def working(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Variables and files with which all roles can run."""
    leaf = AUTHORITY.issue_cert("localhost")
    files = {
        "RELAY_EDGE_TLS_CERT": leaf.cert_chain_pems[0].bytes(),
        "RELAY_EDGE_TLS_KEY": leaf.private_key_pem.bytes(),
        "RELAY_VAULT_KEY_RING": make_ring("k1", now_s=1).encode(),
        "RELAY_CLOUD_CLIENT_SECRET": b"a-secret\n",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        monkeypatch.setenv(f"{name}_FILE", str(tmp_path / name))
    monkeypatch.setenv("RELAY_REDIS_URL", "rediss://:hunter2@redis:6379")
    monkeypatch.setenv("RELAY_CLOUD_CLIENT_ID", "11111111-1111-1111-1111-111111111111")
    return tmp_path


def test_everything_wrong_is_told_at_once_under_the_name_of_its_variable(variable):
    variable("RELAY_REDIS_URL", "localhost:6379")
    variable("RELAY_VAULT_REPLICAS", "-1")
    variable("RELAY_VAULT_KEY_RING", "{}")
    variable("RELAY_CLOUD", "mars")
    variable("RELAY_POLL_INTERVAL", "often")
    variable("RELAY_EDGE_TLS_KEY_FILE", "/does/not/exist")
    variable("RELAY_WORKER_LEASE", "10ms")
    variable("RELAY_OPS_PORT", "99999")
    variable("RELAY_LOG_LEVEL", "loud")

    found = faults(*needs_of(Role))

    assert [fault.split(":")[0].split(" ")[0] for fault in found] == [
        "RELAY_REDIS_URL",
        "RELAY_VAULT_REPLICAS",
        "RELAY_VAULT_KEY_RING",
        "RELAY_CLOUD",
        "RELAY_POLL_INTERVAL",
        "RELAY_EDGE_TLS_KEY",
        "RELAY_WORKER_LEASE",
        "RELAY_LOG_LEVEL",
        "RELAY_OPS_PORT",
        "RELAY_EDGE_TLS_CERT",
        "RELAY_CLOUD_CLIENT_ID",
        "RELAY_CLOUD_CLIENT_SECRET",
        "RELAY_WEB_PUBLIC_URL",
        "RELAY_WEB_SUITE_ADDRESS",
        "RELAY_CONSOLE_URL",
    ]
    assert "RELAY_CLOUD: 'mars' is not one of global, gcc-high, dod or custom" in found
    assert "RELAY_WORKER_LEASE: '10ms' is too small; at least 1 second" in found


def test_what_a_role_needs_and_nobody_set_is_named_with_all_ways_to_set_it():
    found = faults(*needs_of([Role.EDGE]))
    assert [fault.split(":")[0] for fault in found] == [
        "RELAY_REDIS_URL (or RELAY_REDIS_URL_FILE)",
        "RELAY_EDGE_TLS_CERT (or RELAY_EDGE_TLS_CERT_FILE)",
        "RELAY_EDGE_TLS_KEY (or RELAY_EDGE_TLS_KEY_FILE)",
        "RELAY_EDGE_MARK_KEYS (or RELAY_EDGE_MARK_KEYS_FILE)",
    ]
    assert "presence-relay keyring public" in found[-1]


def test_an_edge_needs_nothing_of_microsoft_and_no_key_ring(working, variable, monkeypatch):
    variable("RELAY_EDGE_MARK_KEYS", public_set(RING, Purpose.SUITE_KEY))
    for name in ("RELAY_CLOUD_CLIENT_ID", "RELAY_CLOUD_CLIENT_SECRET_FILE", "RELAY_VAULT_KEY_RING_FILE"):
        monkeypatch.delenv(name)
    assert load(needs_of([Role.EDGE])).edge_marks().kids == ("test",)


def test_where_the_key_ring_is_an_edge_needs_no_file_of_public_keys(working):
    assert load(needs_of([Role.EDGE])).edge_marks().kids == ("k1",)


def test_a_secret_key_where_public_ones_belong_is_a_fault(variable):
    variable("RELAY_EDGE_MARK_KEYS", RING_JSON)
    assert faults() == [
        "RELAY_EDGE_MARK_KEYS: cannot be used: these are secret keys; give only the public keys, which an edge may have"
    ]


def test_a_secret_given_twice_is_a_fault(working, variable):
    variable("RELAY_CLOUD_CLIENT_SECRET", "another")
    assert faults() == ["RELAY_CLOUD_CLIENT_SECRET: is given twice, also as RELAY_CLOUD_CLIENT_SECRET_FILE; keep one"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "which is empty"),
        (b" \n", "which is empty"),
        (b"\xff\xfe", "which is empty"),
        (b"\xff\xffa", "holds no text"),
        (b"x" * 2_000_000, "too long"),
    ],
)
def test_a_file_without_a_usable_secret_is_a_fault(working, content, said):
    (working / "RELAY_CLOUD_CLIENT_SECRET").write_bytes(content)
    assert said in faults()[0]


def test_a_misspelled_variable_is_a_fault_that_names_the_right_one(working, variable):
    variable("RELAY_POLL_INTERVALL", "3s")
    assert faults() == ["RELAY_POLL_INTERVALL: there is no such setting; did you mean RELAY_POLL_INTERVAL?"]


def test_a_setting_of_the_last_release_without_effect_is_no_fault_and_is_named(working, variable, monkeypatch):
    monkeypatch.setattr(env, "RETIRED", frozenset({"RELAY_POLL_OF_OLD"}))
    variable("RELAY_POLL_OF_OLD", "0.5")
    load()
    assert retired_in_use() == ["RELAY_POLL_OF_OLD"]


def test_the_share_of_traces_is_between_0_and_1_and_one_in_a_hundred_when_nobody_says(working, variable):
    assert load().telemetry_settings((), {}).trace_share == 0.01
    variable("RELAY_TELEMETRY_TRACE_SHARE", "0.5")
    assert load().telemetry_settings((), {}).trace_share == 0.5
    for wrong in ("-0.1", "1.1", "nan", "all"):
        variable("RELAY_TELEMETRY_TRACE_SHARE", wrong)
        assert faults()[0].startswith("RELAY_TELEMETRY_TRACE_SHARE")


def test_what_kubernetes_sets_for_services_is_no_fault(working, variable):
    variable("RELAY_WEBHOOK_SERVICE_HOST", "10.0.0.1")
    variable("RELAY_WEBHOOK_PORT_443_TCP_ADDR", "10.0.0.1")
    load()


def test_a_port_that_kubernetes_took_over_is_explained(working, variable):
    variable("RELAY_EDGE_PORT", "tcp://10.0.0.1:443")
    assert "enableServiceLinks: false" in faults()[0]


def test_a_custom_cloud_needs_both_addresses_and_no_other_cloud_takes_them(working, variable):
    variable("RELAY_CLOUD", "custom")
    variable("RELAY_CLOUD_GRAPH_URL", "https://graph.example")
    assert faults() == ["RELAY_CLOUD_AUTHORITY_URL: must be set when RELAY_CLOUD is custom"]
    variable("RELAY_CLOUD", "dod")
    assert faults() == ["RELAY_CLOUD_GRAPH_URL: must not be set unless RELAY_CLOUD is custom"]


@pytest.mark.parametrize(
    ("roles", "said"),
    [
        ("Global Administrator", "no role template id"),
        ("62e90394-69f5-4237-9190-012177145e10, b79fbf4d-3ef9-4689-8143-76b194e85509", "every user or guest has it"),
        ("10DAE51F-B6AF-4016-8D66-8C2A99B929B3", "every user or guest has it"),
    ],
)
def test_roles_that_are_no_administrators_are_a_fault(working, variable, roles, said):
    variable("RELAY_WEB_MANAGER_ROLES", roles)
    assert [said in fault for fault in faults() if "RELAY_WEB_MANAGER_ROLES" in fault] == [True]


def test_a_key_that_is_not_the_certificates_is_a_fault(working):
    (working / "RELAY_EDGE_TLS_KEY").write_bytes(AUTHORITY.issue_cert("other").private_key_pem.bytes())
    assert faults() == ["RELAY_EDGE_TLS_KEY: is not the key of RELAY_EDGE_TLS_CERT"]


def test_a_client_certificate_beside_a_client_secret_is_a_fault(working, variable):
    leaf = AUTHORITY.issue_cert("relay")
    variable("RELAY_CLOUD_CERTIFICATE", leaf.cert_chain_pems[0].bytes().decode())
    found = faults()
    assert "RELAY_CLOUD_CLIENT_SECRET: is set together with RELAY_CLOUD_CERTIFICATE; keep one of the two" in found
    assert "RELAY_CLOUD_PRIVATE_KEY: must be set too, certificate and private key belong together" in found


@pytest.mark.parametrize(
    "name", ["RELAY_EDGE_TLS_KEY", "RELAY_VAULT_KEY_RING", "RELAY_CLOUD_PRIVATE_KEY", "RELAY_REDIS_URL"]
)
def test_no_fault_repeats_a_secret(variable, name):
    variable(name, "hunter2hunter2")
    assert "hunter2" not in str(faults())


def test_secrets_do_not_show(working):
    shown = repr(load(needs_of([Role.EDGE, Role.WORKER])))
    assert "hunter2" not in shown
    assert "a-secret" not in shown
    assert "PRIVATE KEY" not in shown


def test_settings_reach_the_parts_that_use_them(working, variable):
    variable("RELAY_POLL_INTERVAL", "2500ms")
    variable("RELAY_POLL_COUNT_IDS", "true")
    variable("RELAY_WATCH_LINGER", "1m")
    variable("RELAY_WORKER_LEASE", "9s")
    variable("RELAY_EDGE_PORT", "0")
    variable("RELAY_VAULT_REPLICAS", "1")
    variable("RELAY_CLOUD", "dod")
    variable("RELAY_WEB_PUBLIC_URL", "https://relay.example")
    variable("RELAY_WEB_SUITE_ADDRESS", "relay.example:443")
    variable("RELAY_CONSOLE_URL", "https://console.internal")
    variable("RELAY_CONSOLE_TENANT", "6B5F4A3E-1111-4222-8333-944445555666")
    variable("RELAY_CONSOLE_CLIENT_ID", "console-app")
    variable("RELAY_CONSOLE_CLIENT_SECRET", "another-secret")
    variable("RELAY_CONSOLE_GROUPS", "99999999-0000-4000-8000-00000000000A")

    settings = load(needs_of(Role))

    console = console_settings(settings.console, settings.web, settings.http)
    assert console.redirect_uri == "https://console.internal/console/callback"
    assert console.entra is not None
    assert console.entra.tenant_id == "6b5f4a3e-1111-4222-8333-944445555666"
    assert console.entra.reader_role == "Relay.Read"
    assert (console.entra.role, console.entra.groups) == ("Relay.Operate", {"99999999-0000-4000-8000-00000000000a"})
    assert settings.console_graph_settings().client_id == "console-app"
    assert settings.console_graph_settings().client_secret == "another-secret"
    assert settings.console_graph_settings().graph_url == "https://dod-graph.microsoft.us"

    web = web_settings(settings.web, settings.http, push=settings.push_settings(), has_mail=settings.mail.is_sent)
    worker = worker_settings_of(settings)
    edge = edge_settings(settings.edge, settings.watch, settings.poll)

    assert web.redirect_uri == "https://relay.example/onboarding/callback"
    assert worker.poll_interval == timedelta(seconds=2.5)
    assert worker.watch_linger == timedelta(minutes=1)
    assert worker.lease_renewal == timedelta(seconds=3)
    assert worker.budget.count_ids
    assert edge.port == 0
    assert (edge.tls_key_pem or b"").startswith(b"-----BEGIN")
    assert settings.store_settings().url == "rediss://:hunter2@redis:6379"
    assert settings.store_settings().replicas == 1
    assert settings.cloud.graph_settings().graph_url == "https://dod-graph.microsoft.us"
    assert settings.cloud.graph_settings().client_secret == "a-secret"
    assert settings.key_ring().newest == "k1"


CONSOLE = {
    "url": "https://console.internal", "tenant": "6b5f4a3e-1111-4222-8333-944445555666", "client_id": "console-app",
    "client_secret": "another-secret",
}  # fmt: skip
TRIAL = {"url": "http://localhost:8082", "tenant": "", "client_id": "", "client_secret": "", "token": "x" * 32}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"url": "https://relay.example"}, "RELAY_CONSOLE_URL: is the host of RELAY_WEB_PUBLIC_URL"),
        ({"url": "https://relay.example:8443"}, "RELAY_CONSOLE_URL: is the host of RELAY_WEB_PUBLIC_URL"),
        ({"url": "https://console.internal/path"}, "without a path"),
        ({"url": "http://console.internal"}, "must be https"),
        ({"tenant": "contoso.example"}, "is not a tenant id"),
        ({"tenant": ""}, "RELAY_CONSOLE_TENANT: must be set"),
        ({"client_id": ""}, "RELAY_CONSOLE_CLIENT_ID: must be set"),
        ({"client_secret": ""}, "RELAY_CONSOLE_CLIENT_SECRET: must be set"),
        ({"role": " "}, "RELAY_CONSOLE_ROLE: must be set"),
        ({"reader_role": " Relay.Operate"}, "RELAY_CONSOLE_READER_ROLE: is the same as RELAY_CONSOLE_ROLE"),
        ({"groups": "operators"}, "no object id of a group"),
        ({"recheck": "2h"}, "RELAY_CONSOLE_RECHECK"),
        ({"token": "x" * 32}, "keep one way to sign in"),
        ({**TRIAL, "token": "short"}, "must have 32 printable characters"),
        ({**TRIAL, "url": "https://console.internal"}, "is for a trial"),
    ],
)
def test_a_console_that_would_be_public_or_let_everybody_in_is_refused(variable, changes, said):
    variable("RELAY_WEB_PUBLIC_URL", "https://relay.example")
    for name, value in {**CONSOLE, **changes}.items():
        if value:
            variable(f"RELAY_CONSOLE_{name.upper()}", value)
    assert said in "\n".join(faults())


def test_a_console_with_a_token_on_this_machine_is_a_trial(working, variable):
    variable("RELAY_WEB_PUBLIC_URL", "https://localhost:8445")
    variable("RELAY_CONSOLE_URL", "https://localhost:8447")
    variable("RELAY_CONSOLE_TOKEN", "x" * 32)
    settings = load(needs_of([Role.CONSOLE]))
    console = console_settings(settings.console, settings.web, settings.http)
    assert (console.token, console.entra, console.host) == ("x" * 32, None, "127.0.0.1")
    assert "x" * 32 not in repr(settings)
    assert "x" * 32 not in repr(console)


def test_what_the_operator_leaves_out_is_what_the_roles_have_by_themselves(variable):
    variable("RELAY_WEB_PUBLIC_URL", "https://relay.example")
    settings = load()
    edge = edge_settings(settings.edge, settings.watch, settings.poll)
    web = web_settings(settings.web, settings.http, push=None, has_mail=False)
    webhook = webhook_settings(settings.webhook, settings.http)
    worker = worker_settings_of(settings)
    assert edge == replace(EdgeSettings(), port=edge.port)
    assert web == WebSettings(public_url="https://relay.example", suite_address="")
    assert webhook == WebhookSettings()
    assert worker == replace(WorkerSettings(), alerts=worker.alerts)


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    folder = tmp_path / "certificates"
    folder.mkdir()
    (folder / "first.pem").write_bytes(make("first", datetime.now(UTC)))
    return folder


def test_a_webhook_needs_redis_and_the_name_of_its_application_and_no_secret(working, monkeypatch):
    for name in ("RELAY_CLOUD_CLIENT_SECRET_FILE", "RELAY_VAULT_KEY_RING_FILE", "RELAY_EDGE_TLS_CERT_FILE"):
        monkeypatch.delenv(name)
    settings = load(needs_of([Role.WEBHOOK]))
    assert settings.cloud.public_settings().anonymous
    assert webhook_settings(settings.webhook, settings.http).port == 8081


def test_workers_subscribe_when_address_and_certificates_are_there(working, variable, certificates):
    assert worker_settings_of(load(needs_of([Role.WORKER]))).push is None
    variable("RELAY_WEBHOOK_URL", "https://hook.example/")
    variable("RELAY_WEBHOOK_CERTIFICATES", str(certificates))
    variable("RELAY_POLL_RECONCILE_INTERVAL", "2m")
    settings = worker_settings_of(load(needs_of([Role.WORKER])))
    assert settings.push is not None
    assert settings.push.url_base == "https://hook.example/notifications/"
    assert settings.push.certificates.newest.certificate_id.startswith("first.")
    assert settings.reconcile_interval == timedelta(minutes=2)


def test_the_times_of_subscriptions_are_those_of_the_rules_unless_they_are_set(working, variable):
    assert load().subscription.policy() == SubscriptionPolicy()
    assert worker_settings_of(load()).announced_within == WorkerSettings().announced_within
    for name, value in {
        "USERS": "20", "LIFE": "20s", "RENEW_AFTER": "10s", "GATHER": "100ms", "REMAKE_SOON": "1s", "REMAKE_LATE": "2s",
        "RETRY_LEAST": "500ms", "RETRY_MOST": "5s", "LOOK_AFTER": "3s", "ANNOUNCED_WITHIN": "4s", "SILENT_PAUSE": "6s",
    }.items():  # fmt: skip
        variable(f"RELAY_SUBSCRIPTION_{name}", value)
    settings = worker_settings_of(load())
    assert settings.subscription_size == 20
    assert settings.announced_within == timedelta(seconds=4)
    assert settings.subscriptions == SubscriptionPolicy(
        life=timedelta(seconds=20),
        renew_least=timedelta(seconds=10),
        renew_most=timedelta(seconds=12),
        gather=timedelta(milliseconds=100),
        remake_soon=timedelta(seconds=1),
        remake_late=timedelta(seconds=2),
        retry_least=timedelta(milliseconds=500),
        retry_most=timedelta(seconds=5),
        look_after=timedelta(seconds=3),
        silent_pause=timedelta(seconds=6),
    )


def test_times_of_subscriptions_that_cannot_be_are_told(variable):
    variable("RELAY_SUBSCRIPTION_RENEW_AFTER", "50m")
    variable("RELAY_SUBSCRIPTION_RETRY_LEAST", "2h")
    assert [fault.split(":")[0] for fault in faults()] == [
        "RELAY_SUBSCRIPTION_RENEW_AFTER",
        "RELAY_SUBSCRIPTION_RETRY_LEAST",
    ]


@pytest.mark.parametrize("cloud", ["gcc-high", "dod"])
def test_clouds_without_notifications_are_never_asked_for_them(working, variable, certificates, cloud):
    variable("RELAY_CLOUD", cloud)
    variable("RELAY_WEBHOOK_URL", "https://hook.example")
    variable("RELAY_WEBHOOK_CERTIFICATES", str(certificates))
    assert worker_settings_of(load(needs_of([Role.WORKER]))).push is None


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("URL", "http://hook.example", "must begin with https://"),
        ("URL", "https://hook.example/path", "without a path"),
        ("URL", "https://hook.example", "RELAY_WEBHOOK_CERTIFICATES: must be set too"),
        ("CERTIFICATES", "/no/such/folder", "/no/such/folder cannot be read"),
        ("TLS_CERT", "nonsense", "not a certificate in PEM form"),
    ],
)
def test_what_cannot_work_for_notifications_is_told(variable, name, value, said):
    variable(f"RELAY_WEBHOOK_{name}", value)
    [fault] = faults()
    assert said in fault


def test_a_value_given_by_a_command_goes_before_a_variable(working, variable):
    variable("RELAY_OPS_PORT", "1234")
    assert load((), {"ops": {"port": 0}}).ops.port == 0


def test_an_empty_variable_is_not_set(working, variable):
    variable("RELAY_OPS_PORT", "")
    assert load().ops.port == 9090


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5", 5), ("0.5", 0.5), ("5s", 5), ("500ms", 0.5), ("10m", 600), ("1h30m", 5400), (" 2H ", 7200)],
)
def test_durations_are_read_as_people_write_them(text, seconds):
    assert duration(text) == timedelta(seconds=seconds)


@given(st.integers(min_value=1, max_value=10**9))
def test_a_duration_reads_back_as_it_is_shown(ms):
    value = timedelta(milliseconds=ms)
    assert duration(shown_value(value)) == value


@pytest.mark.parametrize("address", ["http://relay.example", "https://relay.example/path", "https://"])
def test_an_address_that_the_pages_cannot_have_is_a_fault(working, variable, address):
    variable("RELAY_WEB_PUBLIC_URL", address)
    [fault] = faults()
    assert fault.startswith("RELAY_WEB_PUBLIC_URL: ")


WINDOWS = [
    pytest.param(lambda text: b"\xef\xbb\xbf" + text.encode(), id="byte-order mark"),
    pytest.param(lambda text: text.replace("\n", "\r\n").encode() + b"\r\n", id="CRLF"),
    pytest.param(lambda text: text.encode("utf-16"), id="UTF-16"),
]


@pytest.mark.fault("B51")
@pytest.mark.parametrize("written", WINDOWS)
def test_files_are_read_as_windows_writes_them(working: Path, written: Callable[[str], bytes]):
    for file in working.iterdir():
        file.write_bytes(written(file.read_text()))
    settings = load(needs_of([Role.EDGE, Role.WORKER]))
    assert settings.cloud.graph_settings().client_secret == "a-secret"
    assert edge_settings(settings.edge, settings.watch, settings.poll).tls_cert_pem is not None
    assert settings.key_ring().newest == "k1"


@pytest.mark.fault("B51")
@pytest.mark.parametrize("secret", ['"a-secret"', "a-sec\u200bret", "a\u00a0secret", "a secret"])
def test_a_client_secret_with_something_around_it_is_a_fault(working: Path, secret: str):
    (working / "RELAY_CLOUD_CLIENT_SECRET").write_text(secret)
    [fault] = faults(*needs_of([Role.EDGE, Role.WORKER]))
    assert fault.startswith("RELAY_CLOUD_CLIENT_SECRET: is in quotes, or has characters")
    assert "secret's value" in fault


@pytest.mark.fault("B52")
@pytest.mark.parametrize(
    ("given", "host"), [("::", "::"), ("[::]", "::"), ("[::1]", "::1"), ("127.0.0.1", "127.0.0.1")]
)
def test_an_address_to_listen_on_has_one_form(working: Path, variable, given: str, host: str):
    for listener in ("EDGE", "WEB", "WEBHOOK", "OPS"):
        variable(f"RELAY_{listener}_HOST", given)
    settings = load(needs_of([Role.EDGE, Role.WORKER]))
    assert {settings.edge.host, settings.web.host, settings.webhook.host, settings.ops.host} == {host}


SENTINELS, NODES = "rediss+sentinel://s1,s2/mymaster", "rediss+cluster://n1,n2"


@pytest.mark.parametrize("url", [SENTINELS, NODES])
def test_with_sentinel_and_cluster_a_replica_must_have_what_is_to_last(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RELAY_REDIS_URL", url)
    assert load(("redis.url",)).store_settings().replicas == 1
    monkeypatch.setenv("RELAY_VAULT_REPLICAS", "2")
    assert load(("redis.url",)).store_settings().replicas == 2
    monkeypatch.setenv("RELAY_VAULT_REPLICAS", "0")
    with pytest.raises(SettingsInvalid, match="RELAY_VAULT_REPLICAS: must be 1 or more with Redis Sentinel or Cluster"):
        load(("redis.url",))
    monkeypatch.setenv("RELAY_VAULT_REDIS_URL", "rediss://vault")  # it is the vault's servers that count
    assert load(("redis.url",)).store_settings().replicas == 0


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://s1/m",
        "redis+cluster://127.0.0.1,n2",
        "rediss+sentinel://s1/m?sentinel_ssl=false",
        "redis+sentinel://s1/m?sentinel_ssl=true",
    ],
)
def test_sentinels_and_nodes_without_tls_are_another_host_too(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_REDIS_URL", url)
    with pytest.raises(SettingsInvalid, match="RELAY_REDIS_URL: goes to another host without TLS"):
        load(("redis.url",))
    monkeypatch.setenv("RELAY_REDIS_PLAINTEXT", "true")
    load(("redis.url",))


@pytest.mark.fault("B20")
@pytest.mark.parametrize("name", ["RELAY_REDIS_URL", "RELAY_VAULT_REDIS_URL"])
@pytest.mark.parametrize(
    "url",
    [
        "rediss://:ab/cd+hunter2=@cache.example:6380",  # a key as Azure makes them
        "redis://:pass#hunter2@127.0.0.1:6379",
        "redis://:hunter2?x@127.0.0.1:6379",
        "redis://:123/hunter2@127.0.0.1:6379",  # else taken for this host's port 123
        "redis://:[hunter2@127.0.0.1:6379",
        "unix://:ab/hunter2@/run/valkey.sock",
    ],
)
def test_a_password_that_a_url_cannot_hold_as_it_is_is_a_fault_of_the_setting(
    name: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, url)
    with pytest.raises(SettingsInvalid) as caught:
        load(("redis.url",))
    (fault,) = [fault for fault in caught.value.faults if name in fault]
    assert "percent-encoded" in fault
    assert "/ as %2F" in fault
    assert "hunter2" not in str(caught.value.faults)


@pytest.mark.fault("B20")
@pytest.mark.parametrize(
    "url",
    [
        "rediss://:ab%2Fcd%23ef=@cache.example:6380/1",
        "redis://user:p@ss@127.0.0.1",
        "unix:///run/valkey@1.sock?db=1",
        "unix://user:pw@/run/valkey.sock",
        "redis://[::1]:6379",
    ],
)
def test_urls_of_redis_that_can_be_read_are_taken(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_REDIS_URL", url)
    assert load(("redis.url",)).store_settings().url == url


def test_tenants_with_series_of_their_own_are_ids_and_few(variable):
    ids = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(100_000)]
    variable("RELAY_TELEMETRY_TENANTS", f" {ids[0].upper()}, {ids[1]},{ids[0]} ")
    assert load().telemetry_settings([], {}).tenants == frozenset(ids[:2])
    variable("RELAY_TELEMETRY_TENANTS", ",".join(ids))
    assert faults() == ["RELAY_TELEMETRY_TENANTS: names 100,000 tenants; at most 100 can have series of their own"]
    variable("RELAY_TELEMETRY_TENANTS", 'contoso"\n')
    [fault] = faults()
    assert fault.startswith("RELAY_TELEMETRY_TENANTS: ")
    assert "is not a tenant id" in fault
