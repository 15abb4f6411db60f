// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

// The dashboard and the alert rules for operators.
const telemetryDir = "../../docs/telemetry/"

func readFile(t *testing.T, name string) string {
	t.Helper()
	return string(must(os.ReadFile(name)))
}

// TestAlertRules: promtool accepts the rules and runs their unit tests, in which each
// alert is silent once and fires once.
func TestAlertRules(t *testing.T) {
	enginetest.Slow(t)
	t.Parallel()
	promtool := enginetest.Promtool(t)
	rules, tests := readFile(t, telemetryDir+"alerts.yml"), readFile(t, telemetryDir+"alerts_test.yml")
	for _, arguments := range [][]string{{"check", "rules", "alerts.yml"}, {"test", "rules", "alerts_test.yml"}} {
		command := exec.CommandContext(t.Context(), promtool, arguments...)
		command.Dir = telemetryDir
		if out, err := command.CombinedOutput(); err != nil {
			t.Errorf("promtool %q: %v\n%s", arguments, err, out)
		}
	}
	names := regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(rules, -1)
	if len(names) < 10 {
		t.Errorf("%d alerts, want at least 10", len(names))
	}
	for _, name := range names {
		if !regexp.MustCompile(`eval_time: \w+, alertname: ` + name[1] + `\}`).MatchString(tests) {
			t.Errorf("%s: no test in which it is silent", name[1])
		}
		if !regexp.MustCompile(`alertname: ` + name[1] + `\n +exp_alerts:\n +- exp_labels`).MatchString(tests) {
			t.Errorf("%s: no test in which it fires", name[1])
		}
	}
}

// panel is a panel of the dashboard.
type panel struct {
	Title       string
	FieldConfig struct{ Defaults struct{ Unit string } }
	Targets     []struct{ Expr, LegendFormat string }
}

// panels returns the panels of the dashboard with the variables of Grafana replaced.
func panels(t *testing.T) []panel {
	t.Helper()
	var dashboard struct{ Panels []panel }
	if err := json.Unmarshal([]byte(readFile(t, telemetryDir+"dashboard.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	for _, p := range dashboard.Panels {
		for n := range p.Targets {
			p.Targets[n].Expr = strings.NewReplacer("$__rate_interval", "4s", "$job", "gatehouse").Replace(p.Targets[n].Expr)
		}
	}
	if len(dashboard.Panels) < 10 {
		t.Fatalf("the dashboard has %d panels, want at least 10", len(dashboard.Panels))
	}
	return dashboard.Panels
}

// promAPI calls the API of a Prometheus server.
type promAPI struct {
	t   *testing.T
	url string
}

// get decodes the member data of an answer.
func (p promAPI) get(path string, query url.Values, data any) {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.url+path+"?"+query.Encode(), http.NoBody)
	if err != nil {
		p.t.Fatal(err)
	}
	response, err := client.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	answer := struct {
		Status, Error string
		Data          any
	}{Data: data}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.Status != "success" {
		p.t.Fatalf("GET %s %v = %v, %s %s", path, query, err, answer.Status, answer.Error)
	}
}

// point is a value at a time.
type point struct{ at, value float64 }

// series is a result of a query over a time.
type series struct {
	labels map[string]string
	points []point // without NaN
}

func (p promAPI) query(expr string, from, to time.Time) []series {
	p.t.Helper()
	var data struct {
		Result []struct {
			Metric map[string]string
			Values [][2]any
		}
	}
	second := func(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }
	p.get("/api/v1/query_range", url.Values{"query": {expr}, "start": {second(from)}, "end": {second(to)}, "step": {"0.5"}}, &data)
	var all []series
	for _, result := range data.Result {
		s := series{labels: result.Metric}
		for _, v := range result.Values {
			at, _ := v[0].(float64)
			text, _ := v[1].(string)
			if value, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(value) {
				s.points = append(s.points, point{at, value})
			}
		}
		if len(s.points) > 0 {
			all = append(all, s)
		}
	}
	return all
}

// load sends requests of every kind until stop is called.
func load(p *server, key string, good, down *authtest.Issuer) (stop func()) {
	known := make([]string, 20)
	for n := range known {
		known[n] = good.Token(reader)
	}
	expired, foreign, unavailable := good.ExpiredToken(reader), good.ForeignToken(reader), down.Token(reader)
	done := make(chan struct{})
	var work sync.WaitGroup
	send := func(path, header, value string) {
		if r, err := http.NewRequest(http.MethodGet, p.URL+path, http.NoBody); err == nil {
			r.Header.Set(header, value)
			if response, err := client.Do(r); err == nil {
				response.Body.Close()
			}
		}
	}
	for worker := range 2 {
		work.Go(func() {
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			for n := worker; ; n++ {
				select {
				case <-done:
					return
				case <-tick.C:
				}
				token := known[n%len(known)]
				switch n % 20 {
				case 0, 1, 2:
					token = expired
				case 3:
					token = foreign
				case 4:
					token = unavailable
				case 5, 6:
					token = good.Token(reader) // not in the cache
				case 7:
					send("/reports", "X-Other", "no credential")
					continue
				case 8, 9, 10, 11:
					send("/whoami", "X-Api-Key", key)
					continue
				case 12:
					send("/sensitive", "Authorization", "Bearer "+token) // denied
					continue
				}
				send("/reports", "Authorization", "Bearer "+token)
			}
		})
	}
	return func() {
		close(done)
		work.Wait()
	}
}

// TestDashboard: every query of the dashboard has results of a real Prometheus that
// scrapes this app under load, and the alert rules use metrics and labels that it has.
// GATEHOUSE_TELEMETRY_PICTURE=FILE plots the results of a minute.
func TestDashboard(t *testing.T) {
	enginetest.Slow(t)
	rules := readFile(t, telemetryDir+"alerts.yml")
	dsn, keys, stopStore, startStore := openShared(t, "redis")
	good, down := authtest.NewIssuer(t), authtest.NewIssuer(t)
	down.Break(authtest.Status(http.StatusInternalServerError))
	p := start(t, configure([]object{trust(good, nil), trust(down, nil)}, object{
		"metrics_addr": "127.0.0.1:0",
		"api_keys":     object{"driver": "redis", "dsn": dsn, "cache_ttl": "200ms"},
	}))
	key, _ := create(t, keys)
	target := must(url.Parse(p.metricsURL()))
	server := promAPI{t, enginetest.StartPrometheus(t, target.Host, rules).URL()}
	begun := time.Now()
	stop := load(p, key, good, down)
	defer stop()
	picture := os.Getenv("GATEHOUSE_TELEMETRY_PICTURE")

	// An outage of the store.
	has := func(expr string) bool { return len(server.query(expr, begun, time.Now())) > 0 }
	// scraped waits for a number of scrapes, two of a second, for the picture only.
	scraped := func(n string) {
		if picture != "" {
			enginetest.Eventually(t, 2*time.Minute, n+" scrapes", func() bool { return has("sum(count_over_time(up[10m])) >= " + n) })
		}
	}
	enginetest.Eventually(t, time.Minute, "keys are accepted", func() bool {
		return has(`rate(gatehouse_store_duration_seconds_count{gatehouse_operation="find",error_type=""}[4s])`)
	})
	scraped("50")
	stopStore()
	enginetest.Eventually(t, time.Minute, "calls of the store fail", func() bool {
		return has(`rate(gatehouse_store_duration_seconds_count{error_type!=""}[4s])`)
	})
	scraped("70")
	startStore()
	scraped("120")

	all := panels(t)
	for _, panel := range all {
		for _, target := range panel.Targets {
			enginetest.Eventually(t, time.Minute, panel.Title+" has data: "+target.Expr, func() bool { return has(target.Expr) })
		}
	}
	var names, labels []string
	server.get("/api/v1/label/__name__/values", nil, &names)
	server.get("/api/v1/labels", nil, &labels)
	for _, name := range regexp.MustCompile(`gatehouse_\w+`).FindAllString(rules, -1) {
		if !slices.Contains(names, name) && !slices.Contains(labels, name) {
			t.Errorf("alerts.yml: Prometheus has no metric and no label %s", name)
		}
	}
	enginetest.Eventually(t, time.Minute, "all rules are evaluated", func() bool {
		var data struct {
			Groups []struct {
				Rules []struct{ Name, Health, LastError string }
			}
		}
		server.get("/api/v1/rules", nil, &data)
		evaluated := 0
		for _, rule := range data.Groups[0].Rules {
			if rule.Health == "err" {
				t.Fatalf("%s: %s", rule.Name, rule.LastError)
			}
			if rule.Health == "ok" {
				evaluated++
			}
		}
		return evaluated == strings.Count(rules, "- alert:")
	})
	if picture != "" {
		text := draw(server, all, begun, time.Now())
		if err := os.WriteFile(picture, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
