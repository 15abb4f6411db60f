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
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/store/pgnotify"
	"github.com/gatehouse-go/gatehouse/store/redisstore"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

// nodeConfig is what a node is told on its standard input.
type nodeConfig struct {
	Engine   string        // sqlite, postgres or redis
	Store    string        // DSN or URL of the store
	Watch    string        // of where to listen, "" for nowhere
	CacheTTL time.Duration // 0 for no cache
	Timeout  time.Duration // of the store
}

// keyView is what a node says of a key that it has made or rotated.
type keyView struct {
	ID         string
	Generation int64
	Text       string `json:",omitempty"`
}

// runNode is another process: a server with a gate, and doors to make, rotate
// and withdraw keys. It ends with its standard input.
func runNode(stdin io.Reader, stdout io.Writer, stderr *slog.Logger) error {
	in := json.NewDecoder(stdin)
	var config nodeConfig
	if err := in.Decode(&config); err != nil {
		return err
	}
	store, watcher, err := openStore(config, stderr)
	if err != nil {
		return err
	}
	keys, err := apikey.New(apikey.Config{
		Store:    store,
		Prefix:   "acme",
		Scopes:   []string{"reports:read"},
		CacheTTL: config.CacheTTL,
		Watcher:  watcher,
		Events: func(_ context.Context, e apikey.Event) error {
			stderr.Info("event", "type", e.Type, "key", fmt.Sprintf("%+v", e.Key), "network", e.Network, "count", e.Count)
			return nil
		},
		Thresholds: apikey.Thresholds{NewNetworks: true, UsesAfterRevocation: true, Failures: 20},
	})
	if err != nil {
		return err
	}
	gate, err := gatehouse.New(gatehouse.Config{
		Authenticators: []gatehouse.Authenticator{keys}, Realm: "system", Observer: gatehouse.Log(stderr),
	})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	refresh, err := openRefresh(config, stderr)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/", nodeHandler(keys, gate))
	mux.Handle("/refresh/", refreshHandler(refresh))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if watcher != nil {
		go func() { _ = keys.Watch(ctx) }()
	}
	go func() {
		_, _ = io.Copy(io.Discard, stdin) // until whoever started us is gone
		_ = server.Close()
	}()
	fmt.Fprintf(stdout, "http://%s\n", listener.Addr())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func nodeHandler(keys *apikey.Keys, gate *gatehouse.Gate) http.Handler {
	answer := func(w http.ResponseWriter, issued apikey.Issued, err error) {
		switch {
		case errors.Is(err, apikey.ErrNotFound):
			w.WriteHeader(http.StatusNotFound)
		case errors.Is(err, apikey.ErrConflict):
			w.WriteHeader(http.StatusConflict)
		case err != nil:
			slog.Error("operation failed", "error", err)
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			_ = json.NewEncoder(w).Encode(keyView{issued.Key.ID, issued.Key.Generation, string(issued.Secret.Reveal())})
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /create", func(w http.ResponseWriter, r *http.Request) {
		issued, err := keys.Create(r.Context(), apikey.Request{
			Owner: "owner", Tenant: r.FormValue("tenant"), Scopes: []string{"reports:read"}, Lifetime: 24 * time.Hour,
		})
		answer(w, issued, err)
	})
	mux.HandleFunc("POST /rotate/{id}", func(w http.ResponseWriter, r *http.Request) {
		grace, err := time.ParseDuration(r.FormValue("grace"))
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		generation, _ := strconv.ParseInt(r.FormValue("generation"), 10, 64)
		issued, err := keys.Rotate(r.Context(), r.PathValue("id"), grace, generation)
		answer(w, issued, err)
	})
	mux.HandleFunc("POST /revoke/{id}", func(w http.ResponseWriter, r *http.Request) {
		key, err := keys.Revoke(r.Context(), r.PathValue("id"))
		answer(w, apikey.Issued{Key: key}, err)
	})
	mux.HandleFunc("POST /revoke-all", func(w http.ResponseWriter, r *http.Request) {
		n, err := keys.RevokeAll(r.Context(), apikey.Filter{Tenant: r.FormValue("tenant")})
		answer(w, apikey.Issued{Key: apikey.Key{Generation: int64(n)}}, err)
	})
	mux.HandleFunc("POST /suspend/{id}", func(w http.ResponseWriter, r *http.Request) {
		key, err := keys.Suspend(r.Context(), r.PathValue("id"))
		answer(w, apikey.Issued{Key: key}, err)
	})
	mux.HandleFunc("POST /leaked", func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		key, err := keys.RevokeLeaked(r.Context(), string(text))
		answer(w, apikey.Issued{Key: key}, err)
	})
	mux.Handle("/use/", gate.Handler(gatehouse.Require()(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	}))))
	return mux
}

// logged is a watcher whose words are written down.
type logged struct {
	apikey.Watcher
	log *slog.Logger
}

func (l logged) Watch(ctx context.Context, changed func(string)) error {
	return l.Watcher.Watch(ctx, func(id string) {
		changed(id)
		l.log.Info("changed", "id", "<"+id+">")
	})
}

// openStore opens the store of a node, and what tells it of changes.
func openStore(config nodeConfig, log *slog.Logger) (apikey.Store, apikey.Watcher, error) {
	if config.Engine == "redis" {
		return openRedis(config, log)
	}
	driver := map[string]string{"sqlite": "sqlite", "postgres": "pgx"}[config.Engine]
	db, err := sql.Open(driver, config.Store)
	if err != nil {
		return nil, nil, err
	}
	db.SetMaxOpenConns(40)
	db.SetMaxIdleConns(40)
	store, err := sqlstore.New(sqlstore.Config{DB: db, Timeout: config.Timeout})
	if err != nil {
		return nil, nil, err
	}
	if err := store.Migrate(context.Background()); err != nil {
		log.Warn("not migrated", "error", err)
	}
	if config.Watch == "" {
		return store.APIKeys(), nil, nil
	}
	conn, err := pgx.ParseConfig(config.Watch)
	if err != nil {
		return nil, nil, err
	}
	listener, err := pgnotify.New(pgnotify.Config{Conn: conn, Failed: func(err error) { log.Warn("not listening", "error", err) }})
	if err != nil {
		return nil, nil, err
	}
	return store.APIKeys(), logged{listener.APIKeys(), log}, nil
}

func openRedis(config nodeConfig, log *slog.Logger) (apikey.Store, apikey.Watcher, error) {
	open := func(url string) (*redisstore.APIKeys, error) {
		options, err := redis.ParseURL(url)
		if err != nil {
			return nil, err
		}
		options.ContextTimeoutEnabled = true
		store, err := redisstore.New(redisstore.Config{Client: redis.NewClient(options), Timeout: config.Timeout})
		if err != nil {
			return nil, err
		}
		return store.APIKeys(), nil
	}
	keys, err := open(config.Store)
	if err != nil || config.Watch == "" {
		return keys, nil, err
	}
	watcher, err := open(config.Watch)
	return keys, logged{watcher, log}, err
}

// nodeMain is main of a node.
func nodeMain() {
	log := slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	slog.SetDefault(log)
	if err := runNode(os.Stdin, os.Stdout, log); err != nil {
		log.Error("node ends", "error", err)
		os.Exit(1)
	}
}
