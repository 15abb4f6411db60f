// SPDX-License-Identifier: Apache-2.0

// Package extension_test shows that the core package is closed for change: it
// adds a credential with its own scheme, header, cookie, code, reasons,
// confirmation, policy and events, and an observer that counts them, by the
// contracts of the core package alone.
package extension_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
)

// What the package of a credential declares.
const (
	MethodStamp  gatehouse.Method    = "stamp"
	BindingInk   gatehouse.Binding   = "ink"
	ReasonForged gatehouse.Reason    = "stamp_forged"
	ReasonInk    gatehouse.Reason    = "stamp_ink"
	EventMinted  gatehouse.EventType = "stamp_minted"
	AttrColour                       = "colour"
)

var (
	CodeInvalidStamp = gatehouse.NewCode(401, "invalid_stamp", "The stamp is not valid.")
	CodeStampHeader  = gatehouse.NewCode(403, "invalid_stamp", "The stamp is not valid.")
	CodeWrongColour  = gatehouse.NewCode(403, "wrong_colour", "The stamp has another colour.")
)

// ink confirms the member "ink" of cnf by the header Ink.
type ink struct{}

func (ink) Confirms() gatehouse.Confirms {
	return gatehouse.Confirms{Member: "ink", Binding: BindingInk, Scheme: gatehouse.Scheme{Name: "Inked", Companions: []string{"Ink"}, Always: true}}
}

func (ink) Confirm(r *http.Request, _, member string, _ time.Time) (http.Header, error) {
	if r.Header.Get("Ink") != member {
		return nil, &gatehouse.Error{Code: CodeInvalidStamp, Reason: ReasonInk, Scheme: "Inked"}
	}
	return http.Header{"Ink-Next": {"fresh"}}, nil
}

// stamps authenticates stamps: "user:cnf" under the scheme Bearer or Inked, or in
// the header X-Stamp.
type stamps struct {
	confirmers *gatehouse.Confirmers
	observer   gatehouse.Observer
}

func (s *stamps) Reads() gatehouse.Reads {
	return s.confirmers.Reads(gatehouse.Reads{
		Schemes: []gatehouse.Scheme{{Name: "Stamp", Invalid: CodeInvalidStamp}, {Name: "Bearer"}},
		Headers: []gatehouse.Header{{Name: "X-Stamp", Invalid: CodeStampHeader}},
		InURL: func(u *url.URL) (string, string) {
			if strings.HasPrefix(u.Path, "/stamp-") {
				return "post", "stamp-1"
			}
			return "", ""
		},
	})
}

func (s *stamps) Authenticate(r *http.Request) (gatehouse.Proof, error) {
	text, scheme := r.Header.Get("X-Stamp"), ""
	if text == "" {
		var err error
		if scheme, text, err = s.confirmers.Token(r); err != nil {
			return gatehouse.Proof{}, err
		}
	}
	user, cnf, ok := strings.Cut(text, ".")
	if !ok {
		return gatehouse.Proof{}, gatehouse.ErrNoCredentials
	}
	if user == "forger" {
		return gatehouse.Proof{}, &gatehouse.Error{Code: CodeInvalidStamp, Reason: ReasonForged, Scheme: scheme}
	}
	p := &gatehouse.Principal{Subject: user, Issuer: "post", Method: MethodStamp, Credential: "stamp-1"}
	var confirmation gatehouse.Confirmation
	if cnf != "" {
		var err error
		if confirmation, err = s.confirmers.Parse(`{"ink":"` + cnf + `"}`); err != nil {
			return gatehouse.Proof{}, &gatehouse.Error{Code: CodeInvalidStamp, Reason: gatehouse.ReasonUnconfirmed, Cause: err}
		}
		p.Binding = confirmation.Binding()
	}
	header, err := s.confirmers.Confirm(r, scheme, text, confirmation, time.Now())
	if err != nil {
		return gatehouse.Proof{}, err
	}
	proof := gatehouse.NewProof(p)
	proof.Header = header
	return proof, nil
}

// mint is a change that the package reports.
func (s *stamps) mint(ctx context.Context) error {
	return gatehouse.Report(ctx, s.observer, gatehouse.Event{
		Type: EventMinted, Level: slog.LevelInfo, Credential: "stamp-1", Attrs: []slog.Attr{slog.String(AttrColour, "red")},
	})
}

// album is an ambient credential of the same package, in a cookie.
type album struct{}

func (album) Reads() gatehouse.Reads { return gatehouse.Reads{Cookies: []string{"album"}} }

func (album) Authenticate(r *http.Request) (gatehouse.Proof, error) {
	c, err := r.Cookie("album")
	if err != nil {
		return gatehouse.Proof{}, gatehouse.ErrNoCredentials
	}
	return gatehouse.NewProof(&gatehouse.Principal{Subject: c.Value, Issuer: "post", Method: MethodStamp}), nil
}

// red is a policy of the package with a code and parameters of its own.
var red = gatehouse.PolicyFunc(func(_ *http.Request, p gatehouse.Principal) error {
	if strings.HasPrefix(p.Subject, "red") {
		return nil
	}
	return &gatehouse.Error{Code: CodeWrongColour, Reason: "stamp_colour", Params: []gatehouse.Param{{Name: "colour", Value: "red"}}}
})

// counter is an observer that imports nothing but the core package.
type counter map[string]int

func (c counter) Observe(_ context.Context, e gatehouse.Event) error {
	c[fmt.Sprint(e.Type, " ", e.Reason)]++
	return nil
}

func TestNewCredentialNeedsNoChangeOfTheCore(t *testing.T) {
	counts := counter{}
	confirmers, err := gatehouse.NewConfirmers(ink{})
	if err != nil {
		t.Fatal(err)
	}
	s := &stamps{confirmers, counts}
	gate, err := gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{s, album{}}, Realm: "post", Observer: counts})
	if err != nil {
		t.Fatal(err)
	}
	mux := gate.Mux()
	hello := func(w http.ResponseWriter, r *http.Request) {
		p, _ := gatehouse.FromContext(r.Context())
		fmt.Fprintf(w, "%s %s %v", p.Subject, p.Binding, r.Header)
	}
	mux.HandleFunc("GET /hello", hello, gatehouse.Authenticated)
	mux.HandleFunc("GET /red", hello, red)
	mux.HandleFunc("GET /bound", hello, gatehouse.Bound(BindingInk))
	if err := s.mint(t.Context()); err != nil {
		t.Errorf("mint: %v", err)
	}

	const inked = `, Inked realm="post"`
	for _, test := range []struct {
		name, path string
		header     http.Header
		want       string // status, body or error code
		challenges string
	}{
		{"scheme", "/hello", http.Header{"Authorization": {"Bearer ada."}}, "200 ada  map[]", ""},
		{"header", "/hello", http.Header{"X-Stamp": {"ada."}}, "200 ada  map[]", ""},
		{"cookie", "/hello", http.Header{"Cookie": {"album=ada"}}, "200 ada  map[]", ""},
		{"cookie beside a stamp", "/hello", http.Header{"Cookie": {"album=ada; a=b"}, "X-Stamp": {"eve."}}, "200 eve  map[Cookie:[a=b]]", ""},
		{"confirmed", "/bound", http.Header{"Authorization": {"Inked ada.blue"}, "Ink": {"blue"}}, "200 ada ink map[]", ""},
		{"unconfirmed", "/bound", http.Header{"Authorization": {"Inked ada.blue"}, "Ink": {"green"}}, "401 invalid_stamp", `Inked realm="post", error="invalid_stamp", error_description="The stamp is not valid."`},
		{"downgraded", "/hello", http.Header{"Authorization": {"Bearer ada.blue"}}, "401 invalid_token", `Bearer realm="post", error="invalid_token", error_description="The access token is expired, revoked, malformed or invalid for other reasons."` + inked},
		{"not bound", "/bound", http.Header{"X-Stamp": {"ada."}}, "401 invalid_token", `Bearer realm="post", error="invalid_token", error_description="The access token is expired, revoked, malformed or invalid for other reasons."` + inked},
		{"proof beside another scheme", "/hello", http.Header{"Authorization": {"Bearer ada."}, "Ink": {"blue"}}, "400 invalid_request", ""},
		{"forged", "/hello", http.Header{"Authorization": {"Bearer forger."}}, "401 invalid_stamp", `Bearer realm="post", error="invalid_stamp", error_description="The stamp is not valid."` + inked},
		{"unclaimed scheme", "/hello", http.Header{"Authorization": {"Stamp x"}}, "401 invalid_stamp", `Stamp realm="post", error="invalid_stamp", error_description="The stamp is not valid."` + inked},
		{"unclaimed header", "/hello", http.Header{"X-Stamp": {"x"}}, "403 invalid_stamp", ""},
		{"in the URL", "/stamp-1", nil, "401 missing_credentials", `Stamp realm="post", Bearer realm="post"` + inked},
		{"policy", "/red", http.Header{"Cookie": {"album=ada"}}, "403 wrong_colour", `Bearer realm="post", error="wrong_colour", error_description="The stamp has another colour.", colour="red"`},
		{"policy after a confirmation", "/red", http.Header{"Authorization": {"Inked ada.blue"}, "Ink": {"blue"}}, "403 wrong_colour", `Inked realm="post", error="wrong_colour", error_description="The stamp has another colour.", colour="red"`},
		{"nothing", "/hello", nil, "401 missing_credentials", `Stamp realm="post", Bearer realm="post"` + inked},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", test.path, nil)
			maps.Copy(r.Header, test.header)
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, r)
			got := fmt.Sprint(w.Code, " ", w.Body)
			if w.Code != 200 {
				code, _, _ := strings.Cut(strings.TrimPrefix(w.Body.String(), `{"error":"`), `"`)
				got = fmt.Sprint(w.Code, " ", code)
			}
			if got != test.want {
				t.Errorf("answer = %s, want %s", got, test.want)
			}
			if got := strings.Join(w.Header()["Www-Authenticate"], ", "); got != test.challenges {
				t.Errorf("WWW-Authenticate = %s\nwant %s", got, test.challenges)
			}
			if next := w.Header().Get("Ink-Next"); (next != "") != (test.name == "confirmed" || test.name == "policy after a confirmation") {
				t.Errorf("Ink-Next = %q", next)
			}
		})
	}
	want := counter{
		"stamp_minted ": 1, "decision ": 5, "decision stamp_ink": 1, "decision credential_unconfirmed": 1, "decision credential_unbound": 1,
		"decision several_credentials": 1, "decision stamp_forged": 1, "decision credential_unclaimed": 2, "decision credential_in_url": 1,
		"decision stamp_colour": 2, "decision no_credentials": 1,
	}
	if d := cmp.Diff(want, counts); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
}
