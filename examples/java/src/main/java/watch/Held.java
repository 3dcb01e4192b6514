package watch;

import com.google.gson.JsonObject;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import relay.presence.api.v1.ConsoleStatus;
import relay.presence.api.v1.ResolvedName;
import relay.presence.api.v1.SuiteClient;
import relay.presence.api.v1.UnknownReason;
import relay.presence.api.v1.UserAnswer;
import relay.presence.api.v1.WatchPresenceResponse;
import relay.presence.api.v1.WatchStart;

/** What a resume needs: the token, what each name stands for, and each user's answer. It prints what changes. */
final class Held {
  private final List<String> users;
  private String token = "";
  private final Map<String, ResolvedName> names = new HashMap<>();
  private final Map<String, UserAnswer> answers = new HashMap<>();
  private final Map<String, JsonObject> shown = new HashMap<>();
  /** Names that are shown from before a reset, and not answered since. */
  private final Set<String> unsure = new HashSet<>();
  /** The snapshot of this stream. */
  private boolean complete = false;
  /** The relay can read the organisation. */
  private boolean well = true;
  private boolean certain = false;

  Held(List<String> users) {
    this.users = users;
  }

  /** Says what to watch, and what is held since the stream that gave the token. */
  WatchStart start() {
    var client = SuiteClient.newBuilder().setName("example-java").setVersion("1.0");
    var start = WatchStart.newBuilder().setResumeToken(token).setClient(client);
    for (String user : users) {
      ResolvedName name = names.get(user);
      if (!token.isEmpty() && name != null && (name.hasUnknownReason() || answers.containsKey(name.getUserId()))) {
        start.addHeldUsers(name);
      } else {
        start.addSubscribeUsers(user);
      }
    }
    return start.build();
  }

  /** Takes one response. Events that are newer than this program change nothing. */
  void apply(WatchPresenceResponse response) {
    switch (response.getEventCase()) {
      case STARTED -> {
        WatchPresenceResponse.Outcome outcome = response.getStarted().getOutcome();
        System.err.println("connected: " + outcome);
        complete = false;
        well = true;
        if (outcome != WatchPresenceResponse.Outcome.OUTCOME_RESUMED) {
          reset();
        }
      }
      case BATCH -> applyBatch(response.getBatch());
      case TENANT_STATUS -> well = response.getTenantStatus().getUnknownReasonValue() == 0;
      default -> {}
    }
    if (!response.getResumeToken().isEmpty()) {
      token = response.getResumeToken();
    }
    tell();
  }

  /** Notes that there is no stream. */
  void lost() {
    complete = false;
    tell();
  }

  private void applyBatch(WatchPresenceResponse.Batch batch) {
    batch.getResolvedList().forEach(name -> names.put(name.getUser(), name));
    batch.getAnswersList().forEach(answer -> answers.put(answer.getUserId(), answer));
    // Only users that a name stands for.
    answers.keySet().retainAll(names.values().stream().map(ResolvedName::getUserId).collect(Collectors.toSet()));
    for (String user : users) {
      if (names.containsKey(user)) {
        show(user, names.get(user), answers.get(names.get(user).getUserId()));
      }
    }
    complete |= batch.getSnapshotComplete();
  }

  /** Prints a user's line when it differs from the last one. */
  private void show(String user, ResolvedName name, UserAnswer answer) {
    String status = "UNKNOWN";
    String reason = "";
    if (answer != null && answer.hasPresence()) {
      status = word(answer.getPresence().getConsoleStatus());
    } else if (answer != null) {
      reason = word(answer.getUnknownReason());
    } else {
      reason = name.hasUnknownReason() ? word(name.getUnknownReason()) : "PENDING";
    }
    if (reason.equals("PENDING") && unsure.contains(user)) {
      return; // go on showing what was shown before the reset
    }
    unsure.remove(user);
    var line = new JsonObject();
    line.addProperty("user", user);
    line.addProperty("status", status);
    line.addProperty("reason", reason);
    if (!line.equals(shown.put(user, line))) {
      System.out.println(line);
    }
  }

  /** Forgets what is held, because everything is sent again. What is shown stays, and is uncertain. */
  private void reset() {
    token = "";
    names.clear();
    answers.clear();
    unsure.addAll(shown.keySet());
  }

  /** Prints whether what is shown is certain, when that changes. Draw everything grey while it is not. */
  private void tell() {
    if (certain != (complete && well)) {
      certain = !certain;
      System.out.println("{\"certain\":" + certain + "}");
    }
  }

  /** Returns a value's name without its prefix. Values may be added: one that this program does not know is UNRECOGNIZED. */
  private static String word(ConsoleStatus status) {
    return switch (status) {
      case UNRECOGNIZED, CONSOLE_STATUS_UNSPECIFIED -> "UNKNOWN";
      default -> status.name().substring("CONSOLE_STATUS_".length());
    };
  }

  private static String word(UnknownReason reason) {
    return switch (reason) {
      case UNRECOGNIZED, UNKNOWN_REASON_UNSPECIFIED -> "UNKNOWN";
      default -> reason.name().substring("UNKNOWN_REASON_".length());
    };
  }
}
