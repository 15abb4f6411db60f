// SPDX-License-Identifier: Apache-2.0

package dpop_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/dpop"
)

func TestNewReportsEveryMistake(t *testing.T) {
	short := gatehouse.NewSecret(make([]byte, 31))
	_, err := dpop.New(dpop.Config{
		Replays: (*dpop.Memory)(nil), Algorithms: []dpop.Algorithm{"none", "HS256", dpop.ES256, dpop.ES256},
		NonceKeys: []gatehouse.Secret{nonceKey, short, nonceKey},
	})
	const want = `dpop: Config.PublicOrigin: required
dpop: Config.Replays: required
dpop: Config.Algorithms[0]: "none" is not a supported asymmetric algorithm
dpop: Config.Algorithms[1]: "HS256" is not a supported asymmetric algorithm
dpop: Config.Algorithms[3]: ES256 occurs twice
dpop: Config.NonceKeys[1]: got 31 bytes, at least 32 are required
dpop: Config.NonceKeys[2]: occurs twice`
	if err == nil || err.Error() != want {
		t.Errorf("New error\n%v, want\n%s", err, want)
	}
	var keys []gatehouse.Secret
	for n := range 9 {
		keys = append(keys, gatehouse.NewSecret(bytes.Repeat([]byte{byte(n)}, 32)))
	}
	if _, err := dpop.New(config(withNonces(keys[:8]...))); err != nil {
		t.Errorf("New with 8 nonce keys: error = %v", err)
	}
	if _, err := dpop.New(config(withNonces(keys...))); err == nil {
		t.Error("New with 9 nonce keys: no error")
	}
}

func TestPublicOrigin(t *testing.T) {
	for origin, ok := range map[string]bool{
		"https://api.example.com": true, "https://api.example.com:8443": true, "http://localhost:8080": true, "http://127.0.0.1": true, "https://[::1]": true,
		"http://api.example.com": false, "https://api.example.com/": false, "https://api.example.com/v1": false, "https://api.example.com?": false,
		"https://api.example.com?a": false, "https://api.example.com#": false, "https://user@api.example.com": false, "api.example.com": false,
		"https://": false, "ftp://api.example.com": false, "https://api.example.com ": false, "https://exämple.com": false,
	} {
		if _, err := dpop.New(config(func(c *dpop.Config) { c.PublicOrigin = origin })); (err == nil) != ok {
			t.Errorf("New with PublicOrigin %q: error = %v", origin, err)
		}
	}
}

func TestConfirms(t *testing.T) {
	algorithms := []dpop.Algorithm{dpop.ES256, dpop.RS256}
	v := newVerifier(func(c *dpop.Config) { c.Algorithms = algorithms })
	algorithms[0] = dpop.PS512 // the configuration is copied
	want := gatehouse.Confirms{Member: "jkt", Binding: "dpop", Scheme: gatehouse.Scheme{
		Name: "DPoP", Params: []gatehouse.Param{{Name: "algs", Value: "ES256 RS256"}}, Companions: []string{"Dpop"}, Always: true,
	}}
	if diff := cmp.Diff(want, v.Confirms(), cmp.Comparer(func(a, b gatehouse.Code) bool { return a == b })); diff != "" {
		t.Errorf("Confirms (-want +got):\n%s", diff)
	}
}
