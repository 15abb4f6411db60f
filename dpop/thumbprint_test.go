// SPDX-License-Identifier: Apache-2.0

package dpop_test

import (
	"errors"
	"net/http"
	"net/url"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/dpop"
)

// Covers RFC 9449 §5 (server).
func TestThumbprint(t *testing.T) {
	v, nonces := newVerifier(), newVerifier(withNonces(nonceKey))
	key := must(dpop.GenerateKey())
	proof := func(method, address, token, nonce string) string {
		return must(key.Proof(dpop.ProofRequest{Method: method, URL: must(url.Parse(address)), AccessToken: token, Nonce: nonce}))
	}
	post := func(proofs ...string) *http.Request { return request(http.MethodPost, origin+"/token", proofs...) }
	used := proof("POST", origin+"/token", "", "")
	if _, _, err := v.Thumbprint(post(used)); err != nil {
		t.Fatalf("Thumbprint error = %v", err)
	}
	for name, test := range map[string]struct {
		v      *dpop.Verifier
		r      *http.Request
		want   string
		reason gatehouse.Reason
	}{
		"none":           {v, post(), "", ""},
		"good":           {v, post(proof("POST", origin+"/token", "", "")), key.Thumbprint(), ""},
		"empty":          {v, post(""), "", dpop.ReasonMalformed},
		"two":            {v, post(proof("POST", origin+"/token", "", ""), proof("POST", origin+"/token", "", "")), "", dpop.ReasonSeveral},
		"malformed":      {v, post("x"), "", dpop.ReasonMalformed},
		"used":           {v, post(used), "", dpop.ReasonReplayed},
		"another method": {v, post(proof("GET", origin+"/token", "", "")), "", dpop.ReasonMethod},
		"another path":   {v, post(proof("POST", origin+"/api", "", "")), "", dpop.ReasonURL},
		"of a request":   {v, post(proof("POST", origin+"/token", token, "")), "", dpop.ReasonToken},
		"without nonce":  {nonces, post(proof("POST", origin+"/token", "", "")), "", dpop.ReasonNonce},
	} {
		got, header, err := test.v.Thumbprint(test.r)
		e, _ := errors.AsType[*gatehouse.Error](err)
		if got != test.want || (err == nil) != (test.reason == "") || e != nil && e.Reason != test.reason {
			t.Errorf("%s: Thumbprint = %q, %v, want %q and reason %q", name, got, err, test.want, test.reason)
		}
		if test.reason == dpop.ReasonNonce && (header != nil || e.Header.Get("DPoP-Nonce") == "") {
			t.Errorf("%s: header = %v, header of the error = %v, want a nonce in the error", name, header, e.Header)
		}
	}
}
