// Shows the Microsoft Teams presence of colleagues, one line of JSON for each answer: watch ADDRESS CA_FILE KEY_FILE USER...
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Google.Rpc;
using Grpc.Core;
using Grpc.Net.Client;
using Relay.Api.Presence.V1;
using Watch;

const string OtherTenant = "ERROR_REASON_RESUME_TOKEN_OF_ANOTHER_TENANT";
var firstWait = TimeSpan.FromSeconds(0.5);
var longestWait = TimeSpan.FromSeconds(30);
var goodAfter = TimeSpan.FromSeconds(10); // after a stream that lasted this long, waits begin short again

if (args.Length < 4)
{
    Console.Error.WriteLine("usage: watch ADDRESS CA_FILE KEY_FILE USER...");
    return 2;
}
var (address, users) = (args[0], args[3..]);
var trust = new X509Certificate2Collection();
string key;
try
{
    trust.ImportFromPemFile(args[1]);
    key = File.ReadAllText(args[2]).Trim();
}
catch (Exception error) when (error is IOException or UnauthorizedAccessException or CryptographicException)
{
    Console.Error.WriteLine(error.Message);
    return 2;
}

var held = new Held(users);
for (var ceiling = firstWait; ; ceiling = ceiling * 2 < longestWait ? ceiling * 2 : longestWait)
{
    var began = Environment.TickCount64;
    var why = "the relay asked for another stream";
    var atLeast = TimeSpan.Zero;
    try
    {
        await WatchAsync();
        held.Lost();
    }
    catch (RpcException error)
    {
        held.Lost();
        var status = error.GetRpcStatus(); // null when the transport failed, and not the relay
        var info = status?.GetDetail<ErrorInfo>();
        var reason = info?.Domain == "presence.relay" ? info.Reason : "";
        if (IsFinal(error.StatusCode, reason))
        {
            Console.Error.WriteLine($"refused: {reason}: {error.Status.Detail}");
            return 3;
        }
        if (reason == OtherTenant)
            held = new Held(users);
        why = error.Status.ToString();
        atLeast = status?.GetDetail<RetryInfo>()?.RetryDelay?.ToTimeSpan() ?? TimeSpan.Zero;
    }
    if (Environment.TickCount64 - began > goodAfter.TotalMilliseconds)
        ceiling = firstWait;
    var wait = atLeast + Random.Shared.NextDouble() * ceiling; // full jitter: suites do not come back all at once
    Console.Error.WriteLine($"disconnected: {why}; again in {wait.TotalSeconds:0.0} s");
    await Task.Delay(wait);
}

// Opens one stream and applies its responses until it ends. Returns when the relay asks for another stream.
async Task WatchAsync()
{
    // A connection for each stream: it may lead to another relay process. HTTPS_PROXY and the system's proxy are obeyed.
    using var handler = new SocketsHttpHandler
    {
        KeepAlivePingDelay = TimeSpan.FromSeconds(30),
        KeepAlivePingTimeout = TimeSpan.FromSeconds(10),
        SslOptions = new SslClientAuthenticationOptions
        {
            CertificateChainPolicy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck },
        },
    };
    handler.SslOptions.CertificateChainPolicy.CustomTrustStore.AddRange(trust);
    using var channel = GrpcChannel.ForAddress($"https://{address}", new GrpcChannelOptions { HttpHandler = handler });
    var client = new PresenceService.PresenceServiceClient(channel);
    var headers = new Metadata { { "authorization", $"Bearer {key}" } };
    using var call = client.StreamPresence(new StreamPresenceRequest { Start = held.Start() }, headers);
    await foreach (var response in call.ResponseStream.ReadAllAsync())
    {
        if (response.EventCase == WatchPresenceResponse.EventOneofCase.Drain)
            return;
        held.Apply(response);
    }
}

// Says whether a person must act. A reason that is newer than this program counts by its code.
static bool IsFinal(StatusCode code, string reason) => reason switch
{
    "" or OtherTenant => false,
    "ERROR_REASON_TOO_MANY_USERS" or "ERROR_REASON_METADATA_TOO_LARGE" => true,
    _ => code is StatusCode.Unauthenticated or StatusCode.PermissionDenied or StatusCode.InvalidArgument,
};
