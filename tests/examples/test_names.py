"""Names that an example uses, where no compiler is here: each is in the code that is generated from the protos, or a library's."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.examples import tools

pytestmark = pytest.mark.long

_WORDS = """
Add AddRange Cast Clear CertificateChainPolicy Console Contains ContainsKey CryptographicException
CustomRootTrust CustomTrustStore Cryptography Delay Dictionary Enum Environment Error Exception File FirstOrDefault FromSeconds
GetCustomAttributes GetField GetValueOrDefault HashSet IOException ImportFromPemFile Json JsonSerializer KeepAlivePingDelay
KeepAlivePingTimeout Keys Length Message Name Net NextDouble NoCheck Random ReadAllText Remove RevocationMode Security Select
Serialize Shared SocketsHttpHandler SslClientAuthenticationOptions SslOptions StartsWith System Task Text TickCount64 TimeSpan
ToHashSet ToList ToString TotalMilliseconds TotalSeconds Trim TrustMode TryGetValue UnauthorizedAccessException UnionWith
Values Where WriteLine X509Certificate2Collection X509Certificates X509ChainPolicy X509ChainTrustMode X509RevocationMode Zero
Core Detail Domain ErrorInfo ForAddress GetDetail GetRpcStatus Google Grpc GrpcChannel GrpcChannelOptions HttpHandler
InvalidArgument Metadata OriginalNameAttribute PermissionDenied Protobuf ReadAllAsync Reason Reflection ResponseStream RetryDelay
RetryInfo Rpc RpcException Status StatusCode ToTimeSpan Unauthenticated
PresenceService PresenceServiceClient StreamPresence
Apply Held IsFinal IsNobody Lost OtherTenant Reset Show T Tell Watch WatchAsync WireName Word
"""
OF_LIBRARIES = frozenset(_WORDS.split())
"""What `examples/csharp` names of .NET, gRPC, Protobuf, google.rpc and itself, and the stub, which another generator makes."""
_TEXT_OR_COMMENT = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n]*')


def generated(folder: Path) -> set[str]:
    """Every word of the C# code that is generated from the protos, without its comments."""
    command = [str(tools.DEBIAN / "usr/bin/protoc"), f"-I{tools.PROTOS}", f"-I{tools.SITE}/grpc_tools/_proto"]
    command += [f"--csharp_out={folder}", *tools.api()]
    subprocess.run(command, check=True, env={"LD_LIBRARY_PATH": str(tools.libraries())})
    lines = "\n".join(path.read_text() for path in folder.glob("*.cs")).splitlines()
    return {word for line in lines if not line.strip().startswith("//") for word in re.findall(r"\w+", line)}


def named() -> set[str]:
    """Every name in the C# example that begins with a capital letter, without comments and texts."""
    code = "\n".join(path.read_text() for path in sorted((tools.EXAMPLES / "csharp").glob("*.cs")))

    def values(found: re.Match[str]) -> str:
        """Return what an interpolated text names."""
        return " ".join(re.findall(r"\{([^}:]*)", found[0])) if found[0].startswith('"') else ""

    return set(re.findall(r"(?<![\w@])[A-Z]\w*", _TEXT_OR_COMMENT.sub(values, code)))


def test_the_example_in_c_sharp_names_nothing_that_is_not_there(tmp_path: Path):
    assert tools.is_built("java"), "its compiler of protos is not here: run make examples"
    words = generated(tmp_path)
    assert {"ConsoleStatus", "EventOneofCase", "OutcomeCase", "ResumeToken"} <= words & named()
    assert sorted(named() - words - OF_LIBRARIES) == []
    assert sorted(OF_LIBRARIES - named()) == [], "named no longer"
