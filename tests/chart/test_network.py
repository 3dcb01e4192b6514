"""Who reaches whom: Services, routes and NetworkPolicies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.chart.examples import EXAMPLES, at, values

if TYPE_CHECKING:
    from tests.chart.engine import Helm, Rendering
    from tests.chart.examples import Renderings


@pytest.fixture(params=EXAMPLES)
def example(request: pytest.FixtureRequest, rendered: Renderings) -> Rendering:
    return rendered(request.param)


def ports(rules: list[dict[str, Any]]) -> set[Any]:
    return {port["port"] for rule in rules for port in rule.get("ports", [])}


def test_nothing_exposes_the_ops_port(example: Rendering):
    for service in example.of("Service"):
        targets = {port["targetPort"] for port in service["spec"]["ports"]}
        if "ops" in targets:
            assert service["spec"]["clusterIP"] == "None"
            assert targets == {"ops"}
    ops = {service["metadata"]["name"] for service in example.of("Service", "-ops")}
    for kind in ("HTTPRoute", "GRPCRoute", "TLSRoute"):
        for route in example.of(kind):
            backends = {(each["name"], each["port"]) for rule in route["spec"]["rules"] for each in rule["backendRefs"]}
            assert not {name for name, _ in backends} & ops
            assert 9090 not in {port for _, port in backends}
    for ingress in example.of("Ingress"):
        assert "ops" not in str(ingress["spec"])


def test_every_pod_of_the_chart_has_a_policy_in_both_directions(example: Rendering):
    policies = [each["spec"] for each in example.of("NetworkPolicy")]
    for kind in ("Deployment", "StatefulSet", "Job", "CronJob", "Pod"):
        for each in example.of(kind):
            template = each["spec"].get("template") or each["spec"].get("jobTemplate", {}).get("spec", {}).get(
                "template"
            )
            labels = (template or each)["metadata"]["labels"]
            of_it = [spec for spec in policies if spec["podSelector"]["matchLabels"].items() <= labels.items()]
            assert [spec["policyTypes"] for spec in of_it] == [["Ingress", "Egress"]], each["metadata"]["name"]


def test_a_role_reaches_what_it_needs_and_nothing_else(helm: Helm):
    settings = {
        "config": {
            "mail": {"host": "mail.example.com", "port": 465, "from": "relay@example.com"},
            "telemetry": {"otlpEndpoint": "https://collector.example.com:4317"},
        }
    }
    rendering = helm.render(values(settings))
    reached = {
        role: ports(rendering.one("NetworkPolicy", f"-{role}")["spec"]["egress"])
        for role in ("edge", "worker", "webhook", "web")
    }
    assert reached == {
        "edge": {53, 6379, 4317},
        "worker": {53, 6379, 443, 465, 4317},
        "webhook": {53, 6379, 443, 4317},
        "web": {53, 6379, 443, 465, 4317},
    }


@pytest.mark.parametrize(
    ("endpoint", "port"),
    [
        ("https://collector.example.com:4318/v1/metrics", 4318),
        ("http://[fd00::4317]:4318", 4318),
        ("https://collector.example.com/v1", 443),
        ("http://[fd00::4317]", 80),
    ],
)
def test_the_port_of_a_collector_is_open_however_its_address_is_written(helm: Helm, endpoint: str, port: int):
    rendering = helm.render(values(at("config.telemetry.otlpEndpoint", endpoint)))
    assert ports(rendering.one("NetworkPolicy", "-edge")["spec"]["egress"]) == {53, 6379, port}


def test_rules_of_egress_name_ports_by_number_as_every_plug_in_understands(example: Rendering):
    for policy in example.of("NetworkPolicy"):
        assert all(isinstance(port, int) for port in ports(policy["spec"]["egress"])), policy["metadata"]["name"]


def test_rules_of_the_operator_are_in_the_policy_of_every_pod_of_the_relay(helm: Helm):
    own = {"ports": [{"port": 15012, "protocol": "TCP"}]}
    jobs = {"preflight": {"enabled": True}, "backup": {"enabled": True, "publicKey": {"existingSecret": "key"}}}
    kept = {"backup": {"persistence": {"create": True}}}
    rendering = helm.render(values(jobs, kept, at("networkPolicy.extraEgress", [own])))
    assert [policy["spec"]["egress"].count(own) for policy in rendering.of("NetworkPolicy")] == [1] * 7


def test_on_openshift_pods_reach_its_name_servers(helm: Helm):
    rendering = helm.render(values({"openshift": True}))
    for policy in rendering.of("NetworkPolicy"):
        [rule] = [rule for rule in policy["spec"]["egress"] if ports([rule]) == {5353}]
        assert rule["to"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "openshift-dns"}}}]


def test_without_mail_and_a_collector_their_ports_are_closed(helm: Helm):
    assert ports(helm.render(values()).one("NetworkPolicy", "-worker")["spec"]["egress"]) == {53, 6379, 443}


def test_microsoft_is_reached_on_public_addresses_only(helm: Helm):
    rules = helm.render(values()).one("NetworkPolicy", "-worker")["spec"]["egress"]
    [microsoft] = [rule for rule in rules if ports([rule]) == {443}]
    blocks = [peer["ipBlock"] for peer in microsoft["to"]]
    assert "169.254.0.0/16" in blocks[0]["except"]
    assert {block["cidr"] for block in blocks} == {"0.0.0.0/0", "::/0"}


def test_a_worker_receives_nothing_and_others_receive_on_their_port_alone(helm: Helm):
    rendering = helm.render(values())
    received = {
        role: ports(rendering.one("NetworkPolicy", f"-{role}")["spec"].get("ingress") or [])
        for role in ("edge", "worker", "webhook", "web")
    }
    assert received == {"edge": {"edge"}, "worker": set(), "webhook": {"webhook"}, "web": {"web"}}


def test_the_ops_port_is_open_to_whom_the_operator_names(helm: Helm):
    peer = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    rendering = helm.render(values(at("networkPolicy.ops.from", [peer])))
    [rule] = rendering.one("NetworkPolicy", "-worker")["spec"]["ingress"]
    assert (ports([rule]), rule["from"]) == ({"ops"}, [peer])


def test_the_trial_valkey_is_reached_by_the_relay_alone(rendered: Renderings):
    spec = rendered("trial").one("NetworkPolicy", "-valkey")["spec"]
    [rule] = spec["ingress"]
    assert rule["from"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/instance"] == "relay"
    assert spec["egress"] == []


def test_suites_reach_the_edge_at_l4_with_tls_in_the_pod_by_default(helm: Helm):
    rendering = helm.render(values())
    service = rendering.one("Service", "-edge")["spec"]
    assert (service["type"], service["ports"][0]["port"]) == ("LoadBalancer", 443)
    env = {
        each["name"]: each["value"]
        for each in rendering.one("Deployment", "edge")["spec"]["template"]["spec"]["containers"][0]["env"]
    }
    assert env["RELAY_EDGE_TLS_CERT_FILE"] == "/etc/presence-relay/edge-tls/tls.crt"
    assert "RELAY_EDGE_PLAIN_TEXT" not in env


def test_behind_a_gateway_that_ends_tls_the_edge_may_speak_plain_text(helm: Helm):
    rendering = helm.render(
        values(
            {
                "edge": {
                    "tls": {"enabled": False, "existingSecret": ""},
                    "service": {"type": "ClusterIP"},
                    "grpcRoute": {"enabled": True, "parentRefs": [{"name": "public"}]},
                }
            }
        )
    )
    assert rendering.one("Service", "-edge")["spec"]["ports"][0]["appProtocol"] == "kubernetes.io/h2c"
    assert rendering.of("BackendTLSPolicy") == []
    route = rendering.one("GRPCRoute", "-edge")["spec"]
    assert route["hostnames"] == ["relay.example.com"]


@pytest.mark.parametrize(
    ("example", "kind", "role"),
    [
        ("tls-passthrough", "TLSRoute", "edge"),
        ("envoy-gateway", "GRPCRoute", "edge"),
        ("large", "HTTPRoute", "web"),
        ("large", "HTTPRoute", "webhook"),
    ],
)
def test_a_route_leads_from_a_host_to_the_port_of_a_service(rendered: Renderings, example: str, kind: str, role: str):
    rendering = rendered(example)
    route = rendering.one(kind, f"-{role}")["spec"]
    [backend] = route["rules"][0]["backendRefs"]
    service = rendering.one("Service", f"-{role}")
    assert backend == {"name": service["metadata"]["name"], "port": service["spec"]["ports"][0]["port"]}
    given = yaml.safe_load(EXAMPLES[example].read_text())[role]
    assert route["hostnames"] == [given["host"]]
    assert route["parentRefs"][0]["name"] == "public"
    if kind == "HTTPRoute":
        assert route["rules"][0]["timeouts"] == {"request": "30s"}


@pytest.mark.parametrize("role", ["edge", "web", "webhook"])
def test_an_ingress_leads_from_a_host_to_a_service(helm: Helm, role: str):
    ingress = {"enabled": True, "className": "public", "annotations": {"a": "b"}, "tls": {"secretName": "tls"}}
    given = values({role: {"service": {"type": "ClusterIP"}, "ingress": ingress}})
    made = helm.render(given).one("Ingress", f"-{role}")
    host = given[role]["host"]
    assert made["metadata"]["annotations"] == {"a": "b"}
    assert made["spec"]["ingressClassName"] == "public"
    assert made["spec"]["tls"] == [{"hosts": [host], "secretName": "tls"}]
    [rule] = made["spec"]["rules"]
    backend = rule["http"]["paths"][0]["backend"]["service"]
    assert (rule["host"], backend["port"]) == (host, {"name": role})


def test_a_redis_with_an_ipv6_address_is_no_other_port(helm: Helm):
    for url in ("rediss://[fd00::1]:6379/0", "rediss://[fd00::16]/0", "rediss+cluster://[fd00::1],[fd00::2]:6379"):
        assert helm.render(values({"redis": {"existingSecret": "", "url": url}})).of("Deployment")


def test_the_test_pod_reaches_the_edge_also_where_only_a_gateway_may(rendered: Renderings):
    example = rendered("envoy-gateway")
    [rule] = example.one("NetworkPolicy", "-edge")["spec"]["ingress"]
    pod = example.one("Pod", "-test")["metadata"]["labels"]
    selectors = [peer["podSelector"]["matchLabels"] for peer in rule["from"] if "podSelector" in peer]
    assert [selector.items() <= pod.items() for selector in selectors] == [True]
    assert {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "gateways"}}} in rule["from"]


def test_a_test_of_an_address_may_reach_its_port(helm: Helm):
    egress = helm.render(values(at("test.address", "gateway.example.com:8443"))).one("NetworkPolicy", "-test")["spec"]
    assert ports(egress["egress"]) == {53, 8443}


def test_a_gateway_that_speaks_tls_to_the_pod_checks_its_name(rendered: Renderings):
    policy = rendered("envoy-gateway").one("BackendTLSPolicy", "-edge")["spec"]
    assert policy["validation"]["hostname"] == "relay.example.com"
    assert policy["targetRefs"][0]["sectionName"] == "edge"


def test_one_pod_with_all_roles_is_behind_every_service(rendered: Renderings):
    example = rendered("trial")
    assert [each["metadata"]["name"] for each in example.of("Deployment")] == ["relay-teams-presence-relay-all"]
    for service in ("-edge", "-web"):
        selector = example.one("Service", service)["spec"]["selector"]
        assert selector["app.kubernetes.io/component"] == "all"
