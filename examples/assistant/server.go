// SPDX-License-Identifier: Apache-2.0

package main

import (
	"database/sql"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/scopes"
	"github.com/gatehouse-go/gatehouse/tenant"
)

const maxBody = 64 << 10

// server is the API. Each key belongs to one tenant, and so does all that it sees.
type server struct{ store *store }

func (s *server) handler(gate *gatehouse.Gate) http.Handler {
	mux := gate.Mux()
	own := tenant.Required()
	write := scopes.All("assistant:write")
	mux.HandleFunc("GET /conversations", s.list("SELECT id FROM conversations ORDER BY begun"), own)
	mux.HandleFunc("POST /conversations", s.begin, own, write)
	mux.HandleFunc("GET /conversations/{id}", s.read, own)
	mux.HandleFunc("POST /conversations/{id}", s.say, own, write)
	mux.HandleFunc("GET /documents", s.find, own)
	mux.HandleFunc("POST /documents", s.add, own, write)
	mux.HandleFunc("GET /models", s.list("SELECT name FROM models ORDER BY name"), own)
	mux.HandleFunc("POST /models", s.register, own, scopes.All("assistant:admin"))
	return mux
}

// input is the body of a request.
type input struct{ Title, Text, Name string }

// decode reads the body, and answers 400 if it is malformed.
func decode(w http.ResponseWriter, r *http.Request) (in input, ok bool) {
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&in); err != nil {
		write(w, http.StatusBadRequest, map[string]string{"error": "invalid_request"})
		return in, false
	}
	return in, true
}

func write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// result writes v, or the error of the store. A record of another tenant is answered
// like one that does not exist.
func result(w http.ResponseWriter, r *http.Request, status int, v any, err error) {
	switch {
	case errors.Is(err, sql.ErrNoRows):
		write(w, http.StatusNotFound, map[string]string{"error": "not_found"})
	case err != nil:
		gatehouse.Refuse(w, r, err) // 503
	default:
		write(w, status, v)
	}
}

func (s *server) list(query string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		texts, err := s.store.texts(r.Context(), query)
		result(w, r, http.StatusOK, texts, err)
	}
}

func (s *server) begin(w http.ResponseWriter, r *http.Request) {
	if in, ok := decode(w, r); ok {
		id, err := s.store.begin(r.Context(), in.Title)
		result(w, r, http.StatusCreated, map[string]string{"id": id}, err)
	}
}

func (s *server) read(w http.ResponseWriter, r *http.Request) {
	texts, err := s.store.texts(r.Context(), `
SELECT coalesce(author || ': ' || content, title) FROM conversations LEFT JOIN messages ON conversation = id
WHERE id = $1 ORDER BY number`, r.PathValue("id"))
	if err == nil && len(texts) == 0 {
		err = sql.ErrNoRows
	}
	result(w, r, http.StatusOK, texts, err)
}

func (s *server) say(w http.ResponseWriter, r *http.Request) {
	if in, ok := decode(w, r); ok {
		answer, err := s.store.say(r.Context(), r.PathValue("id"), in.Text)
		result(w, r, http.StatusCreated, map[string]string{"answer": answer}, err)
	}
}

func (s *server) find(w http.ResponseWriter, r *http.Request) {
	texts, err := s.store.texts(r.Context(), search+" LIMIT 10", r.FormValue("q"))
	result(w, r, http.StatusOK, texts, err)
}

func (s *server) add(w http.ResponseWriter, r *http.Request) {
	if in, ok := decode(w, r); ok {
		err := s.store.exec(r.Context(), `
INSERT INTO documents (title, content) VALUES ($1, $2) ON CONFLICT (tenant, title) DO UPDATE SET content = excluded.content`, in.Title, in.Text)
		result(w, r, http.StatusCreated, in.Title, err)
	}
}

func (s *server) register(w http.ResponseWriter, r *http.Request) {
	if in, ok := decode(w, r); ok {
		err := s.store.exec(r.Context(), "INSERT INTO models (name) VALUES ($1) ON CONFLICT DO NOTHING", in.Name)
		result(w, r, http.StatusCreated, in.Name, err)
	}
}
