// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/signin"
)

// TestSignInStepUp: a certified authorization server authenticates a user again if a login
// asks for it. It knows no acr, and the login is refused instead of repeated.
func TestSignInStepUp(t *testing.T) {
	t.Parallel()
	p := sharedProvider(t)
	w := newWebsite(t, oauthConfig(p, webapp))
	v := newVisitor(t, "ada")
	for _, test := range []struct {
		query  string
		reason gatehouse.Reason
	}{
		{"", ""},
		{"&max_age=600", ""},
		{"&max_age=0", ""},
		{"&prompt=login", ""},
		{"&login_hint=ada", ""},
		{"&acr_values=gold", signin.ReasonStepUp},
	} {
		login, reason := w.callback(t, v, consent(t, v, v.authorize(t, w.url, "?return_to=/reports"+test.query)))
		if reason != test.reason || (reason == "") != (login.Principal.Subject == "ada") {
			t.Errorf("login%s: subject %q, reason %q, want %q", test.query, login.Principal.Subject, reason, test.reason)
		}
	}
}
