// SPDX-License-Identifier: Apache-2.0

package authtest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"time"
)

// recording records an answer, and what a handler writes after the status.
type recording struct {
	*httptest.ResponseRecorder
	written bool
	second  int         // status, 0 for none
	served  atomic.Bool // by a Witness
}

// WriteHeader notes a second status, but not an informational one in front of the first,
// which net/http sends too. A handler that writes without a status has accepted the
// request: see try.
func (r *recording) WriteHeader(status int) {
	if status < http.StatusOK && status != http.StatusSwitchingProtocols && !r.written {
		return
	}
	if r.written && r.second == 0 {
		r.second = status
	}
	r.written = true
	r.ResponseRecorder.WriteHeader(status)
}

// minBody is the length in bytes from which the body of an accepted request is
// searched for anywhere in a refusal. A shorter one must be its start or its end.
const minBody = 8

// ran returns how a refusal shows that the handler behind it has run, "" if it does
// not.
func (r *recording) ran(accepted *recording) string {
	switch {
	case r.served.Load():
		return "the Witness was called"
	case r.second != 0:
		return fmt.Sprintf("it wrote status %d after the refusal", r.second)
	case accepted == nil:
		return ""
	}
	got, body := strings.TrimSpace(r.Body.String()), strings.TrimSpace(accepted.Body.String())
	if body != "" && (strings.HasPrefix(got, body) || strings.HasSuffix(got, body) || len(body) >= minBody && strings.Contains(got, body)) {
		return "the refusal contains the body of an accepted request"
	}
	// Headers that are set after the status are not sent. Those that an accepted
	// request gets are of the handler.
	sent, good := r.Result().Header, accepted.Result().Header
	for name := range r.Header() {
		if sent[name] == nil && good[name] != nil {
			return "it set " + name + " after the refusal"
		}
	}
	return ""
}

type witnessKey struct{}

// Witness wraps the handler behind a gate. If a refused request reaches it, the attack
// that sent the request reports [Accepted], even if the handler writes nothing. The
// request must have the context of the original request, or one derived from it.
func Witness(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if answer, ok := r.Context().Value(witnessKey{}).(*recording); ok {
			answer.served.Store(true)
		}
		next.ServeHTTP(w, r)
	})
}

// send sends the request to handler.
func (a Attempt) send(handler http.Handler) (answer *recording, panicked any) {
	answer = &recording{ResponseRecorder: httptest.NewRecorder()}
	ctx, cancel := context.WithTimeout(context.WithValue(a.Request.Context(), witnessKey{}, answer), time.Minute)
	defer cancel()
	request := a.Request.Clone(ctx)
	if request.GetBody != nil {
		request.Body, _ = request.GetBody() // never fails on a string
	}
	defer func() { panicked = recover() }()
	handler.ServeHTTP(answer, request)
	return answer, nil
}
