package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	presencev1 "presence.relay/api/v1"
)

// held is what a resume needs: the token, what each name stands for, and each user's answer. It prints what changes.
type held struct {
	users    []string
	token    string
	names    map[string]*presencev1.ResolvedName
	answers  map[string]*presencev1.UserAnswer
	shown    map[string]line
	unsure   map[string]bool // names that are shown from before a reset, and not answered since
	complete bool            // the snapshot of this stream
	well     bool            // the relay can read the organisation
	certain  bool
}

// line is one line of output. The reason is empty when there is a presence.
type line struct {
	User   string `json:"user"`
	Status string `json:"status"`
	Reason string `json:"reason"`
}

func newHeld(users []string) *held {
	held := &held{users: users, shown: map[string]line{}}
	held.reset()
	return held
}

// start says what to watch, and what is held since the stream that gave the token.
func (h *held) start() *presencev1.WatchStart {
	start := &presencev1.WatchStart{ResumeToken: h.token, Client: &presencev1.SuiteClient{Name: "example-go", Version: "1.0"}}
	for _, user := range h.users {
		name := h.names[user]
		if h.token != "" && (name.GetUnknownReason() != 0 || h.answers[name.GetUserId()] != nil) {
			start.HeldUsers = append(start.HeldUsers, name)
		} else {
			start.SubscribeUsers = append(start.SubscribeUsers, user)
		}
	}
	return start
}

// apply takes one response. Events that are newer than this program change nothing.
func (h *held) apply(response *presencev1.WatchPresenceResponse) {
	switch event := response.Event.(type) {
	case *presencev1.WatchPresenceResponse_Started_:
		fmt.Fprintln(os.Stderr, "connected:", event.Started.Outcome)
		h.complete, h.well = false, true
		if event.Started.Outcome != presencev1.WatchPresenceResponse_OUTCOME_RESUMED {
			h.reset()
		}
	case *presencev1.WatchPresenceResponse_Batch_:
		h.applyBatch(event.Batch)
	case *presencev1.WatchPresenceResponse_TenantStatus_:
		h.well = event.TenantStatus.UnknownReason == presencev1.UnknownReason_UNKNOWN_REASON_UNSPECIFIED
	}
	if response.ResumeToken != "" {
		h.token = response.ResumeToken
	}
	h.tell()
}

func (h *held) applyBatch(batch *presencev1.WatchPresenceResponse_Batch) {
	for _, name := range batch.Resolved {
		h.names[name.User] = name
	}
	for _, answer := range batch.Answers {
		h.answers[answer.UserId] = answer
	}
	meant := map[string]bool{}
	for _, user := range h.users {
		if name := h.names[user]; name != nil {
			meant[name.GetUserId()] = true
			h.show(user, name, h.answers[name.GetUserId()])
		}
	}
	for id := range h.answers {
		if !meant[id] { // no name stands for this user any more
			delete(h.answers, id)
		}
	}
	h.complete = h.complete || batch.SnapshotComplete
}

// show prints a user's line when it differs from the last one.
func (h *held) show(user string, name *presencev1.ResolvedName, answer *presencev1.UserAnswer) {
	now := line{User: user, Status: "UNKNOWN"}
	reason := name.GetUnknownReason()
	if answer != nil {
		reason = answer.GetUnknownReason()
	}
	if presence := answer.GetPresence(); presence != nil {
		now.Status = word(presencev1.ConsoleStatus_name, int32(presence.ConsoleStatus), "CONSOLE_STATUS_")
	} else if reason == 0 && answer == nil {
		now.Reason = "PENDING"
	} else {
		now.Reason = word(presencev1.UnknownReason_name, int32(reason), "UNKNOWN_REASON_")
	}
	if now.Reason == "PENDING" && h.unsure[user] {
		return // go on showing what was shown before the reset
	}
	delete(h.unsure, user)
	if h.shown[user] != now {
		h.shown[user] = now
		print(now)
	}
}

// word returns a value's name without its prefix. Values may be added: one that this program does not know is UNKNOWN.
func word(names map[int32]string, value int32, prefix string) string {
	if name, known := names[value]; known && value != 0 {
		return strings.TrimPrefix(name, prefix)
	}
	return "UNKNOWN"
}

// reset forgets what is held, because everything is sent again. What is shown stays, and is uncertain.
func (h *held) reset() {
	h.token, h.complete = "", false
	h.names, h.answers = map[string]*presencev1.ResolvedName{}, map[string]*presencev1.UserAnswer{}
	h.unsure = map[string]bool{}
	for user := range h.shown {
		h.unsure[user] = true
	}
}

// lost notes that there is no stream.
func (h *held) lost() {
	h.complete = false
	h.tell()
}

// tell prints whether what is shown is certain, when that changes. Draw everything grey while it is not.
func (h *held) tell() {
	if certain := h.complete && h.well; certain != h.certain {
		h.certain = certain
		print(map[string]bool{"certain": certain})
	}
}

func print(value any) {
	text, _ := json.Marshal(value)
	fmt.Println(string(text))
}
