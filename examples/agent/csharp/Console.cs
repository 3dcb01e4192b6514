// A console of the agent for .NET Framework 4.5 or newer, in C# 5: one line of JSON for each change. Plain HTTP/1.1, no packages.
//
//   csc /r:System.Runtime.Serialization.dll Console.cs        (the compiler of Visual Studio, or of .NET Framework itself)
//   Console.exe http://127.0.0.1:8790 [USER...]

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Net;
using System.Runtime.Serialization;
using System.Runtime.Serialization.Json;
using System.Text;
using System.Threading;

namespace PresenceConsole
{
    // What the agent says of a colleague. Fields that are not here are ignored.
    [DataContract]
    public class Colleague
    {
        [DataMember(Name = "user")] public string User;
        [DataMember(Name = "status")] public string Status;
        [DataMember(Name = "reason")] public string Reason;
        [DataMember(Name = "uncertain")] public bool Uncertain;
    }

    // What is printed.
    [DataContract]
    public class Line
    {
        [DataMember(Name = "user", Order = 1)] public string User;
        [DataMember(Name = "status", Order = 2)] public string Status;
        [DataMember(Name = "reason", Order = 3)] public string Reason;
        [DataMember(Name = "certain", Order = 4)] public bool Certain;
    }

    public class Console
    {
        const int SilenceMs = 60000; // the agent sends a comment every 15 seconds

        readonly string address;
        readonly Dictionary<string, string> shown = new Dictionary<string, string>(); // user -> the line that was printed last
        HashSet<string> fresh; // users that were sent since `everything`, until `complete`
        string lastEventId = "";

        public Console(string agent, IEnumerable<string> users)
        {
            address = agent + "/v1/events?" + string.Join("&", users.Select(user => "user=" + Uri.EscapeDataString(user)));
        }

        // Reads one stream until it ends, breaks, or is silent for a minute.
        public void Listen()
        {
            var request = (HttpWebRequest)WebRequest.Create(address);
            request.Proxy = null; // the agent is on this machine
            request.Accept = "text/event-stream";
            request.Timeout = SilenceMs;
            request.ReadWriteTimeout = SilenceMs;
            if (lastEventId != "") request.Headers["Last-Event-ID"] = lastEventId;
            using (var response = request.GetResponse())
            using (var reader = new StreamReader(response.GetResponseStream(), new UTF8Encoding(false)))
            {
                try
                {
                    Read(reader);
                }
                finally
                {
                    request.Abort(); // closing would wait for the end of the stream
                }
            }
        }

        void Read(TextReader reader)
        {
            string name = "", data = "", id = "", line;
            while ((line = reader.ReadLine()) != null)
            {
                if (line.StartsWith("event: ")) name = line.Substring(7);
                else if (line.StartsWith("data: ")) data = line.Substring(6);
                else if (line.StartsWith("id: ")) id = line.Substring(4);
                else if (line == "")
                {
                    if (name != "") Take(name, data);
                    if (id != "") lastEventId = id;
                    name = data = id = "";
                }
            }
            throw new IOException("the agent ended the stream");
        }

        // Events that are newer than this program are ignored.
        void Take(string name, string data)
        {
            switch (name)
            {
                case "everything":
                    fresh = new HashSet<string>();
                    break;
                case "state":
                    Show(FromJson<Colleague>(data));
                    break;
                case "removed":
                    Forget(FromJson<Colleague>(data).User);
                    break;
                case "complete":
                    if (fresh != null) shown.Keys.Where(user => !fresh.Contains(user)).ToList().ForEach(Forget);
                    fresh = null;
                    Print("{\"connected\":true}");
                    break;
            }
        }

        void Show(Colleague colleague)
        {
            var line = ToJson(new Line { User = colleague.User, Status = colleague.Status, Reason = colleague.Reason, Certain = !colleague.Uncertain });
            string before;
            if (fresh != null) fresh.Add(colleague.User);
            if (!shown.TryGetValue(colleague.User, out before) || before != line) Print(line);
            shown[colleague.User] = line;
        }

        void Forget(string user)
        {
            if (shown.Remove(user)) Print(ToJson(new Line { User = user, Status = "removed", Reason = "", Certain = true }));
        }

        static T FromJson<T>(string text)
        {
            using (var stream = new MemoryStream(Encoding.UTF8.GetBytes(text)))
                return (T)new DataContractJsonSerializer(typeof(T)).ReadObject(stream);
        }

        static string ToJson<T>(T value)
        {
            using (var stream = new MemoryStream())
            {
                new DataContractJsonSerializer(typeof(T)).WriteObject(stream, value);
                return Encoding.UTF8.GetString(stream.ToArray());
            }
        }

        static void Print(string line)
        {
            System.Console.Out.WriteLine(line);
            System.Console.Out.Flush();
        }

        public static int Main(string[] arguments)
        {
            if (arguments.Length < 1)
            {
                System.Console.Error.WriteLine("usage: Console.exe URL [USER...]");
                return 2;
            }
            var console = new Console(arguments[0], arguments.Skip(1));
            while (true)
            {
                try
                {
                    console.Listen();
                }
                catch (Exception error)
                {
                    if (!(error is IOException || error is WebException)) throw;
                    System.Console.Error.WriteLine("disconnected: " + error.Message);
                    Print("{\"connected\":false}"); // what is shown may be old: draw it so
                }
                Thread.Sleep(1000);
            }
        }
    }
}
