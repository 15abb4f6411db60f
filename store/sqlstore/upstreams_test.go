// SPDX-License-Identifier: Apache-2.0

package sqlstore_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/upstream"
	"github.com/gatehouse-go/gatehouse/cookie"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

// rotation configures the process of [rotate].
type rotation struct {
	Driver, DSN, Provider string
	// Kill is the operation before which the process kills itself, -1 for none: each
	// call of the provider and each change of the store counts twice, before it begins
	// and after it has ended.
	Kill int
}

// rotate runs a node that creates a credential and rotates it, in a process of its own.
func rotate(text string) error {
	var config rotation
	if err := json.Unmarshal([]byte(text), &config); err != nil {
		return err
	}
	s, err := openStore(config.Driver, config.DSN)
	if err != nil {
		return err
	}
	p := &dying{Store: s.Upstreams(), url: config.Provider, left: config.Kill}
	r, err := upstream.NewRotator(rotatorConfig(p, p))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	go func() { _ = r.Run(ctx) }()
	_, release, err := r.Acquire(ctx)
	if err != nil {
		return err
	}
	if config.Kill >= 0 {
		if err := r.Rotate(ctx); err != nil {
			return err
		}
	}
	release()
	_, err = io.Copy(io.Discard, os.Stdin) // until the test has seen enough
	return err
}

func rotatorConfig(p upstream.Provider, s upstream.Store) upstream.RotatorConfig {
	keys, err := cookie.NewKeyring(gatehouse.NewSecret(bytes.Repeat([]byte("k"), 32)))
	if err != nil {
		panic(err)
	}
	return upstream.RotatorConfig{
		Name: "main", Provider: p, Store: s, Keys: keys,
		Refresh: 30 * time.Millisecond, Timeout: 150 * time.Millisecond,
	}
}

// dying is the provider and the store of a process that kills itself.
type dying struct {
	upstream.Store
	url  string
	mu   sync.Mutex
	left int
}

func (d *dying) count() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.left == 0 {
		self, err := os.FindProcess(os.Getpid())
		if err != nil || self.Kill() != nil {
			os.Exit(1)
		}
		select {} // SIGKILL comes
	}
	d.left--
}

func (d *dying) Swap(ctx context.Context, name string, revision int64, data []byte) error {
	d.count()
	defer d.count()
	return d.Store.Swap(ctx, name, revision, data)
}

func (d *dying) post(ctx context.Context, path string) (string, error) {
	d.count()
	defer d.count()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url+path, http.NoBody)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusOK {
		return "", upstream.ErrRejected
	}
	return string(body), err
}

func (d *dying) Create(ctx context.Context, id string) (gatehouse.Secret, error) {
	secret, err := d.post(ctx, "/create/"+id)
	return gatehouse.NewSecret([]byte(secret)), err
}

func (d *dying) Probe(ctx context.Context, secret gatehouse.Secret) error {
	_, err := d.post(ctx, "/probe/"+string(secret.Reveal()))
	return err
}

func (d *dying) Revoke(ctx context.Context, id string) error {
	_, err := d.post(ctx, "/revoke/"+id)
	return err
}

// account is a provider; the secret of a credential is its ID with a prefix.
type account struct {
	mu   sync.Mutex
	live []string
}

func (a *account) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, rest, _ := strings.Cut(r.URL.Path[1:], "/")
	switch {
	case strings.HasPrefix(r.URL.Path, "/create/"):
		a.live = append(a.live, rest)
		_, _ = io.WriteString(w, "sk-"+rest)
	case strings.HasPrefix(r.URL.Path, "/probe/"):
		if !slices.Contains(a.live, strings.TrimPrefix(rest, "sk-")) {
			w.WriteHeader(http.StatusUnauthorized)
		}
	default:
		a.live = slices.DeleteFunc(a.live, func(id string) bool { return id == rest })
	}
}

// A node is killed at each of its steps, and another one goes on: in the end the
// provider has exactly the one credential that the record has.
func TestRotationSurvivesKilledProcesses(t *testing.T) {
	enginetest.Slow(t)
	t.Parallel()
	eachEngine(t, func(t *testing.T, database func(testing.TB) (string, string)) {
		var last error
		kill := 0
		defer func() {
			if last != nil {
				t.Errorf("killed before operation %d: %v", kill, last)
			}
		}()
		for killed := true; killed; {
			driver, dsn := database(t)
			s, db := migrated(t, driver, dsn)
			a := &account{}
			server := httptest.NewServer(a)
			start := func(kill int) (cmd *exec.Cmd, stdin io.Closer) {
				text := must(json.Marshal(rotation{driver, dsn, server.URL, kill}))(t)
				cmd, stdin, _ = process(t, "GATEHOUSE_TEST_ROTATE="+string(text))
				return cmd, stdin
			}
			first, stdin := start(kill)
			stdin.Close() // it ends by itself, if it is not killed before
			killed = first.Wait() != nil
			if killed && first.ProcessState.ExitCode() != -1 {
				t.Fatalf("operation %d: the process ended with %v", kill, first.ProcessState)
			}
			other, _ := start(-1)
			enginetest.Eventually(t, time.Minute, "one credential is left", func() bool {
				last = onlyOne(t.Context(), s.Upstreams(), a)
				return last == nil
			})
			_ = other.Process.Kill()
			_ = other.Wait()
			server.Close()
			db.Close()
			kill += map[string]int{"sqlite": 1, "pgx": 3}[driver] // SQLite is faster
		}
	})
}

// onlyOne reports whether the record and the provider have the same one credential.
func onlyOne(ctx context.Context, s upstream.Store, a *account) error {
	record, err := s.Load(ctx, "main")
	if err != nil {
		return err
	}
	var state struct {
		Versions []struct{ ID, Stage string }
	}
	if len(record.Data) > 0 {
		if err := json.Unmarshal(record.Data, &state); err != nil {
			return err
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(state.Versions) != 1 || state.Versions[0].Stage != "active" || len(a.live) != 1 || a.live[0] != state.Versions[0].ID {
		return fmt.Errorf("the record has %v, the provider has %v", state.Versions, a.live)
	}
	if bytes.Contains(record.Data, []byte("sk-")) {
		return errors.New("the record has the credential")
	}
	return nil
}
