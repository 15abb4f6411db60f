// SPDX-License-Identifier: Apache-2.0

package system_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/redis/go-redis/v9"
	_ "modernc.org/sqlite"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/approval"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/refresh"
	"github.com/gatehouse-go/gatehouse/revocation"
	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/store/pgnotify"
	"github.com/gatehouse-go/gatehouse/store/redisstore"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

// nodeConfig is the configuration of a node, which it reads from standard input.
type nodeConfig struct {
	Engine   string        // sqlite, postgres or redis
	Store    string        // data source name or URL
	Watch    string        // URL of the server whose changes the node watches, "" for none
	CacheTTL time.Duration // of API keys, 0 for no cache
	Timeout  time.Duration // of the store
}

// view is a record in a response of a node: an API key, a token family or a
// session. Text is the secret of the first two and the tokens of a session.
type view struct {
	ID         string
	Generation int64
	Text       string `json:",omitempty"`
}

// nodeMain is the main function of a node: an HTTP server that ends with its
// standard input.
func nodeMain() {
	log := slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	slog.SetDefault(log)
	var config nodeConfig
	check(json.NewDecoder(os.Stdin).Decode(&config))
	stores := must(openStores(config, log))
	handler, keys := nodeHandler(config, stores, log)
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if stores.watcher != nil {
		go func() { _ = keys.Watch(ctx) }()
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // until the test process has ended
		_ = server.Close()
	}()
	fmt.Printf("http://%s\n", listener.Addr())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		panic(err)
	}
}

// nodeHandler serves changes of API keys, refresh tokens and sessions, and GET
// /use/ behind a gate.
func nodeHandler(config nodeConfig, stores stores, log *slog.Logger) (http.Handler, *apikey.Keys) {
	keys := must(apikey.New(apikey.Config{
		Store:      stores.keys,
		Prefix:     "acme",
		Scopes:     []string{"reports:read"},
		CacheTTL:   config.CacheTTL,
		Watcher:    stores.watcher,
		Observer:   gatehouse.Log(log),
		Thresholds: apikey.Thresholds{NewNetworks: true, UsesAfterRevocation: true, Failures: 20},
	}))
	gate := must(gatehouse.New(gatehouse.Config{
		Authenticators: []gatehouse.Authenticator{keys}, Realm: "system", Observer: gatehouse.Log(log),
	}))
	list := must(revocation.New(revocation.Config{Store: stores.revocations, Issuers: []string{"https://auth.example.com"}}))
	tokens := must(refresh.New(refresh.Config{
		Store: stores.families, Revocations: list, Issuer: "https://auth.example.com", Observer: gatehouse.Log(log),
		Grace: time.Minute, // longer than a round of requests takes on a slow machine
	}))

	mux := http.NewServeMux()
	handle := func(path string, change func(r *http.Request) (view, error)) {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			v, err := change(r)
			switch {
			case errors.Is(err, apikey.ErrNotFound):
				w.WriteHeader(http.StatusNotFound)
			case errors.Is(err, apikey.ErrConflict):
				w.WriteHeader(http.StatusConflict)
			case errors.Is(err, refresh.ErrInvalidGrant):
				w.WriteHeader(http.StatusBadRequest)
			case err != nil:
				slog.Error("change failed", "path", path, "error", err)
				w.WriteHeader(http.StatusServiceUnavailable)
			default:
				_ = json.NewEncoder(w).Encode(v)
			}
		})
	}
	ofIssued := func(issued apikey.Issued, err error) (view, error) {
		return view{issued.Key.ID, issued.Key.Generation, string(issued.Secret.Reveal())}, err
	}
	ofKey := func(key apikey.Key, err error) (view, error) {
		return view{ID: key.ID, Generation: key.Generation}, err
	}
	ofToken := func(issued refresh.Issued, err error) (view, error) {
		return view{issued.Family.ID, issued.Family.Generation, string(issued.Token.Reveal())}, err
	}
	ofSession := func(r session.Record, err error) (view, error) { return view{r.ID, r.Version, r.Tokens}, err }
	number := func(r *http.Request, name string) int64 {
		n, _ := strconv.ParseInt(r.FormValue(name), 10, 64)
		return n
	}
	handle("/key/create", func(r *http.Request) (view, error) {
		return ofIssued(keys.Create(r.Context(), apikey.Request{
			Owner: "owner", Tenant: r.FormValue("tenant"), Scopes: []string{"reports:read"}, Lifetime: 24 * time.Hour,
		}))
	})
	handle("/key/rotate", func(r *http.Request) (view, error) {
		grace, err := time.ParseDuration(r.FormValue("grace"))
		if err != nil {
			return view{}, err
		}
		return ofIssued(keys.Rotate(r.Context(), r.FormValue("id"), grace, number(r, "generation")))
	})
	handle("/key/revoke", func(r *http.Request) (view, error) { return ofKey(keys.Revoke(r.Context(), r.FormValue("id"))) })
	handle("/key/suspend", func(r *http.Request) (view, error) { return ofKey(keys.Suspend(r.Context(), r.FormValue("id"))) })
	handle("/key/leaked", func(r *http.Request) (view, error) {
		return ofKey(keys.RevokeLeaked(r.Context(), r.FormValue("text")))
	})
	handle("/key/revoke-all", func(r *http.Request) (view, error) {
		n, err := keys.RevokeAll(r.Context(), apikey.Filter{Tenant: r.FormValue("tenant")})
		return view{Generation: int64(n)}, err
	})
	handle("/refresh/login", func(r *http.Request) (view, error) {
		return ofToken(tokens.Begin(r.Context(), refresh.Grant{Subject: "subject", Client: "client"}))
	})
	handle("/refresh/token", func(r *http.Request) (view, error) {
		return ofToken(tokens.Rotate(r.Context(), refresh.Request{
			Token: gatehouse.NewSecret([]byte(r.FormValue("refresh_token"))), Client: "client",
		}))
	})
	handle("/session/create", func(r *http.Request) (view, error) {
		return ofSession(stores.sessions.Create(r.Context(), session.Record{
			Session: session.Session{ID: r.FormValue("id"), Issuer: "i", Subject: "s", Idle: time.Hour}, Tokens: "1",
		}, time.Hour))
	})
	handle("/session/swap", func(r *http.Request) (view, error) {
		return ofSession(stores.sessions.Swap(r.Context(), r.FormValue("id"), number(r, "version"), session.Change{
			ID: r.FormValue("new_id"), Tokens: r.FormValue("tokens"),
		}))
	})
	mux.Handle("/use/", gate.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	})))
	return mux, keys
}

// stores are those of one database or server.
type stores struct {
	keys        apikey.Store
	watcher     apikey.Watcher // nil without nodeConfig.Watch
	families    refresh.Store
	revocations revocation.Store
	sessions    session.Store
	approvals   approval.Store
}

// openStores opens the stores of a node. Tables that cannot be created now are
// not an error.
func openStores(config nodeConfig, log *slog.Logger) (s stores, err error) {
	if config.Engine == "redis" {
		store, err := openRedis(config.Store, config.Timeout)
		if err != nil {
			return s, err
		}
		s = stores{
			keys: store.APIKeys(), families: store.Families(), revocations: store.Revocations(), sessions: store.Sessions(), approvals: store.Approvals(),
		}
		if config.Watch != "" {
			watched, err := openRedis(config.Watch, config.Timeout)
			if err != nil {
				return s, err
			}
			s.watcher = loggingWatcher{watched.APIKeys(), log}
		}
		return s, nil
	}
	db, err := sql.Open(map[string]string{"sqlite": "sqlite", "postgres": "pgx"}[config.Engine], config.Store)
	if err != nil {
		return s, err
	}
	db.SetMaxOpenConns(80)
	db.SetMaxIdleConns(80)
	store, err := sqlstore.New(sqlstore.Config{DB: db, Timeout: config.Timeout})
	if err != nil {
		return s, err
	}
	if err := store.Migrate(context.Background()); err != nil {
		log.Warn("not migrated", "error", err)
	}
	s = stores{
		keys: store.APIKeys(), families: store.Families(), revocations: store.Revocations(), sessions: store.Sessions(), approvals: store.Approvals(),
	}
	if config.Watch != "" {
		conn, err := pgx.ParseConfig(config.Watch)
		if err != nil {
			return s, err
		}
		listener, err := pgnotify.New(pgnotify.Config{Conn: conn})
		if err != nil {
			return s, err
		}
		s.watcher = loggingWatcher{listener.APIKeys(), log}
	}
	return s, nil
}

func openRedis(url string, timeout time.Duration) (*redisstore.Store, error) {
	options, err := redis.ParseURL(url)
	if err != nil {
		return nil, err
	}
	options.ContextTimeoutEnabled = true
	return redisstore.New(redisstore.Config{Client: redis.NewClient(options), Timeout: timeout})
}

// loggingWatcher logs the changes that a watcher reports.
type loggingWatcher struct {
	apikey.Watcher
	log *slog.Logger
}

func (w loggingWatcher) Watch(ctx context.Context, changed func(string)) error {
	return w.Watcher.Watch(ctx, func(id string) {
		changed(id)
		w.log.Info("changed", "id", "<"+id+">")
	})
}
