// SPDX-License-Identifier: Apache-2.0

// Package agentkit has the callers and the recorder of the tests of the adapters for
// agents.
package agentkit

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/approval"
	"github.com/gatehouse-go/gatehouse/agent/tool"
)

// Must returns value, and panics if there is an error.
func Must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// Scopes returns a set of scopes.
func Scopes(names ...string) gatehouse.Scopes { return Must(gatehouse.NewScopes(names...)) }

// Roles returns a set of roles.
func Roles(names ...string) gatehouse.Roles { return Must(gatehouse.NewRoles(names...)) }

// Caller returns an agent of the issuer "agents" and the tenant acme.
func Caller(subject string, scopes ...string) gatehouse.Principal {
	return gatehouse.Principal{Kind: gatehouse.KindAgent, Subject: subject, Issuer: "agents", Tenant: "acme", Method: "jwt", Scopes: Scopes(scopes...)}
}

// Admin returns a person of the tenant acme who has the role admin.
func Admin() gatehouse.Principal {
	return gatehouse.Principal{Kind: gatehouse.KindUser, Subject: "carol", Issuer: "people", Tenant: "acme", Method: "jwt", Roles: Roles("admin")}
}

// Callers are principals by their token, "key" is one of an API key, and [Facts] fails
// for "broken". They are an authenticator. A token after a duration, such as "1s:alice",
// expires after it.
type Callers map[string]gatehouse.Principal

// With returns callers with "key" and "broken".
func With(more Callers) Callers {
	broken := Caller("broken", "data:read", "exec:run")
	key := Caller("reader", "data:read")
	key.Kind, key.Issuer, key.Method = gatehouse.KindService, "keys", "api_key"
	more["broken"], more["key"] = broken, key
	return more
}

// Reads implements [gatehouse.Authenticator].
func (Callers) Reads() gatehouse.Reads {
	return gatehouse.Reads{Schemes: []gatehouse.Scheme{{Name: "Bearer", Always: true}}}
}

// Authenticate implements [gatehouse.Authenticator].
func (c Callers) Authenticate(r *http.Request) (gatehouse.Proof, error) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return gatehouse.Proof{}, gatehouse.ErrNoCredentials
	}
	name, lifetime := token, time.Duration(0)
	if prefix, rest, ok := strings.Cut(token, ":"); ok {
		name, lifetime = rest, Must(time.ParseDuration(prefix))
	}
	p, ok := c[name]
	if !ok {
		return gatehouse.Proof{}, &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Reason: gatehouse.ReasonUnclaimed}
	}
	if lifetime > 0 {
		p.Expires = time.Now().Add(lifetime)
	}
	return gatehouse.NewProof(&p), nil
}

// Facts are the facts of callers for a [tool.Table].
func Facts(_ context.Context, p gatehouse.Principal) (tool.Facts, error) {
	switch {
	case p.Subject == "broken":
		return tool.Facts{}, &net.OpError{Op: "dial", Err: errors.New("the registry is down")}
	case p.Method == "api_key":
		return tool.Facts{Kind: tool.APIKey}, nil
	}
	return tool.Facts{Kind: tool.OwnToken, Attested: true, Obtainable: Scopes("exec:run")}, nil
}

// RemovesWriteDeadline reports whether a handler removes the write deadline of the
// connection of a request.
func RemovesWriteDeadline(h http.Handler, r *http.Request) bool {
	w := &deadlineRecorder{ResponseRecorder: httptest.NewRecorder()}
	h.ServeHTTP(w, r)
	return w.removed
}

type deadlineRecorder struct {
	*httptest.ResponseRecorder
	removed bool
}

func (w *deadlineRecorder) SetWriteDeadline(deadline time.Time) error {
	w.removed = deadline.IsZero()
	return nil
}

// Approvals returns approvals in memory, with a URL.
func Approvals(url string) *approval.Approvals {
	return Must(approval.New(approval.Config{Store: approval.NewMemory(100), URL: url}))
}

// Recorder is an observer that keeps events, and what has run.
type Recorder struct {
	// Lost is what Observe returns for a type of events, nil for no errors.
	Lost func(gatehouse.EventType) error

	mu     sync.Mutex
	ran    []string
	events []gatehouse.Event
}

// Observe implements [gatehouse.Observer].
func (r *Recorder) Observe(_ context.Context, e gatehouse.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
	if r.Lost != nil {
		return r.Lost(e.Type)
	}
	return nil
}

// Last returns the last event.
func (r *Recorder) Last() gatehouse.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.events[len(r.events)-1]
}

// Ran records that a tool has run.
func (r *Recorder) Ran(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ran = append(r.ran, text)
}

// WantRan fails the test if other tools have run than these, in this order.
func (r *Recorder) WantRan(t *testing.T, want ...string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if got := strings.Join(r.ran, "; "); got != strings.Join(want, "; ") {
		t.Errorf("the tools ran: %s, want %s", got, strings.Join(want, "; "))
	}
}

// Bearer is a transport that sends the token of a caller.
type Bearer struct {
	Base   http.RoundTripper
	Caller string
}

// RoundTrip implements [http.RoundTripper].
func (b Bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.Caller)
	return b.Base.RoundTrip(r)
}
