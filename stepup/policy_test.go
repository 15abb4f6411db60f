// SPDX-License-Identifier: Apache-2.0

package stepup_test

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/alloctest"
	"github.com/gatehouse-go/gatehouse/stepup"
)

func caller(authTime time.Time, claims string) gatehouse.Principal {
	return gatehouse.Principal{Method: "jwt", Subject: "ada", AuthTime: authTime, Claims: must(gatehouse.NewClaims(claims))}
}

// Covers RFC 9470 §3 (code, max_age, acr_values, both), §6.1; ASVS 5.0 §10.3.4.
func TestRequire(t *testing.T) {
	const phr = `{"acr":"phr"}`
	recent := stepup.Requirement{MaxAge: 5 * time.Minute}
	strong := stepup.Requirement{ACRValues: []string{"phrh", "phr"}}
	both := stepup.Requirement{MaxAge: 5 * time.Minute, ACRValues: []string{"phrh", "phr"}}
	synctest.Test(t, func(t *testing.T) {
		ago := func(d time.Duration) time.Time { return time.Now().Add(-d) }
		for _, test := range []struct {
			name        string
			requirement stepup.Requirement
			authTime    time.Time
			claims      string
			reason      gatehouse.Reason // "" if allowed
			cause       string
		}{
			{"just now", recent, ago(0), "{}", "", ""},
			{"the maximum age", recent, ago(5 * time.Minute), "{}", "", ""},
			{"one second more", recent, ago(5*time.Minute + time.Second), "{}", stepup.ReasonAuthTime, "stepup: the login is 5m1s old, accepted are 5m0s"},
			{"a moment more", recent, ago(5*time.Minute + time.Millisecond), "{}", stepup.ReasonAuthTime, "stepup: the login is 5m0s old, accepted are 5m0s"},
			{"unknown time", recent, time.Time{}, `{"auth_time":99999999999}`, stepup.ReasonAuthTime, "stepup: the time of the login is unknown: the credential has no auth_time"},
			{"clock of the issuer ahead", recent, ago(-time.Minute), "{}", "", ""},
			{"clock ahead a moment more", recent, ago(-time.Minute - time.Millisecond), "{}", stepup.ReasonAuthTime, "stepup: the login is 1m0s in the future: check the clocks"},
			{"in the future", recent, ago(-61 * time.Second), "{}", stepup.ReasonAuthTime, "stepup: the login is 1m1s in the future: check the clocks"},

			{"first value", strong, time.Time{}, `{"acr":"phrh"}`, "", ""},
			{"second value, old login", strong, ago(999 * time.Hour), phr, "", ""},
			{"other value", strong, ago(0), `{"acr":"pwd"}`, stepup.ReasonACR, `stepup: acr is "pwd", accepted are ["phrh" "phr"]`},
			{"other case", strong, ago(0), `{"acr":"PHR"}`, stepup.ReasonACR, `stepup: acr is "PHR", accepted are ["phrh" "phr"]`},
			{"both values in one", strong, ago(0), `{"acr":"phrh phr"}`, stepup.ReasonACR, `stepup: acr is "phrh phr", accepted are ["phrh" "phr"]`},
			{"no acr", strong, ago(0), "{}", stepup.ReasonACR, `stepup: acr is "", accepted are ["phrh" "phr"]`},
			{"acr in another case", strong, ago(0), `{"ACR":"phr"}`, stepup.ReasonACR, `stepup: acr is "", accepted are ["phrh" "phr"]`},
			{"list", strong, ago(0), `{"acr":["phr"]}`, stepup.ReasonACR, "stepup: acr: gatehouse: decode claims: json: cannot unmarshal"},
			{"long value", strong, ago(0), `{"acr":"` + strings.Repeat("x", 99) + `"}`, stepup.ReasonACR, `stepup: acr is "` + strings.Repeat("x", 64) + `", accepted`},

			{"recent and strong", both, ago(time.Minute), phr, "", ""},
			{"recent", both, ago(time.Minute), "{}", stepup.ReasonACR, `stepup: acr is ""`},
			{"strong", both, ago(time.Hour), phr, stepup.ReasonAuthTime, "stepup: the login is 1h0m0s old"},
		} {
			err := stepup.Require(test.requirement).Authorize(nil, caller(test.authTime, test.claims))
			if test.reason == "" {
				if err != nil {
					t.Errorf("%s: Authorize error = %v, want nil", test.name, err)
				}
				continue
			}
			e, ok := errors.AsType[*gatehouse.Error](err)
			if !ok || e.Code != stepup.CodeInsufficientUserAuthentication || e.Reason != test.reason || e.Level != slog.LevelInfo || !strings.HasPrefix(e.Cause.Error(), test.cause) {
				t.Fatalf("%s: Authorize error = %+v, want %s, cause %s", test.name, err, test.reason, test.cause)
			}
			var want []gatehouse.Param
			if test.requirement.MaxAge > 0 {
				want = append(want, gatehouse.Param{Name: "max_age", Value: "300"})
			}
			if test.requirement.ACRValues != nil {
				want = append(want, gatehouse.Param{Name: "acr_values", Value: "phrh phr"})
			}
			if diff := cmp.Diff(want, e.Params); diff != "" {
				t.Errorf("%s: Params (-want +got):\n%s", test.name, diff)
			}
		}
	})
}

func TestRequireClonesValues(t *testing.T) {
	values := []string{"phr"}
	policy := stepup.Require(stepup.Requirement{ACRValues: values})
	values[0] = "pwd"
	if err := policy.Authorize(nil, caller(time.Time{}, `{"acr":"pwd"}`)); err == nil {
		t.Error("Authorize with a value that was set after Require = nil, want an error")
	}
}

func TestRequirePanics(t *testing.T) {
	const age = ", want whole seconds from 10s to 8760h0m0s"
	for _, test := range []struct {
		requirement stepup.Requirement
		want        string
	}{
		{stepup.Requirement{}, "MaxAge or ACRValues is required"},
		{stepup.Requirement{ACRValues: []string{}}, "MaxAge or ACRValues is required"},
		{stepup.Requirement{MaxAge: -time.Minute}, "MaxAge: got -1m0s" + age},
		{stepup.Requirement{MaxAge: 9 * time.Second}, "MaxAge: got 9s" + age},
		{stepup.Requirement{MaxAge: 10500 * time.Millisecond}, "MaxAge: got 10.5s" + age},
		{stepup.Requirement{MaxAge: 8761 * time.Hour}, "MaxAge: got 8761h0m0s" + age},
		{
			stepup.Requirement{MaxAge: 1, ACRValues: []string{"phr", "", "a b"}},
			"MaxAge: got 1ns" + age + `; ACRValues[1]: got "", want visible ASCII without spaces; ACRValues[2]: got "a b", want visible ASCII without spaces`,
		},
		{stepup.Requirement{ACRValues: []string{strings.Repeat("a", 128), strings.Repeat("b", 128)}}, "ACRValues: got 257 bytes with the spaces between, want at most 256"},
	} {
		func() {
			defer func() {
				if got, want := recover(), "stepup: Require: "+test.want; got != want {
					t.Errorf("Require(%+v) panic = %v, want %s", test.requirement, got, want)
				}
			}()
			stepup.Require(test.requirement)
		}()
	}
	stepup.Require(stepup.Requirement{MaxAge: 10 * time.Second, ACRValues: []string{strings.Repeat("a", 256)}})
	stepup.Require(stepup.Requirement{MaxAge: 8760 * time.Hour})
}

// The challenge stands under the scheme of the credential. A browser with a session
// is sent to the login with the same parameters.
//
// Covers RFC 9470 §3 (code, both).
func TestResponses(t *testing.T) {
	gate := must(gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{session{}, tokens{}}, Realm: "acme", LoginURL: "/login"}))
	policy := stepup.Require(stepup.Requirement{MaxAge: 5 * time.Minute, ACRValues: []string{"phrh", "phr"}})
	handler := gate.Handler(gatehouse.Require(policy)(http.NotFoundHandler()))
	for _, test := range []struct {
		name, authorization string
		status              int
		challenge, location string
	}{
		{
			"token", "DPoP x", 401,
			`DPoP realm="acme", error="insufficient_user_authentication", error_description="This resource requires a more recent or a stronger authentication of the user.", max_age="300", acr_values="phrh phr"`, "",
		},
		{"session", "", 303, "", "/login?max_age=300&acr_values=phrh+phr&return_to=%2Ftransfer"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/transfer", nil)
			r.Header.Set("Sec-Fetch-Mode", "navigate")
			r.Header.Set("Sec-Fetch-Dest", "document")
			if test.authorization != "" {
				r.Header.Set("Authorization", test.authorization)
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code != test.status || w.Header().Get("WWW-Authenticate") != test.challenge || w.Header().Get("Location") != test.location {
				t.Errorf("response = %d %v, want %d, WWW-Authenticate %s, Location %s", w.Code, w.Header(), test.status, test.challenge, test.location)
			}
		})
	}
}

type session struct{}

func (session) Reads() gatehouse.Reads { return gatehouse.Reads{Cookies: []string{"session"}} }

func (session) Authenticate(*http.Request) (gatehouse.Proof, error) {
	return gatehouse.NewProof(&gatehouse.Principal{Method: "session", Subject: "ada"}), nil
}

type tokens struct{}

func (tokens) Reads() gatehouse.Reads {
	return gatehouse.Reads{Schemes: []gatehouse.Scheme{{Name: "DPoP"}}}
}

func (tokens) Authenticate(*http.Request) (gatehouse.Proof, error) {
	return gatehouse.NewProof(&gatehouse.Principal{Method: "jwt", Subject: "ada"}), nil
}

func TestMaxAgeDoesNotAllocate(t *testing.T) {
	policy := stepup.Require(stepup.Requirement{MaxAge: time.Hour})
	p := caller(time.Now(), "{}")
	alloctest.AtMost(t, 0, func() {
		if err := policy.Authorize(nil, p); err != nil {
			t.Error(err)
		}
	})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
