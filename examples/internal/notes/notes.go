// SPDX-License-Identifier: Apache-2.0

// Package notes stands for what an application is about: a note for each person,
// in the memory of this process.
package notes

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
	"github.com/gatehouse-go/gatehouse/examples/internal/answer"
)

const (
	maxNote  = 4 << 10 // bytes
	maxNotes = 10_000
)

// person is what a person's data is kept under. A subject is one within its
// issuer only, and a name or an address is nobody's for good.
type person struct{ issuer, subject string }

// Notes are the notes of all people. It is safe for concurrent use.
type Notes struct {
	mu  sync.Mutex
	all map[person]string
}

// New makes room for notes.
func New() *Notes { return &Notes{all: make(map[person]string)} }

// put reports whether there was room.
func (n *Notes) put(p person, text string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, ok := n.all[p]; !ok && len(n.all) >= maxNotes {
		return false
	}
	n.all[p] = text
	return true
}

func (n *Notes) of(p person) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.all[p]
}

// Read is the handler that answers with the note of whoever is signed in.
func (n *Notes) Read(w http.ResponseWriter, r *http.Request) {
	p, _ := gatehouse.FromContext(r.Context())
	answer.JSON(w, http.StatusOK, map[string]string{"note": n.of(person{p.Issuer, p.Subject})})
}

// Write is the handler that changes it. It must be mounted for POST: the session
// then refuses what the pages of others cause, and nothing of that is needed
// here.
func (n *Notes) Write(w http.ResponseWriter, r *http.Request) {
	p, _ := gatehouse.FromContext(r.Context())
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 2*maxNote))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		answer.Problem(w, http.StatusRequestEntityTooLarge, "invalid_request", "The note is too long.")
		return
	}
	if err != nil {
		answer.Problem(w, http.StatusBadRequest, "invalid_request", "The request is cut off.")
		return
	}
	text, ok := textOf(r.Header.Get("Content-Type"), body)
	if !ok {
		answer.Problem(w, http.StatusBadRequest, "invalid_request", "A note is plain text, JSON or a form.")
		return
	}
	switch {
	case len(text) > maxNote:
		answer.Problem(w, http.StatusRequestEntityTooLarge, "invalid_request", "The note is too long.")
	case !utf8.ValidString(text):
		answer.Problem(w, http.StatusBadRequest, "invalid_request", "The note is not UTF-8.")
	case !n.put(person{p.Issuer, p.Subject}, text):
		answer.Problem(w, http.StatusInsufficientStorage, "temporarily_unavailable", "There is no room for another note.")
	default:
		answer.JSON(w, http.StatusOK, map[string]string{"note": text})
	}
}

// textOf returns the note that a body stands for: the member "note" of JSON or of
// a form, where there is one, and the whole of it otherwise.
func textOf(contentType string, body []byte) (text string, ok bool) {
	kind, _, _ := mime.ParseMediaType(contentType)
	switch kind {
	case "application/json":
		var message struct {
			Note *string `json:"note"`
		}
		if err := json.Unmarshal(body, &message); err == nil && message.Note != nil {
			return *message.Note, true
		}
		return string(body), json.Valid(body)
	case "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(body))
		if form.Has("note") {
			return form.Get("note"), err == nil
		}
		return string(body), err == nil
	case "", "text/plain":
		return string(body), true
	}
	return "", false
}
