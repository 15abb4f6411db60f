// SPDX-License-Identifier: Apache-2.0

package gatetessera_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/api/layout"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/gatehouse-go/gatehouse"
	gatetessera "github.com/gatehouse-go/gatehouse/adapter/tessera"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/audit"
)

// The decisions of a gate are entries of a log in files. Its checkpoint is a C2SP
// checkpoint, and one decision is proven with golang.org/x/mod/sumdb.
func TestDecisionsAreEntries(t *testing.T) {
	t.Parallel()
	secret, public, err := note.GenerateKey(rand.Reader, "api.example.com/audit")
	if err != nil {
		t.Fatal(err)
	}
	signer := must(note.NewSigner(secret))
	driver := must(posix.New(t.Context(), posix.Config{Path: t.TempDir()}))
	options := tessera.NewAppendOptions().WithCheckpointSigner(signer).
		WithBatching(256, 10*time.Millisecond).WithCheckpointInterval(100 * time.Millisecond)
	appender, shutdown, reader, err := tessera.NewAppender(t.Context(), driver, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := shutdown(context.Background()); err != nil {
			t.Errorf("shutdown: %v", err)
		}
	})
	trail, err := gatetessera.New(gatetessera.Config{
		Add:       appender.Add,
		Published: tessera.NewPublicationAwaiter(t.Context(), reader.ReadCheckpoint, 10*time.Millisecond),
		Timeout:   time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	recorder := must(audit.NewRecorder(trail, 0))
	keys := must(apikey.New(apikey.Config{Store: apikey.NewMemory(0), Prefix: "acme", Scopes: []string{"reports:read"}}))
	issued := must(keys.Create(t.Context(), apikey.Request{Owner: "alice", Scopes: []string{"reports:read"}, Lifetime: time.Hour}))
	key := string(issued.Secret.Reveal())
	gate := must(gatehouse.New(gatehouse.Config{Observer: recorder, Authenticators: []gatehouse.Authenticator{keys}, Realm: "acme"}))
	api := gate.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for _, credential := range []string{key[:len(key)-1], key, key} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Header.Set("X-API-Key", credential)
		api.ServeHTTP(httptest.NewRecorder(), r)
	}

	text := must(reader.ReadCheckpoint(t.Context()))
	size, root := openCheckpoint(t, text, public)
	if size != 3 {
		t.Fatalf("the checkpoint signs %d entries, want 3", size)
	}
	entries := entriesOf(t, reader, size)
	if len(entries) != 3 || !strings.Contains(entries[1], `"subject":"alice"`) || strings.Contains(strings.Join(entries, ""), key[:len(key)-1]) {
		t.Errorf("entries = %q, want three, the second of alice, without credentials", entries)
	}
	builder := must(client.NewProofBuilder(t.Context(), uint64(size), reader.ReadTile))
	path := must(builder.InclusionProof(t.Context(), 1))
	var proof tlog.RecordProof
	for _, hash := range path {
		proof = append(proof, tlog.Hash(hash))
	}
	if err := tlog.CheckRecord(proof, size, root, 1, tlog.RecordHash([]byte(entries[1]))); err != nil {
		t.Errorf("CheckRecord(entry 1) error = %v, want nil", err)
	}
	changed := strings.Replace(entries[1], "alice", "mallory", 1)
	if err := tlog.CheckRecord(proof, size, root, 1, tlog.RecordHash([]byte(changed))); err == nil {
		t.Error("CheckRecord(changed entry) error = nil")
	}
}

// openCheckpoint opens a C2SP tlog-checkpoint.
func openCheckpoint(t *testing.T, text []byte, key string) (size int64, root tlog.Hash) {
	t.Helper()
	verifier := must(note.NewVerifier(key))
	n, err := note.Open(text, note.VerifierList(verifier))
	if err != nil {
		t.Fatalf("note.Open(%s) error = %v", text, err)
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 4 || lines[0] != "api.example.com/audit" {
		t.Fatalf("checkpoint = %q, want origin, size and root", n.Text)
	}
	return must(strconv.ParseInt(lines[1], 10, 64)), must(tlog.ParseHash(lines[2]))
}

func entriesOf(t *testing.T, reader tessera.LogReader, size int64) (entries []string) {
	t.Helper()
	data := must(reader.ReadEntryBundle(t.Context(), 0, layout.PartialTileSize(0, 0, uint64(size))))
	var bundle api.EntryBundle
	if err := bundle.UnmarshalText(data); err != nil {
		t.Fatal(err)
	}
	for _, entry := range bundle.Entries {
		entries = append(entries, string(entry))
	}
	return entries
}

func TestAppendFailsClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		refused := errors.New("refused")
		release := make(chan struct{})
		defer close(release)
		hangs := func() (tessera.Index, error) { <-release; return tessera.Index{}, nil }
		canceled, cancel := context.WithCancelCause(t.Context())
		hungUp := errors.New("hung up")
		cancel(hungUp)
		for name, c := range map[string]struct {
			ctx     context.Context
			timeout time.Duration
			future  tessera.IndexFuture
			want    error
			after   time.Duration
		}{
			"added":          {t.Context(), 0, func() (tessera.Index, error) { return tessera.Index{}, nil }, nil, 0},
			"refused":        {t.Context(), 0, func() (tessera.Index, error) { return tessera.Index{}, refused }, refused, 0},
			"hangs":          {t.Context(), 0, hangs, context.DeadlineExceeded, 5 * time.Second},
			"hangs, 1 s":     {t.Context(), time.Second, hangs, context.DeadlineExceeded, time.Second},
			"caller hung up": {canceled, 0, hangs, hungUp, 0},
		} {
			add := func(ctx context.Context, _ *tessera.Entry) tessera.IndexFuture {
				if err := ctx.Err(); err != nil {
					t.Errorf("%s: the context of Add has ended: %v, and with it the batch", name, err)
				}
				return c.future
			}
			appender := must(gatetessera.New(gatetessera.Config{Add: add, Timeout: c.timeout}))
			start := time.Now()
			if err := appender.Append(c.ctx, []byte("{}")); !errors.Is(err, c.want) || time.Since(start) != c.after {
				t.Errorf("%s: Append() error = %v after %v, want %v after %v", name, err, time.Since(start), c.want, c.after)
			}
		}
	})
}

func TestNewReportsAllErrors(t *testing.T) {
	t.Parallel()
	_, err := gatetessera.New(gatetessera.Config{Timeout: -1})
	for _, want := range []string{"Config.Add: required", "Config.Timeout: got -1ns"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New() error = %v, want %q", err, want)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
