// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"sync"
	"unicode/utf8"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/session"
)

const (
	maxNote  = 4 << 10 // bytes
	maxNotes = 10_000
)

// notes stand for the data of the application: one note for each user, in memory.
// The key of a user is the issuer and the subject: a subject is unique only within
// its issuer.
type notes struct {
	mu  sync.Mutex
	all map[gatehouse.Key]string
}

// put reports false if there are too many notes.
func (n *notes) put(user gatehouse.Key, text string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, ok := n.all[user]; !ok && len(n.all) >= maxNotes {
		return false
	}
	n.all[user] = text
	return true
}

// read responds with the note of the user.
func (n *notes) read(w http.ResponseWriter, r *http.Request) {
	p, _ := gatehouse.FromContext(r.Context())
	writeJSON(w, http.StatusOK, map[string]string{"note": n.of(p.Key())})
}

func (n *notes) of(user gatehouse.Key) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.all[user]
}

// write changes the note. The session rejects cross-site requests (CSRF) before
// this handler.
func (n *notes) write(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 2*maxNote))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		writeError(w, http.StatusRequestEntityTooLarge, "invalid_request", "The note is too long.")
		return
	}
	p, _ := gatehouse.FromContext(r.Context())
	text, user, ok := noteOf(r.Header.Get("Content-Type"), body)
	switch {
	case user != "" && user != session.UserTag(p):
		// A tab may still show the previous user: do not write into the account of the
		// user who has signed in since. The session checks the header Session-User.
		writeError(w, http.StatusConflict, "other_user", "Another user has signed in since this page was loaded.")
	case err != nil || !ok:
		writeError(w, http.StatusBadRequest, "invalid_request", "The body must be plain text, JSON or a form.")
	case len(text) > maxNote:
		writeError(w, http.StatusRequestEntityTooLarge, "invalid_request", "The note is too long.")
	case !utf8.ValidString(text):
		writeError(w, http.StatusBadRequest, "invalid_request", "The note is not UTF-8.")
	case !n.put(p.Key(), text):
		writeError(w, http.StatusInsufficientStorage, "temporarily_unavailable", "The server has no space for another note.")
	default:
		writeJSON(w, http.StatusOK, map[string]string{"note": text})
	}
}

// noteOf returns the members "note" and "user" of a JSON or form body if there is a
// note, and the whole body otherwise.
func noteOf(contentType string, body []byte) (text, user string, ok bool) {
	kind, _, _ := mime.ParseMediaType(contentType)
	switch kind {
	case "application/json":
		var message struct {
			Note *string `json:"note"`
			User string  `json:"user"`
		}
		if err := json.Unmarshal(body, &message); err == nil && message.Note != nil {
			return *message.Note, message.User, true
		}
		return string(body), "", json.Valid(body)
	case "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(body))
		if form.Has("note") {
			return form.Get("note"), form.Get("user"), err == nil
		}
		return string(body), "", err == nil
	case "", "text/plain":
		return string(body), "", true
	}
	return "", "", false
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// writeError responds with an error body of the same form as the gate's.
func writeError(w http.ResponseWriter, status int, code, text string) {
	writeJSON(w, status, map[string]string{"error": code, "error_description": text})
}
