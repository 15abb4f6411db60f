// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse/authtest"
)

// metricsURL returns the address of the metrics, which the log has.
func (s *server) metricsURL() string {
	s.t.Helper()
	for _, r := range s.records() {
		if r.Msg == "metrics" {
			return r.URL
		}
	}
	s.t.Fatalf("the log has no address of the metrics:\n%s", &s.log)
	return ""
}

// TestMetrics: the metrics are on a listener of their own, and the API has none.
func TestMetrics(t *testing.T) {
	t.Parallel()
	p, issuer := serve(t, object{"metrics_addr": "127.0.0.1:0"})
	p.with(issuer.Token(reader), "GET", "/reports")
	p.with(issuer.ExpiredToken(reader), "GET", "/reports")
	p.do("GET", "/metrics").want(t, "GET /metrics of the API", "401 missing_credentials")
	metrics := &server{t: t, URL: strings.TrimSuffix(p.metricsURL(), "/metrics"), client: client}
	metrics.do("GET", "/reports").want(t, "GET /reports of the metrics", "404")
	a := metrics.do("GET", "/metrics")
	for _, want := range []string{
		`gatehouse_decisions_total{gatehouse_decision="allowed",gatehouse_event_type="decision",gatehouse_level="debug",gatehouse_reason=""} 1`,
		`gatehouse_decisions_total{gatehouse_decision="rejected",gatehouse_event_type="decision",gatehouse_level="warn",gatehouse_reason="jwtauth_expired"} 1`,
		`gatehouse_key_set_keys{gatehouse_issuer="` + issuer.URL + `"} `,
		`gatehouse_cache_lookups_total{gatehouse_cache="jwtauth",gatehouse_result="miss"} 1`,
	} {
		if a.status != http.StatusOK || !strings.Contains(a.body, want) {
			t.Errorf("GET /metrics = %v, lacks %s:\n%s", a, want, a.body)
		}
	}
}

// TestAccessLog: the access log stands outside the gate and names the caller.
func TestAccessLog(t *testing.T) {
	t.Parallel()
	p, issuer := serve(t, object{"access_log": true})
	p.with(issuer.Token(authtest.Claims{"sub": "alice", "tenant": "acme", "scope": "reports:read", "jti": "t-1"}), "GET", "/tenants/acme/reports")
	p.with(issuer.Token(authtest.Claims{"sub": "alice", "tenant": "acme", "scope": "reports:read", "jti": "t-2"}), "POST", "/reports")
	p.with(issuer.ExpiredToken(authtest.Claims{"sub": "mallory", "jti": "t-3"}), "GET", "/reports")
	p.do("GET", "/healthz")
	p.do("GET", "/nothing?access_token="+p.secret("header.payload.signature"))

	type access struct {
		Method, Route, Decision, Reason, Issuer, Subject, Tenant, Credential string
		Status                                                               int
	}
	var got []access
	for line := range strings.Lines(p.log.String()) {
		var record struct {
			Msg string
			access
		}
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		if record.Msg == "request" {
			got = append(got, record.access)
		}
	}
	want := []access{
		{Method: "GET", Route: "GET /tenants/{tenant}/reports", Status: 200, Decision: "allowed", Issuer: issuer.URL, Subject: "alice", Tenant: "acme", Credential: "t-1"},
		{Method: "POST", Route: "POST /reports", Status: 403, Decision: "denied", Reason: "scopes_missing", Issuer: issuer.URL, Subject: "alice", Tenant: "acme", Credential: "t-2"},
		{Method: "GET", Route: "GET /reports", Status: 401, Decision: "rejected", Reason: "jwtauth_expired", Credential: "t-3"},
		{Method: "GET", Route: "GET /healthz", Status: 200},
		{Method: "GET", Status: 401, Decision: "rejected", Reason: "credential_in_url"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("access log (-want +got):\n%s", diff)
	}
}
