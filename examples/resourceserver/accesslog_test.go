// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gatehouse-go/gatehouse"
)

// A request whose handler panics has no status 200 in the log, unless it was sent.
func TestAccessLogStatus(t *testing.T) {
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		status  float64
		aborted bool
	}{
		"nothing written": {func(http.ResponseWriter, *http.Request) {}, 200, false},
		"written":         {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, 404, false},
		"informational, and written": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(204)
		}, 204, false},
		"panic":              {func(http.ResponseWriter, *http.Request) { panic("defect") }, 500, true},
		"panic after a part": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(206); panic(http.ErrAbortHandler) }, 206, true},
	} {
		var log bytes.Buffer
		func() {
			defer func() { _ = recover() }() // as the server does
			accessLog(slog.New(slog.NewJSONHandler(&log, nil)), test.handler).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
		}()
		var line map[string]any
		if err := json.Unmarshal(log.Bytes(), &line); err != nil || line["status"] != test.status || line["aborted"] != test.aborted {
			t.Errorf("%s: log %s, %v; want the status %v, aborted %t", name, log.Bytes(), err, test.status, test.aborted)
		}
	}
}

// A later decision without a caller keeps the caller of the one before.
func TestAccessLogKeepsCaller(t *testing.T) {
	d := new(decision)
	ctx := context.WithValue(t.Context(), decisionKey{}, d)
	for _, p := range []gatehouse.Principal{{Kind: gatehouse.KindUser, Issuer: "i", Subject: "alice", Method: "jwt"}, {}} {
		if err := noteDecision(ctx, gatehouse.Event{Type: gatehouse.EventDecision, Principal: p}); err != nil {
			t.Fatal(err)
		}
	}
	if d.Principal.Subject != "alice" {
		t.Errorf("the caller is %+v, want alice", d.Principal)
	}
}
