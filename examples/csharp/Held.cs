using System.Text.Json;
using Google.Protobuf.Reflection;
using Relay.Api.Presence.V1;

namespace Watch;

/// <summary>What a resume needs: the token, what each name stands for, and each user's answer. It prints what changes.</summary>
internal sealed class Held
{
    private readonly string[] _users;
    private readonly Dictionary<string, ResolvedName> _names = new();
    private readonly Dictionary<string, UserAnswer> _answers = new();
    private readonly Dictionary<string, string> _shown = new(); // the line that was printed last
    private readonly HashSet<string> _unsure = new(); // names that are shown from before a reset, and not answered since
    private string _token = "";
    private bool _complete; // the snapshot of this stream
    private bool _well = true; // the relay can read the organisation
    private bool _certain;

    public Held(string[] users) => _users = users;

    /// <summary>Says what to watch, and what is held since the stream that gave the token.</summary>
    public WatchStart Start()
    {
        var start = new WatchStart { ResumeToken = _token, Client = new SuiteClient { Name = "example-csharp", Version = "1.0" } };
        foreach (var user in _users)
        {
            if (_token != "" && _names.TryGetValue(user, out var name) && (IsNobody(name) || _answers.ContainsKey(name.UserId)))
                start.HeldUsers.Add(name);
            else
                start.SubscribeUsers.Add(user);
        }
        return start;
    }

    /// <summary>Takes one response. Events that are newer than this program change nothing.</summary>
    public void Apply(WatchPresenceResponse response)
    {
        switch (response.EventCase)
        {
            case WatchPresenceResponse.EventOneofCase.Started:
                Console.Error.WriteLine($"connected: {WireName(response.Started.Outcome)}");
                (_complete, _well) = (false, true);
                if (response.Started.Outcome != WatchPresenceResponse.Types.Outcome.Resumed)
                    Reset();
                break;
            case WatchPresenceResponse.EventOneofCase.Batch:
                Apply(response.Batch);
                break;
            case WatchPresenceResponse.EventOneofCase.TenantStatus:
                _well = response.TenantStatus.UnknownReason == UnknownReason.Unspecified;
                break;
        }
        if (response.ResumeToken != "")
            _token = response.ResumeToken;
        Tell();
    }

    /// <summary>Notes that there is no stream.</summary>
    public void Lost()
    {
        _complete = false;
        Tell();
    }

    private void Apply(WatchPresenceResponse.Types.Batch batch)
    {
        foreach (var name in batch.Resolved)
            _names[name.User] = name;
        foreach (var answer in batch.Answers)
            _answers[answer.UserId] = answer;
        var meant = _names.Values.Select(name => name.UserId).ToHashSet();
        foreach (var id in _answers.Keys.Where(id => !meant.Contains(id)).ToList())
            _answers.Remove(id); // no name stands for this user any more
        foreach (var user in _users)
            if (_names.TryGetValue(user, out var name))
                Show(user, name, _answers.GetValueOrDefault(name.UserId));
        _complete |= batch.SnapshotComplete;
    }

    /// <summary>Prints a user's line when it differs from the last one.</summary>
    private void Show(string user, ResolvedName name, UserAnswer? answer)
    {
        var (status, reason) = ("UNKNOWN", "");
        if (answer?.AnswerCase == UserAnswer.AnswerOneofCase.Presence)
            status = Word(answer.Presence.ConsoleStatus, "CONSOLE_STATUS_");
        else if (answer is not null)
            reason = Word(answer.UnknownReason, "UNKNOWN_REASON_");
        else
            reason = IsNobody(name) ? Word(name.UnknownReason, "UNKNOWN_REASON_") : "PENDING";
        if (reason == "PENDING" && _unsure.Contains(user))
            return; // go on showing what was shown before the reset
        _unsure.Remove(user);
        var line = JsonSerializer.Serialize(new { user, status, reason });
        if (_shown.GetValueOrDefault(user) == line)
            return;
        _shown[user] = line;
        Console.WriteLine(line);
    }

    private static bool IsNobody(ResolvedName name) => name.OutcomeCase == ResolvedName.OutcomeOneofCase.UnknownReason;

    /// <summary>Forgets what is held, because everything is sent again. What is shown stays, and is uncertain.</summary>
    private void Reset()
    {
        _token = "";
        _names.Clear();
        _answers.Clear();
        _unsure.UnionWith(_shown.Keys);
    }

    /// <summary>Prints whether what is shown is certain, when that changes. Draw everything grey while it is not.</summary>
    private void Tell()
    {
        if (_certain == (_complete && _well))
            return;
        _certain = !_certain;
        Console.WriteLine(JsonSerializer.Serialize(new { certain = _certain }));
    }

    /// <summary>Returns a value's name without its prefix. Values may be added: one that this program does not know is UNKNOWN.</summary>
    private static string Word<T>(T value, string prefix) where T : struct, Enum
    {
        var name = WireName(value);
        return name.StartsWith(prefix) && name != prefix + "UNSPECIFIED" ? name[prefix.Length..] : "UNKNOWN";
    }

    /// <summary>Returns a value's name in the protos. The generated enum has shorter names, and the attribute has these.</summary>
    private static string WireName<T>(T value) where T : struct, Enum
    {
        var field = typeof(T).GetField(value.ToString());
        var original = field?.GetCustomAttributes(typeof(OriginalNameAttribute), false).Cast<OriginalNameAttribute>().FirstOrDefault();
        return original?.Name ?? value.ToString();
    }
}
