// SPDX-License-Identifier: Apache-2.0

package enginetest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Prometheus is a Prometheus server of one test. Its methods are not safe for
// concurrent use.
type Prometheus struct {
	process
	port string
}

// StartPrometheus starts a server that scrapes the target, a host and port, twice a
// second and evaluates the rules as often: the text of a rule file, "" for none. The
// server ends with the test.
func StartPrometheus(tb testing.TB, target, rules string) *Prometheus {
	tb.Helper()
	server, ok := find("prometheus", "/usr/local/bin", "/opt/homebrew/bin")
	if !ok || !supported {
		Missing(tb, "Prometheus", "install Prometheus 2.40 or newer (Debian: apt-get install prometheus)")
	}
	user, err := unprivileged("prometheus")
	if err != nil {
		Missing(tb, "an account to run Prometheus", err.Error())
	}
	p := new(Prometheus)
	p.path, p.user, p.ready = server, user, "Server is ready to receive web requests"
	if p.dir, err = dataDir(user); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := p.remove(); err != nil {
			tb.Error(err)
		}
	})
	for name, text := range map[string]string{
		"prometheus.yml": fmt.Sprintf(`global: {scrape_interval: 500ms, evaluation_interval: 500ms}
rule_files: [rules.yml]
scrape_configs: [{job_name: gatehouse, static_configs: [{targets: [%q]}]}]
`, target),
		"rules.yml": rules,
	} {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	// A free port may be taken before the server binds it.
	for range 5 {
		if p.port, err = freePort(); err != nil {
			tb.Fatal(err)
		}
		p.args = []string{"--config.file=prometheus.yml", "--storage.tsdb.path=data", "--web.listen-address=127.0.0.1:" + p.port}
		if started, err := p.start(); err != nil {
			tb.Fatal(err)
		} else if started {
			return p
		}
	}
	tb.Fatalf("Prometheus does not start:\n%s", p.Log())
	return nil
}

// URL is that of the server's HTTP API.
func (p *Prometheus) URL() string { return "http://127.0.0.1:" + p.port }

// Log is the text that the server has logged so far.
func (p *Prometheus) Log() string { return p.log.String() }

// Promtool returns the path of promtool, which checks and tests rules. It skips the test
// if there is none.
func Promtool(tb testing.TB) string {
	tb.Helper()
	path, ok := find("promtool", "/usr/local/bin", "/opt/homebrew/bin")
	if !ok {
		Missing(tb, "promtool", "install Prometheus 2.40 or newer (Debian: apt-get install prometheus)")
	}
	return path
}
