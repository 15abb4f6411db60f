// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

// deadline bounds the wait for something that usually takes milliseconds.
const deadline = time.Minute

// appBinary is the environment variable with which this binary is the app: see
// TestExitStatus.
const appBinary = "RESOURCESERVER_TEST_APP"

func TestMain(m *testing.M) {
	if os.Getenv(appBinary) != "" {
		main()
		return
	}
	time.Local = time.FixedZone("Tokyo", 9*60*60) // responses are in UTC all the same
	resolveNames()
	os.Exit(m.Run())
}

// object is a JSON object. In a configuration, nil removes a member.
type object = map[string]any

func with(base, changes object) object {
	config := maps.Clone(base)
	maps.Copy(config, changes)
	maps.DeleteFunc(config, func(_ string, value any) bool { return value == nil })
	return config
}

// configure returns a valid configuration with changes.
func configure(issuers []object, changes object) object {
	return with(object{"addr": "127.0.0.1:0", "resource": "https://api.example.com", "issuers": issuers}, changes)
}

// trust returns the configuration of an issuer with changes.
func trust(i *authtest.Issuer, changes object) object {
	return with(object{"issuer": i.URL, "audience": i.Audience, "algorithms": i.Algorithms, "jwks_url": i.KeysURL, "any_tenant": true}, changes)
}

// writeConfig writes a configuration, an object or text, and returns its path.
func writeConfig(t *testing.T, config any) string {
	t.Helper()
	text, ok := config.(string)
	if !ok {
		text = string(must(json.Marshal(config)))
	}
	return writeFile(t, "config.json", text)
}

// writeFile writes a file that only its owner can read, and returns its path.
func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// server is a running app.
type server struct {
	t           *testing.T
	URL         string
	stdout, log enginetest.Log
	client      *http.Client
	stop        context.CancelFunc
	ended       chan error

	mu   sync.Mutex
	sent []string // credentials
	got  []string // responses
}

// start starts the app. When the test ends, the app must shut down, and neither its
// log nor a response may contain a part of a credential.
func start(t *testing.T, config any) *server {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	s := &server{t: t, client: client, stop: stop, ended: make(chan error, 1)}
	path := writeConfig(t, config)
	go func() { s.ended <- run(ctx, path, &s.stdout, &s.log) }()
	t.Cleanup(s.finish)
	enginetest.Eventually(t, deadline, "the app listens", func() bool {
		select {
		case err := <-s.ended:
			t.Fatalf("run = %v", err)
		default:
		}
		_, after, ok := strings.Cut(s.stdout.String(), "listening ")
		s.URL = strings.TrimSuffix(after, "\n")
		return ok && after != s.URL
	})
	return s
}

// serve starts the app with one issuer and changes of the configuration.
func serve(t *testing.T, changes object) (*server, *authtest.Issuer) {
	t.Helper()
	issuer := authtest.NewIssuer(t)
	return start(t, configure([]object{trust(issuer, nil)}, changes)), issuer
}

func (s *server) finish() {
	s.stop()
	select {
	case err := <-s.ended:
		if err != nil {
			s.t.Errorf("run = %v, want nil after a shutdown", err)
		}
	case <-time.NewTimer(deadline).C:
		s.t.Error("run does not return after a shutdown")
	}
	for line := range strings.Lines(s.stdout.String()) {
		if !strings.HasPrefix(line, "listening http") && !strings.HasPrefix(line, "api-key ") {
			s.t.Errorf("stdout has the line %q", line)
		}
	}
	everything := s.log.String() + strings.Join(s.got, "\n")
	const size = 8
	parts := make(map[string]bool)
	for n := range len(everything) - size + 1 {
		parts[everything[n:n+size]] = true
	}
	for _, credential := range s.sent {
		for n := range len(credential) - size + 1 {
			if part := credential[n : n+size]; parts[part] {
				s.t.Errorf("a response or the log contains %q of a credential:\n%s", part, everything)
				break
			}
		}
	}
	if s.t.Failed() {
		s.t.Logf("log:\n%s", &s.log)
	}
}

// secret marks a text that must not occur in a response or in the log.
func (s *server) secret(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, text)
	return text
}

// answer is a response.
type answer struct {
	status int
	header http.Header
	body   string
}

// code returns the error code.
func (a answer) code() string {
	var body struct {
		Error string `json:"error"`
	}
	_ = json.Unmarshal([]byte(a.body), &body)
	return body.Error
}

// wantJSON checks the status 200, the content type and the body.
func (a answer) wantJSON(t *testing.T, want object) {
	t.Helper()
	var got object
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != http.StatusOK || a.header.Get("Content-Type") != "application/json" {
		t.Fatalf("response = %d %v %s, want 200 with JSON", a.status, a.header, a.body)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("response (-want +got):\n%s", diff)
	}
}

// want checks the status and the error code.
func (a answer) want(t *testing.T, what, want string) {
	t.Helper()
	if a.String() != want {
		t.Errorf("%s: response = %s %s, want %s", what, a, a.body, want)
	}
}

// String returns the status and the error code, such as "401 invalid_token".
func (a answer) String() string { return strings.TrimSpace(fmt.Sprintf("%d %s", a.status, a.code())) }

var client = &http.Client{
	Timeout:       time.Minute,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// do sends a request with headers, as names and values in turn.
func (s *server) do(method, path string, header ...string) answer {
	s.t.Helper()
	a, err := s.try(method, path, header...)
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

func (s *server) try(method, path string, header ...string) (answer, error) {
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.URL+path, http.NoBody)
	if err != nil {
		return answer{}, err
	}
	for n := 0; n < len(header); n += 2 {
		r.Header.Add(header[n], header[n+1])
	}
	response, err := s.client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{response.StatusCode, response.Header, string(body)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, fmt.Sprint(a.header, a.body))
	return a, nil
}

// with sends a request with a Bearer token.
func (s *server) with(token, method, path string) answer {
	s.t.Helper()
	return s.do(method, path, "Authorization", "Bearer "+s.secret(token))
}

// record is a line of the log.
type record struct {
	Level, Msg, Reason, Error, Path, Issuer, Cause, URL string
	Status                                              int
}

func (s *server) records() []record {
	s.t.Helper()
	var records []record
	for line := range strings.Lines(s.log.String()) {
		var r record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			s.t.Fatalf("the log has the line %q, want JSON", line)
		}
		records = append(records, r)
	}
	return records
}

// lastRejection returns the last record with a reason.
func (s *server) lastRejection() record {
	s.t.Helper()
	for _, r := range slices.Backward(s.records()) {
		if r.Reason != "" {
			return r
		}
	}
	return record{}
}

// refusal is an invalid configuration and what its error begins with, or has after "…".
type refusal struct {
	name   string
	config any
	want   string
}

// checkRefused runs the app with invalid configurations. Each has one error, without a
// secret.
func checkRefused(t *testing.T, tests []refusal) {
	t.Helper()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := refuse(t, test.config)
			part, anywhere := strings.CutPrefix(test.want, "…")
			if !strings.HasPrefix(got, part) && !(anywhere && strings.Contains(got, part)) || strings.Contains(got, "\n") || strings.Contains(got, secret[:8]) {
				t.Errorf("run = %s, want one error %q without a secret", got, test.want)
			}
		})
	}
}

// refuse runs the app with an invalid configuration and returns its errors.
func refuse(t *testing.T, config any) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	var stdout enginetest.Log
	err := run(ctx, writeConfig(t, config), &stdout, io.Discard)
	if err == nil || ctx.Err() != nil || stdout.String() != "" {
		t.Fatalf("run = %v, stdout %q, want an error", err, &stdout)
	}
	_, lines, _ := strings.Cut(err.Error(), ":\n") // after the path
	return lines
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
