// SPDX-License-Identifier: Apache-2.0

package rpc_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/adapter/internal/rpc"
)

const (
	list  = "/acme.Reports/List"
	watch = "/acme.Reports/Watch"
	ping  = "/acme.Reports/Ping"
	purge = "/acme.Reports/Purge"
)

// caller is an authenticator of the scheme Toy, whose credential is the subject. It
// returns the error, if there is one.
type caller struct{ err error }

func (caller) Reads() gatehouse.Reads {
	return gatehouse.Reads{Schemes: []gatehouse.Scheme{{Name: "Toy"}}}
}

func (c caller) Authenticate(r *http.Request) (gatehouse.Proof, error) {
	subject, err := gatehouse.Authorization(r, "Toy")
	if err != nil {
		return gatehouse.Proof{}, err
	}
	proof := gatehouse.NewProof(&gatehouse.Principal{Method: "toy", Subject: subject})
	proof.Header = http.Header{"Toy-Nonce": {"1"}}
	return proof, c.err
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newGate(err error) *gatehouse.Gate {
	return must(gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{caller{err}}, Realm: "acme"}))
}

func TestNewReportsAllErrors(t *testing.T) {
	if _, err := rpc.New("toy", nil, nil, nil); err == nil || err.Error() != "toy: Config.Gate: required" {
		t.Errorf("New(no gate) error = %v", err)
	}
	policies := []gatehouse.Policy{gatehouse.Authenticated}
	_, err := rpc.New(
		"toy", newGate(nil),
		map[string][]gatehouse.Policy{
			list: policies, watch: nil, "/a.B/C": {nil}, "/a.B/D": {gatehouse.PolicyFunc(nil)}, "POST /a.B/E": policies, "/{s}/{m}": policies, "/a.B/": policies, "a.B/C": policies,
		},
		[]string{list, ping, ping, "", "/", "/a..B/C", "/.a.B/C", "/a.B/C/D"},
	)
	want := strings.Join([]string{
		`toy: Config.Methods: "/a.B/": must be a full name, such as "/acme.Reports/List"`,
		`toy: Config.Methods: "/a.B/C": has a nil policy`,
		`toy: Config.Methods: "/a.B/D": has a nil policy`,
		`toy: Config.Methods: "/acme.Reports/Watch": has no policy: use gatehouse.Authenticated, or list it in Public`,
		`toy: Config.Methods: "/{s}/{m}": must be a full name, such as "/acme.Reports/List"`,
		`toy: Config.Methods: "POST /a.B/E": must be a full name, such as "/acme.Reports/List"`,
		`toy: Config.Methods: "a.B/C": must be a full name, such as "/acme.Reports/List"`,
		`toy: Config.Public: "/acme.Reports/List": occurs twice, or has policies in Methods`,
		`toy: Config.Public: "/acme.Reports/Ping": occurs twice, or has policies in Methods`,
		`toy: Config.Public: "": must be a full name, such as "/grpc.health.v1.Health/Check"`,
		`toy: Config.Public: "/": must be a full name, such as "/grpc.health.v1.Health/Check"`,
		`toy: Config.Public: "/a..B/C": must be a full name, such as "/grpc.health.v1.Health/Check"`,
		`toy: Config.Public: "/.a.B/C": must be a full name, such as "/grpc.health.v1.Health/Check"`,
		`toy: Config.Public: "/a.B/C/D": must be a full name, such as "/grpc.health.v1.Health/Check"`,
	}, "\n")
	if err == nil || err.Error() != want {
		t.Errorf("New(invalid) error =\n%v\nwant\n%s", err, want)
	}
}

func TestServe(t *testing.T) {
	code := func(status int) error {
		if status == 0 {
			return nil
		}
		return &gatehouse.Error{Code: gatehouse.NewCode(status, "toy_error", "A toy error."), RetryAfter: 7 * time.Second}
	}
	refusal := func(status int, code uint32) *rpc.Refusal {
		return &rpc.Refusal{Status: status, Code: code, Reason: "toy_error", Message: "A toy error."}
	}
	unavailable := refusal(503, rpc.Unavailable)
	unavailable.RetryAfter = 7 * time.Second
	exhausted := refusal(429, rpc.ResourceExhausted)
	exhausted.RetryAfter = 7 * time.Second
	unknown := &rpc.Refusal{Status: 404, Code: rpc.Unimplemented, Message: "The method is unknown."}
	moved := &rpc.Refusal{Status: 307, Code: rpc.Unimplemented, Message: "The method is unknown."}
	denied := &rpc.Refusal{Status: 403, Code: rpc.PermissionDenied, Reason: "access_denied", Message: gatehouse.CodeAccessDenied.Description()}
	deny := gatehouse.PolicyFunc(func(*http.Request, gatehouse.Principal) error { return errors.New("no") })
	missing := &rpc.Refusal{Status: 401, Code: rpc.Unauthenticated, Reason: "missing_credentials", Message: "This resource requires authentication."}
	for _, test := range []struct {
		name, path, credential string
		status                 int
		want                   *rpc.Refusal
	}{
		{"admitted", list, "Toy alice", 0, nil},
		{"public", ping, "", 0, nil},
		{"no credential", list, "", 0, missing},
		{"second policy denies", purge, "Toy alice", 0, denied},
		{"unknown method", watch, "Toy alice", 0, unknown},
		{"unknown method without a credential", watch, "", 0, missing},
		{"unclean path of a public method", "/x/.." + ping, "", 0, moved},
		{"400", list, "Toy alice", 400, refusal(400, rpc.InvalidArgument)},
		{"401", list, "Toy alice", 401, refusal(401, rpc.Unauthenticated)},
		{"403", list, "Toy alice", 403, refusal(403, rpc.PermissionDenied)},
		{"421", list, "Toy alice", 421, refusal(421, rpc.PermissionDenied)},
		{"429", list, "Toy alice", 429, exhausted},
		{"503", list, "Toy alice", 503, unavailable},
	} {
		t.Run(test.name, func(t *testing.T) {
			policies := map[string][]gatehouse.Policy{list: {gatehouse.Authenticated}, purge: {gatehouse.Authenticated, deny}}
			methods := must(rpc.New("toy", newGate(code(test.status)), policies, []string{ping}))
			r := httptest.NewRequest(http.MethodPost, "/", http.NoBody)
			r.URL = &url.URL{Path: test.path}
			if test.credential != "" {
				r.Header.Set("Authorization", test.credential)
			}
			ran := false
			got := methods.Serve(r, func(r *http.Request, header http.Header) {
				ran = true
				if p, ok := gatehouse.FromContext(r.Context()); ok != (test.credential != "") || ok && (p.Subject != "alice" || header.Get("Toy-Nonce") != "1") {
					t.Errorf("run with %+v and header %v, want alice and that of the proof", p, header)
				}
			})
			if ran != (test.want == nil) {
				t.Errorf("run was called: %t", ran)
			}
			if got != nil {
				before := got.Header.Clone()
				for _, name := range []string{"Content-Type", "Content-Length", "Cache-Control", "X-Content-Type-Options", "Location"} {
					if got.Metadata()[name] != nil {
						t.Errorf("Metadata() has %s", name)
					}
				}
				if challenge := got.Metadata().Get("WWW-Authenticate"); (challenge != "") != (got.Status == 401) {
					t.Errorf("WWW-Authenticate = %q", challenge)
				}
				if diff := cmp.Diff(before, got.Header); diff != "" {
					t.Errorf("Metadata() has changed the header of the refusal (-before +after):\n%s", diff)
				}
				got.Header, got.Body = nil, nil
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("Serve() (-want +got):\n%s", diff)
			}
		})
	}
}

// A login page is no answer to a call.
func TestLoginPage(t *testing.T) {
	gate := must(gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{caller{}}, Realm: "acme", LoginURL: "/login"}))
	methods := must(rpc.New("toy", gate, map[string][]gatehouse.Policy{list: {gatehouse.Authenticated}}, nil))
	r := httptest.NewRequest(http.MethodGet, list, http.NoBody)
	r.Header = http.Header{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}, "Accept": {"text/html"}}
	got := methods.Serve(r, func(*http.Request, http.Header) { t.Error("run was called") })
	if got == nil || got.Status != http.StatusSeeOther || got.Code != rpc.Unauthenticated || got.Metadata().Get("Location") != "" {
		t.Errorf("Serve() of a browser = %+v, want 303 as Unauthenticated, without the Location", got)
	}
}
