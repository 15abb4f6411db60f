// SPDX-License-Identifier: Apache-2.0

package system_test

import (
	"database/sql"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"

	"github.com/redis/go-redis/v9"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/refresh"
	"github.com/gatehouse-go/gatehouse/revocation"
	"github.com/gatehouse-go/gatehouse/store/redisstore"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

// refreshView is what a node says of a refresh token that it has issued.
type refreshView struct {
	Token      string
	Family     string
	Generation int64
}

// openRefresh opens the stores of refresh tokens and of revocations of a node.
func openRefresh(config nodeConfig, log *slog.Logger) (*refresh.Tokens, error) {
	var families refresh.Store
	var revocations revocation.Store
	if config.Engine == "redis" {
		options, err := redis.ParseURL(config.Store)
		if err != nil {
			return nil, err
		}
		options.ContextTimeoutEnabled = true
		store, err := redisstore.New(redisstore.Config{Client: redis.NewClient(options), Timeout: config.Timeout})
		if err != nil {
			return nil, err
		}
		families, revocations = store.Families(), store.Revocations()
	} else {
		db, err := sql.Open(map[string]string{"sqlite": "sqlite", "postgres": "pgx"}[config.Engine], config.Store)
		if err != nil {
			return nil, err
		}
		db.SetMaxOpenConns(40)
		db.SetMaxIdleConns(40)
		store, err := sqlstore.New(sqlstore.Config{DB: db, Timeout: config.Timeout})
		if err != nil {
			return nil, err
		}
		families, revocations = store.Families(), store.Revocations()
	}
	list, err := revocation.New(revocation.Config{Store: revocations})
	if err != nil {
		return nil, err
	}
	return refresh.New(refresh.Config{
		Store: families, Revocations: list, Issuer: "https://auth.example.com", Observer: gatehouse.Log(log),
	})
}

// refreshHandler is doors to log in, to refresh and to ask whether a family is
// revoked.
func refreshHandler(tokens *refresh.Tokens) http.Handler {
	answer := func(w http.ResponseWriter, issued refresh.Issued, err error) {
		switch {
		case errors.Is(err, refresh.ErrInvalidGrant):
			w.WriteHeader(http.StatusBadRequest)
		case err != nil:
			slog.Error("refresh failed", "error", err)
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			_ = json.NewEncoder(w).Encode(refreshView{string(issued.Token.Reveal()), issued.Family.ID, issued.Family.Generation})
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /refresh/login", func(w http.ResponseWriter, r *http.Request) {
		issued, err := tokens.Begin(r.Context(), refresh.Grant{Subject: "subject", Client: "client"})
		answer(w, issued, err)
	})
	mux.HandleFunc("POST /refresh/token", func(w http.ResponseWriter, r *http.Request) {
		issued, err := tokens.Rotate(r.Context(), refresh.Request{
			Token: gatehouse.NewSecret([]byte(r.FormValue("refresh_token"))), Client: r.FormValue("client_id"),
		})
		answer(w, issued, err)
	})
	return mux
}
