// SPDX-License-Identifier: Apache-2.0

package apikey_test

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
)

func pepper(version uint32, fill byte) apikey.Pepper {
	return apikey.Pepper{Version: version, Secret: gatehouse.NewSecret([]byte(strings.Repeat(string(rune(fill)), 32)))}
}

func TestNewReportsEveryMistake(t *testing.T) {
	good := func() apikey.Config { return apikey.Config{Store: apikey.NewMemory(0), Prefix: "acme"} }
	const name = "must be 1 to 16 lower-case letters and digits, a letter first"
	for want, alter := range map[string]func(*apikey.Config){
		"Config.Store: required":  func(c *apikey.Config) { c.Store = nil },
		"Config.Prefix: required": func(c *apikey.Config) { c.Prefix = "" },
		`Config.Prefix: got "a", must be 2 to 16 lower-case letters and digits, a letter first`: func(c *apikey.Config) { c.Prefix = "a" },
		`Config.Environment: got "Live", ` + name:                                               func(c *apikey.Config) { c.Environment = "Live" },
		`Config.Kind: got "robot", must be user, service or agent`:                              func(c *apikey.Config) { c.Kind = "robot" },
		`Config.Scopes: "reports:*": wildcards are not supported`:                               func(c *apikey.Config) { c.Scopes = []string{"a", "reports:*"} },
		"Config.Scopes: gatehouse: malformed scope":                                             func(c *apikey.Config) { c.Scopes = []string{"a b"} },
		"Config.MaxLifetime: got -1h0m0s, must be greater than 0":                               func(c *apikey.Config) { c.MaxLifetime = -time.Hour },
		"Config.Peppers: got 5, at most 4 are allowed": func(c *apikey.Config) {
			c.Peppers = []apikey.Pepper{pepper(1, 'a'), pepper(2, 'a'), pepper(3, 'a'), pepper(4, 'a'), pepper(5, 'a')}
		},
		"Config.Peppers[0].Version: required, greater than 0": func(c *apikey.Config) { c.Peppers = []apikey.Pepper{pepper(0, 'a')} },
		"Config.Peppers[1].Version: 3 occurs twice":           func(c *apikey.Config) { c.Peppers = []apikey.Pepper{pepper(3, 'a'), pepper(3, 'b')} },
		"Config.Peppers[0].Secret: got 5 bytes, at least 32 are required": func(c *apikey.Config) {
			c.Peppers = []apikey.Pepper{{Version: 1, Secret: gatehouse.NewSecret([]byte("short"))}}
		},
		"Config.AllowUnpeppered: has no effect without Peppers":                       func(c *apikey.Config) { c.AllowUnpeppered = true },
		"Config.Proxies[0]: invalid network":                                          func(c *apikey.Config) { c.Proxies = []netip.Prefix{{}} },
		"Config.Proxies[0]: ::ffff:0.0.0.0/95 is wider than":                          func(c *apikey.Config) { c.Proxies = []netip.Prefix{netip.MustParsePrefix("::ffff:0.0.0.0/95")} },
		"Config.CacheTTL: got 5.000000001s, must be 0 to 5s":                          func(c *apikey.Config) { c.CacheTTL = 5*time.Second + 1 },
		"Config.Thresholds.Burst: got 1, must be 0 or at least 2":                     func(c *apikey.Config) { c.Thresholds = apikey.Thresholds{Burst: 1, BurstFloor: 1} },
		"Config.Thresholds.BurstFloor: got 0, must be greater than 0 if Burst is set": func(c *apikey.Config) { c.Thresholds.Burst = 2 },
		"Config.Thresholds.Failures: got -1, must not be negative":                    func(c *apikey.Config) { c.Thresholds.Failures = -1 },
		`Config.Thresholds.Suspend: "apikey_burst": its threshold is not set`:                func(c *apikey.Config) { c.Thresholds.Suspend = []gatehouse.EventType{apikey.EventBurst} },
		`Config.Thresholds.Suspend: "apikey_failures": its threshold is not set`: func(c *apikey.Config) {
			c.Thresholds = apikey.Thresholds{Failures: 1, Suspend: []gatehouse.EventType{apikey.EventFailures}}
		},
		"Config.Thresholds: no effect without Observer or": func(c *apikey.Config) { c.Thresholds.Failures = 1 },
	} {
		config := good()
		alter(&config)
		keys, err := apikey.New(config)
		if err == nil || keys != nil || !strings.Contains(err.Error(), "apikey: "+want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s:\ngot %v", want, err)
		}
	}
	for _, name := range []string{"ab", "a1", "acme2", "abcdefghijklmn16"} {
		config := good()
		config.Prefix, config.Environment = name, name
		keys, err := apikey.New(config)
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		_, text := bench{Keys: keys}.issue(t, apikey.Request{Owner: "o", Lifetime: day})
		if label, err := apikey.Parse(text); err != nil || label.Prefix != name || label.Environment != name {
			t.Errorf("%q: %+v, %v", name, label, err)
		}
		if _, err := keys.Authenticate(get(text)); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, prefix := range []string{"a", "Acme", "1acme", "ac-me", "ac_me", "acmé", "acmeacmeacmeacmea"} {
		config := good()
		config.Prefix = prefix
		if _, err := apikey.New(config); err == nil {
			t.Errorf("prefix %q is accepted", prefix)
		}
	}
	both := []gatehouse.EventType{apikey.EventNewNetwork, apikey.EventBurst}
	for _, thresholds := range []apikey.Thresholds{
		{Burst: -1},
		{Burst: -2, BurstFloor: 1},
		{BurstFloor: 1},
		{BurstFloor: -1, NewNetworks: true},
		{NewNetworks: true, Suspend: both},
		{Burst: 2, BurstFloor: 1, Suspend: both},
		{NewNetworks: true, Burst: 2, BurstFloor: 1, Suspend: append(both, apikey.EventRevoked)},
	} {
		config := good()
		config.Observer = new(heard)
		config.Thresholds = thresholds
		if _, err := apikey.New(config); err == nil {
			t.Errorf("%+v is accepted", thresholds)
		}
	}
	for _, ttl := range []time.Duration{-1, time.Minute} {
		config := good()
		config.CacheTTL = ttl
		if _, err := apikey.New(config); err == nil {
			t.Errorf("CacheTTL %v is accepted", ttl)
		}
	}
	_, err := apikey.New(apikey.Config{Environment: "_", MaxLifetime: -1})
	if err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("not all mistakes are reported: %v", err)
	}
}

func TestDefaults(t *testing.T) {
	keys, err := apikey.New(apikey.Config{Store: apikey.NewMemory(0), Prefix: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	b := bench{Keys: keys, events: new(heard)}
	if _, err := b.Create(t.Context(), apikey.Request{Owner: "o", Lifetime: 90*day + time.Second}); err == nil {
		t.Error("a key of more than 90 days was made")
	}
	key, text := b.issue(t, apikey.Request{Owner: "o", Lifetime: 90 * day})
	p := b.send(t, get(text)).principal
	want := gatehouse.Principal{
		Kind: gatehouse.KindService, Subject: "o", Issuer: "acme", Environment: "live", Method: apikey.Method,
		Credential: key.ID, Expires: key.Expires, Claims: p.Claims,
	}
	if !reflect.DeepEqual(p, want) || p.Claims.String() != "{}" {
		t.Errorf("principal %+v", p)
	}
}

// The configuration is the caller's to change afterwards.
func TestConfigIsCloned(t *testing.T) {
	config := apikey.Config{
		Store: apikey.NewMemory(0), Prefix: "acme", Scopes: []string{"reports:read"},
		Peppers: []apikey.Pepper{pepper(1, 'a')}, Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")},
		Thresholds: apikey.Thresholds{NewNetworks: true, Suspend: []gatehouse.EventType{apikey.EventNewNetwork}},
	}
	keys, err := apikey.New(config)
	if err != nil {
		t.Fatal(err)
	}
	config.Scopes[0], config.Peppers[0], config.Thresholds.Suspend[0] = "changed", pepper(9, 'z'), apikey.EventBurst
	config.Proxies[0] = netip.MustParsePrefix("0.0.0.0/0")
	b := bench{Keys: keys}
	key, text := b.issue(t, apikey.Request{
		Owner: "o", Scopes: []string{"reports:read"}, Lifetime: day, Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
	})
	if record, err := config.Store.Find(t.Context(), key.ID); err != nil || record.Current.Pepper != 1 {
		t.Errorf("pepper %d, %v", record.Current.Pepper, err)
	}
	r := get(text)
	r.RemoteAddr = "192.0.2.7:1"
	r.Header.Set("X-Forwarded-For", "198.51.100.1")
	if d := b.send(t, r); d.Code != 200 {
		t.Errorf("status %d, reason %s", d.Code, d.event.Reason)
	}
	if scopes := slices.Collect(key.Scopes.All()); !slices.Equal(scopes, []string{"reports:read"}) {
		t.Errorf("scopes %q", scopes)
	}
}
