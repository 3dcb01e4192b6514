"""Settings of the Microsoft cloud, and of the relay's app registration there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from relay.graph.settings import ClientCertificate, GraphSettings
from relay.settings.env import SettingsGroup, variable_of
from relay.settings.validators import Certificates, ClientSecret, HttpsAddress, PrivateKey, is_pair, revealed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Self


CloudName = Literal["global", "gcc-high", "dod", "custom"]

# https://learn.microsoft.com/graph/deployments. GCC is in the global cloud; 21Vianet has no presence at all.
CLOUDS: Final[Mapping[str, tuple[str, str]]] = {
    "global": ("https://login.microsoftonline.com", "https://graph.microsoft.com"),
    "gcc-high": ("https://login.microsoftonline.us", "https://graph.microsoft.us"),
    "dod": ("https://login.microsoftonline.us", "https://dod-graph.microsoft.us"),
}


CREDENTIAL_FIELDS: Final = frozenset(
    f"{prefix}{name}" for prefix in ("", "second_") for name in ("client_secret", "certificate", "private_key")
)
"""The fields of `CloudConfig` that are the relay's credentials."""


class CloudConfig(SettingsGroup):
    """The Microsoft cloud and the app registration."""

    model_config = SettingsConfigDict(env_prefix="RELAY_CLOUD_")

    name: CloudName = Field(
        "global",
        description="Microsoft's cloud: `global` (GCC included), `gcc-high`, `dod`, or `custom` with "
        "`RELAY_CLOUD_AUTHORITY_URL` and `RELAY_CLOUD_GRAPH_URL`",
        json_schema_extra={"variable": "RELAY_CLOUD"},
    )
    authority_url: HttpsAddress | None = Field(None, description="URL of Entra, only for `custom`")
    graph_url: HttpsAddress | None = Field(None, description="URL of Graph, only for `custom`")
    ca: Certificates | None = Field(
        None, description="CA certificates to trust for Entra and Graph, instead of the system's"
    )
    client_id: str | None = Field(None, description="application id of the app registration")
    client_secret: ClientSecret | None = Field(
        None, description="client secret of the app registration; a certificate is better"
    )
    certificate: Certificates | None = Field(None, description="certificate of the app registration, PEM")
    private_key: PrivateKey | None = Field(
        None, description="private key of `RELAY_CLOUD_CERTIFICATE`, PEM, without a password"
    )
    second_client_secret: ClientSecret | None = Field(
        None, description="client secret of a second credential, used during rotation"
    )
    second_certificate: Certificates | None = Field(
        None, description="certificate of a second credential, used during rotation, PEM"
    )
    second_private_key: PrivateKey | None = Field(
        None, description="private key of `RELAY_CLOUD_SECOND_CERTIFICATE`, PEM, without a password"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        faults = list(self._faults())
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def _faults(self) -> Iterator[str]:
        for field in ("authority_url", "graph_url"):
            is_given = getattr(self, field) is not None
            if is_given is not (self.name == "custom"):
                need = "must not be set unless" if is_given else "must be set when"
                yield f"{variable_of(type(self), field)}: {need} RELAY_CLOUD is custom"
        yield from _credential_faults("", self.client_secret, self.certificate, self.private_key)
        second = (self.second_client_secret, self.second_certificate, self.second_private_key)
        yield from _credential_faults("SECOND_", *second)
        if any(second) and self.client_secret is None and self.certificate is None:
            yield "RELAY_CLOUD_SECOND_…: is given without a first credential; call it the first"

    @property
    def notifies(self) -> bool:
        """True if the cloud has change notifications for presence: national clouds have none."""
        return self.name in ("global", "custom")

    def public_settings(self) -> GraphSettings:
        """Return the settings for reading Microsoft's public documents; a client id must be set."""
        authority, graph = CLOUDS.get(self.name, (self.authority_url, self.graph_url))
        assert self.client_id is not None
        assert authority is not None
        assert graph is not None
        return GraphSettings(
            client_id=self.client_id, anonymous=True, authority_url=authority, graph_url=graph, ca_pem=self.ca
        )

    def graph_settings(self) -> GraphSettings:
        """Return the settings of the Graph adapter; a client id and a credential must be set."""
        return replace(
            self.public_settings(),
            anonymous=False,
            client_secret=revealed(self.client_secret),
            certificate=client_certificate(self.certificate, self.private_key),
            second_client_secret=revealed(self.second_client_secret),
            second_certificate=client_certificate(self.second_certificate, self.second_private_key),
        )


def _credential_faults(
    prefix: str, secret: SecretStr | None, certificate: str | None, key: SecretStr | None
) -> Iterator[str]:
    """Yield the faults of one of the relay's credentials at Entra."""
    name = f"RELAY_CLOUD_{prefix}"
    if secret is not None and certificate is not None:
        yield f"{name}CLIENT_SECRET: is set together with {name}CERTIFICATE; keep one of the two"
    if (certificate is None) is not (key is None):
        absent = "CERTIFICATE" if certificate is None else "PRIVATE_KEY"
        yield f"{name}{absent}: must be set too, certificate and private key belong together"
    elif not is_pair(certificate, key):
        yield f"{name}PRIVATE_KEY: is not the key of {name}CERTIFICATE"


def client_certificate(certificate: str | None, key: SecretStr | None) -> ClientCertificate | None:
    """Return a certificate with its key in the form that the Graph adapter takes; None when one of them is not set."""
    if certificate is None or key is None:
        return None
    return ClientCertificate(private_key_pem=key.get_secret_value(), certificate_pem=certificate)
