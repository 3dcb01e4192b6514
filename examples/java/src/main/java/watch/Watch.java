package watch;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.grpc.ChannelCredentials;
import io.grpc.Grpc;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.StatusRuntimeException;
import io.grpc.TlsChannelCredentials;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.MetadataUtils;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import relay.presence.api.v1.PresenceServiceGrpc;
import relay.presence.api.v1.StreamPresenceRequest;
import relay.presence.api.v1.WatchPresenceResponse;

/** Shows the Microsoft Teams presence of colleagues, one line of JSON for each answer: {@code watch ADDRESS CA_FILE KEY_FILE USER...} */
public final class Watch {
  private static final long FIRST_WAIT_MS = 500;
  private static final long LONGEST_WAIT_MS = 30_000;
  /** After a stream that lasted this long, waits begin short again. */
  private static final Duration GOOD_AFTER = Duration.ofSeconds(10);

  private static final String OTHER_TENANT = "ERROR_REASON_RESUME_TOKEN_OF_ANOTHER_TENANT";

  public static void main(String[] args) throws InterruptedException {
    if (args.length < 4) {
      giveUp(2, "usage: watch ADDRESS CA_FILE KEY_FILE USER...");
    }
    List<String> users = Arrays.asList(args).subList(3, args.length);
    ChannelCredentials trust = null;
    String key = null;
    try {
      trust = TlsChannelCredentials.newBuilder().trustManager(new File(args[1])).build();
      key = Files.readString(Path.of(args[2])).strip();
    } catch (IOException error) {
      giveUp(2, error.toString());
    }
    var held = new Held(users);
    for (long ceiling = FIRST_WAIT_MS; ; ceiling = Math.min(2 * ceiling, LONGEST_WAIT_MS)) {
      long began = System.nanoTime();
      String why = "the relay asked for another stream";
      var details = new Details("", 0);
      try {
        watch(args[0], trust, key, held);
        held.lost();
      } catch (StatusRuntimeException error) {
        held.lost();
        details = Details.of(error);
        if (isFinal(error, details.reason)) {
          giveUp(3, "refused: " + details.reason + ": " + error.getStatus().getDescription());
        }
        why = error.getMessage();
      }
      if (details.reason.equals(OTHER_TENANT)) {
        held = new Held(users);
      }
      if (System.nanoTime() - began > GOOD_AFTER.toNanos()) {
        ceiling = FIRST_WAIT_MS;
      }
      // Full jitter: suites do not come back all at once.
      long wait = details.retryMs + ThreadLocalRandom.current().nextLong(ceiling);
      System.err.printf("disconnected: %s; again in %d ms%n", why, wait);
      Thread.sleep(wait);
    }
  }

  /** Opens one stream and applies its responses until it ends. Returns when the relay asks for another stream. */
  private static void watch(String address, ChannelCredentials trust, String key, Held held) {
    var metadata = new Metadata();
    metadata.put(Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER), "Bearer " + key);
    // A connection for each stream: it may lead to another relay process. -Dhttps.proxyHost and -Dhttps.proxyPort are obeyed.
    ManagedChannel channel =
        Grpc.newChannelBuilder(address, trust)
            .keepAliveTime(30, TimeUnit.SECONDS)
            .keepAliveTimeout(10, TimeUnit.SECONDS)
            .intercept(MetadataUtils.newAttachHeadersInterceptor(metadata))
            .build();
    try {
      var request = StreamPresenceRequest.newBuilder().setStart(held.start()).build();
      var responses = PresenceServiceGrpc.newBlockingStub(channel).streamPresence(request);
      while (responses.hasNext()) {
        WatchPresenceResponse response = responses.next();
        if (response.hasDrain()) {
          return;
        }
        held.apply(response);
      }
    } finally {
      channel.shutdownNow();
    }
  }

  /** Says whether a person must act. A reason that is newer than this program counts by its code. */
  private static boolean isFinal(StatusRuntimeException error, String reason) {
    return switch (reason) {
      case "", OTHER_TENANT -> false;
      case "ERROR_REASON_TOO_MANY_USERS", "ERROR_REASON_METADATA_TOO_LARGE" -> true;
      default -> switch (error.getStatus().getCode()) {
        case UNAUTHENTICATED, PERMISSION_DENIED, INVALID_ARGUMENT -> true;
        default -> false;
      };
    };
  }

  private static void giveUp(int exitCode, String text) {
    System.err.println(text);
    System.exit(exitCode);
  }

  /** The relay's reason and the wait that it asks for. Both are empty when the transport failed. */
  private record Details(String reason, long retryMs) {
    static Details of(StatusRuntimeException error) {
      String reason = "";
      long retryMs = 0;
      try {
        for (Any detail : StatusProto.fromThrowable(error).getDetailsList()) {
          if (detail.is(ErrorInfo.class)) {
            var info = detail.unpack(ErrorInfo.class);
            reason = info.getDomain().equals("presence.relay") ? info.getReason() : reason;
          } else if (detail.is(RetryInfo.class)) {
            var delay = detail.unpack(RetryInfo.class).getRetryDelay();
            retryMs = delay.getSeconds() * 1000 + delay.getNanos() / 1_000_000;
          }
        }
      } catch (InvalidProtocolBufferException unreadable) {
        // Then the gRPC code says enough.
      }
      return new Details(reason, retryMs);
    }
  }
}
