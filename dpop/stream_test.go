// SPDX-License-Identifier: Apache-2.0

package dpop_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/dpop"
)

// boundToken accepts one token with a proof.
type boundToken struct {
	proofs *dpop.Verifier
	jkt    string
	calls  int
}

func (b *boundToken) Reads() gatehouse.Reads {
	return gatehouse.Reads{Schemes: []gatehouse.Scheme{{Name: "DPoP", Companions: []string{"DPoP"}}}, Rechecks: true}
}

func (b *boundToken) Authenticate(r *http.Request) (gatehouse.Proof, error) {
	b.calls++
	if _, err := b.proofs.Confirm(r, token, b.jkt, time.Now()); err != nil {
		return gatehouse.Proof{}, err
	}
	return gatehouse.NewProof(&gatehouse.Principal{Method: "jwt", Subject: "alice", Binding: dpop.Binding}), nil
}

// A proof is valid once. The checks of a stream do not ask for another one.
func TestStreamNeedsOneProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient("ES256")
		a := &boundToken{proofs: newVerifier(), jkt: c.jkt}
		gate := must(gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{dpop.Require(a)}, Realm: "test"}))
		r := request("GET", target, c.valid())
		r.Header.Set("Authorization", "DPoP "+token)
		served := false
		gate.Handler(gatehouse.EndAtExpiry(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			served = true
			time.Sleep(10 * time.Minute)
			if err := context.Cause(r.Context()); err != nil {
				t.Errorf("context ended: %v", err)
			}
		}))).ServeHTTP(httptest.NewRecorder(), r)
		if !served || a.calls < 20 {
			t.Errorf("served %v, %d checks, want more than 20", served, a.calls)
		}
	})
}
