// Command watch shows the Microsoft Teams presence of colleagues: one line of JSON for each answer.
//
//	watch ADDRESS CA_FILE KEY_FILE USER...
package main

import (
	"context"
	"fmt"
	"math/rand"
	"os"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	presencev1 "presence.relay/api/v1"
)

const (
	firstWait   = 500 * time.Millisecond
	longestWait = 30 * time.Second
	goodAfter   = 10 * time.Second // after a stream that lasted this long, waits begin short again
)

func main() {
	if len(os.Args) < 5 {
		giveUp(2, "usage: watch ADDRESS CA_FILE KEY_FILE USER...")
	}
	trust, err := credentials.NewClientTLSFromFile(os.Args[2], "")
	if err != nil {
		giveUp(2, "the CA file cannot be used: %v", err)
	}
	key, err := os.ReadFile(os.Args[3])
	if err != nil {
		giveUp(2, "the key file cannot be read: %v", err)
	}
	rand.Seed(time.Now().UnixNano()) // needless since Go 1.20
	held := newHeld(os.Args[4:])
	for ceiling := firstWait; ; {
		began := time.Now()
		err := watch(os.Args[1], trust, strings.TrimSpace(string(key)), held)
		held.lost()
		reason, atLeast := details(err)
		if isFinal(status.Code(err), reason) {
			giveUp(3, "refused: %s: %s", reason, status.Convert(err).Message())
		}
		if reason == "ERROR_REASON_RESUME_TOKEN_OF_ANOTHER_TENANT" {
			held = newHeld(held.users)
		}
		if time.Since(began) > goodAfter {
			ceiling = firstWait
		}
		wait := atLeast + time.Duration(rand.Int63n(int64(ceiling))) // full jitter: suites do not come back all at once
		fmt.Fprintf(os.Stderr, "disconnected: %v; again in %v\n", err, wait.Round(time.Millisecond))
		time.Sleep(wait)
		if ceiling *= 2; ceiling > longestWait {
			ceiling = longestWait
		}
	}
}

// watch opens one stream and applies its responses until it ends. It returns nil when the relay asks for another stream.
func watch(address string, trust credentials.TransportCredentials, key string, held *held) error {
	pings := keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}
	// A connection for each stream: it may lead to another relay process. HTTPS_PROXY is obeyed.
	// With grpc-go 1.63 and newer write grpc.NewClient.
	conn, err := grpc.Dial(address, grpc.WithTransportCredentials(trust), grpc.WithKeepaliveParams(pings))
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+key)
	request := &presencev1.StreamPresenceRequest{Start: held.start()}
	stream, err := presencev1.NewPresenceServiceClient(conn).StreamPresence(ctx, request)
	if err != nil {
		return err
	}
	for {
		response, err := stream.Recv()
		if err != nil {
			return err
		}
		if response.GetDrain() != nil {
			return nil
		}
		held.apply(response)
	}
}

// details returns the relay's reason and the wait that it asks for. Both are empty when the transport failed.
func details(err error) (reason string, atLeast time.Duration) {
	for _, detail := range status.Convert(err).Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			if detail.Domain == "presence.relay" {
				reason = detail.Reason
			}
		case *errdetails.RetryInfo:
			atLeast = detail.GetRetryDelay().AsDuration()
		}
	}
	return reason, atLeast
}

// isFinal says whether a person must act. A reason that is newer than this program counts by its code.
func isFinal(code codes.Code, reason string) bool {
	switch reason {
	case "", "ERROR_REASON_RESUME_TOKEN_OF_ANOTHER_TENANT":
		return false
	case "ERROR_REASON_TOO_MANY_USERS", "ERROR_REASON_METADATA_TOO_LARGE":
		return true
	}
	return code == codes.Unauthenticated || code == codes.PermissionDenied || code == codes.InvalidArgument
}

func giveUp(exitCode int, format string, values ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", values...)
	os.Exit(exitCode)
}
