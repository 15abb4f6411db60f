// SPDX-License-Identifier: Apache-2.0

package apikey_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
)

func TestNewReportsEveryError(t *testing.T) {
	const name = "lower-case letters and digits, a letter first"
	thresholds := func(want apikey.Thresholds) func(*apikey.Config) {
		return func(c *apikey.Config) { c.Thresholds, c.Observer = want, new(recorder) }
	}
	both := []gatehouse.EventType{apikey.EventNewNetwork, apikey.EventBurst}
	for _, test := range []struct {
		want  string
		alter func(*apikey.Config)
	}{
		{"Store: required", func(c *apikey.Config) { c.Store = nil }},
		{"Store: required", func(c *apikey.Config) { c.Store = (*apikey.Memory)(nil) }},
		{"Observer: is a nil *apikey_test.recorder", func(c *apikey.Config) { c.Observer = (*recorder)(nil) }},
		{"Watcher: is a nil *apikey.Memory", func(c *apikey.Config) { c.Watcher = (*apikey.Memory)(nil) }},
		{"Prefix: required", func(c *apikey.Config) { c.Prefix = "" }},
		{`Prefix: got "a", must be 2 to 16 ` + name, func(c *apikey.Config) { c.Prefix = "a" }},
		{`Prefix: got "Acme"`, func(c *apikey.Config) { c.Prefix = "Acme" }},
		{`Prefix: got "1acme"`, func(c *apikey.Config) { c.Prefix = "1acme" }},
		{`Prefix: got "ac-me"`, func(c *apikey.Config) { c.Prefix = "ac-me" }},
		{`Prefix: got "ac_me"`, func(c *apikey.Config) { c.Prefix = "ac_me" }},
		{`Prefix: got "acmé"`, func(c *apikey.Config) { c.Prefix = "acmé" }},
		{`Prefix: got "acmeacmeacmeacmea"`, func(c *apikey.Config) { c.Prefix = "acmeacmeacmeacmea" }},
		{`Environment: got "Live", must be 1 to 16 ` + name, func(c *apikey.Config) { c.Environment = "Live" }},
		{`Kind: got "robot", must be user, service or agent`, func(c *apikey.Config) { c.Kind = "robot" }},
		{`Scopes: "reports:*": wildcards are not supported`, func(c *apikey.Config) { c.Scopes = []string{"a", "reports:*"} }},
		{`Scopes: "*:read": wildcards are not supported`, func(c *apikey.Config) { c.Scopes = []string{"a", "*:read"} }},
		{"Scopes: gatehouse: malformed scope", func(c *apikey.Config) { c.Scopes = []string{"a b"} }},
		{"MaxLifetime: got -1h0m0s, must be greater than 0", func(c *apikey.Config) { c.MaxLifetime = -time.Hour }},
		{"Peppers: got 5, at most 4 are allowed", func(c *apikey.Config) {
			c.Peppers = []apikey.Pepper{pepper(1, 'a'), pepper(2, 'a'), pepper(3, 'a'), pepper(4, 'a'), pepper(5, 'a')}
		}},
		{"Peppers[0].Version: required, greater than 0", func(c *apikey.Config) { c.Peppers = []apikey.Pepper{pepper(0, 'a')} }},
		{"Peppers[1].Version: 3 occurs twice", func(c *apikey.Config) { c.Peppers = []apikey.Pepper{pepper(3, 'a'), pepper(3, 'b')} }},
		{"Peppers[1].Secret: got 31 bytes, at least 32 are required", func(c *apikey.Config) {
			c.Peppers = []apikey.Pepper{pepper(2, 'a'), {Version: 1, Secret: gatehouse.NewSecret(make([]byte, 31))}}
		}},
		{"AllowUnpeppered: has no effect without Peppers", func(c *apikey.Config) { c.AllowUnpeppered = true }},
		{"Proxies[0]: invalid network", func(c *apikey.Config) { c.Proxies = []netip.Prefix{{}} }},
		{"Proxies[0]: ::ffff:0.0.0.0/95 is wider than", func(c *apikey.Config) { c.Proxies = prefixes("::ffff:0.0.0.0/95") }},
		{"CacheTTL: got 5.000000001s, must be 0 to 5s", func(c *apikey.Config) { c.CacheTTL = 5*time.Second + 1 }},
		{"CacheTTL: got -1ns, must be 0 to 5s", func(c *apikey.Config) { c.CacheTTL = -1 }},
		{"Thresholds.Burst: got 1, must be 0 or at least 2", thresholds(apikey.Thresholds{Burst: 1, BurstFloor: 1})},
		{"Thresholds.Burst: got -2", thresholds(apikey.Thresholds{Burst: -2, NewNetworks: true})},
		{"Thresholds.BurstFloor: got 0, must be greater than 0 if Burst is set", thresholds(apikey.Thresholds{Burst: 2})},
		{"Thresholds.BurstFloor: got 1", thresholds(apikey.Thresholds{BurstFloor: 1})},
		{"Thresholds.BurstFloor: got -1", thresholds(apikey.Thresholds{BurstFloor: -1, NewNetworks: true})},
		{"Thresholds.Failures: got -1, must not be negative", thresholds(apikey.Thresholds{Failures: -1})},
		{`Thresholds.Suspend: "apikey_burst": its threshold is not set`, thresholds(apikey.Thresholds{NewNetworks: true, Suspend: both})},
		{`Thresholds.Suspend: "apikey_new_network": its threshold`, thresholds(apikey.Thresholds{Burst: 2, BurstFloor: 1, Suspend: both})},
		{`Thresholds.Suspend: "apikey_failures": its threshold`, thresholds(apikey.Thresholds{Failures: 1, Suspend: []gatehouse.EventType{apikey.EventFailures}})},
		{`Thresholds.Suspend: "apikey_revoked": its threshold`, thresholds(apikey.Thresholds{NewNetworks: true, Suspend: []gatehouse.EventType{apikey.EventRevoked}})},
		{"Thresholds: no effect without Observer or", func(c *apikey.Config) { c.Thresholds.Failures = 1 }},
	} {
		config := apikey.Config{Store: apikey.NewMemory(0), Prefix: "acme"}
		test.alter(&config)
		keys, err := apikey.New(config)
		if err == nil || keys != nil || !strings.HasPrefix(err.Error(), "apikey: Config."+test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("New error = %v, want apikey: Config.%s", err, test.want)
		}
	}
	if _, err := apikey.New(apikey.Config{Environment: "_", MaxLifetime: -1}); err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("New error = %v, want four lines", err)
	}
	must(apikey.New(apikey.Config{Store: apikey.NewMemory(0), Prefix: "acme", MaxLifetime: time.Microsecond}))(t)
}

func TestNewAcceptsNames(t *testing.T) {
	for _, name := range []string{"ab", "za09", "acme2", "abcdefghijklmn16"} {
		f := newKeys(t, func(c *apikey.Config) { c.Prefix, c.Environment = name, name })
		_, text := f.create(t, request())
		if label := must(apikey.Parse(text))(t); label.Prefix != name || label.Environment != name {
			t.Errorf("label = %s, want prefix and environment %s", label, name)
		}
		f.wantReason(t, text, "")
	}
}

func TestDefaults(t *testing.T) {
	f := newKeys(t, func(c *apikey.Config) { *c = apikey.Config{Store: c.Store, Prefix: "acme"} })
	if _, err := f.Create(t.Context(), apikey.Request{Owner: "o", Lifetime: 90*day + time.Second}); err == nil {
		t.Error("Create(Lifetime above 90 days) error = nil, want one")
	}
	if _, err := f.Create(t.Context(), apikey.Request{Owner: "o", Lifetime: day, Scopes: []string{"reports:read"}}); err == nil {
		t.Error("Create(Scopes) without Config.Scopes: error = nil, want one")
	}
	key, text := f.create(t, apikey.Request{Owner: "o", Lifetime: 90 * day})
	want := gatehouse.Principal{
		Kind: gatehouse.KindService, Subject: "o", Issuer: "acme", Environment: "live", Method: "api_key",
		Credential: key.ID, Expires: key.Expires, Claims: claims(t, "{}"),
	}
	for range 2 { // without a cache
		if got := send(t, get(text), f.Keys).principal; got != want {
			t.Errorf("principal = %+v, want %+v", got, want)
		}
	}
	f.wantCalls(t, "Find", 2)
	if got := f.Stats(); got != (apikey.Stats{}) {
		t.Errorf("Stats() = %+v, want zeros without a cache", got)
	}
}

func TestConfigIsCloned(t *testing.T) {
	var config *apikey.Config
	f := newKeys(t, func(c *apikey.Config) {
		c.Peppers, c.Proxies = []apikey.Pepper{pepper(1, 'a')}, prefixes("10.0.0.1/32")
		c.Thresholds = apikey.Thresholds{NewNetworks: true, Suspend: []gatehouse.EventType{apikey.EventNewNetwork}}
		config = c
	})
	config.Scopes[0], config.Peppers[0], config.Proxies[0] = "changed", pepper(9, 'z'), prefixes("0.0.0.0/0")[0]
	config.Thresholds.Suspend[0] = apikey.EventBurst
	r := request()
	r.Networks = prefixes("192.0.2.0/24", "198.51.100.0/24")
	key, text := f.create(t, r)
	if got := must(f.store.Find(t.Context(), key.ID))(t).Current.Pepper; got != 1 {
		t.Errorf("pepper = %d, want 1", got)
	}
	q := from(text, "192.0.2.7:1")
	q.Header.Set("X-Forwarded-For", "203.0.113.1")
	f.wantReasonOf(t, q, "")
	newKeys(t, func(c *apikey.Config) { c.Store, c.Peppers = f.store, []apikey.Pepper{pepper(1, 'a')} }).wantReasonOf(t, from(text, "192.0.2.7:1"), "")
	f.wantReasonOf(t, from(text, "198.51.100.7:1"), apikey.ReasonSuspended)
}
