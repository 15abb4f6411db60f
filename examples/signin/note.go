// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"sync"
	"unicode/utf8"

	"github.com/gatehouse-go/gatehouse"
)

const (
	maxNote  = 4 << 10 // bytes
	maxNotes = 10_000
)

// person is what a person's data is kept under. A subject is one within its
// issuer only, and a name or an address is nobody's for good.
type person struct{ issuer, subject string }

// notes stands for what the application is about: a note for each person, in
// the memory of this process.
type notes struct {
	mu  sync.Mutex
	all map[person]string
}

func newNotes() *notes { return &notes{all: make(map[person]string)} }

// put reports whether there was room.
func (n *notes) put(p person, text string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, ok := n.all[p]; !ok && len(n.all) >= maxNotes {
		return false
	}
	n.all[p] = text
	return true
}

func (n *notes) of(p person) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.all[p]
}

func (a *app) readNote(w http.ResponseWriter, r *http.Request) {
	p, _ := gatehouse.FromContext(r.Context())
	writeJSON(w, http.StatusOK, map[string]string{"note": a.notes.of(person{p.Issuer, p.Subject})})
}

// writeNote changes something, so it must be a POST: the session then refuses
// what the pages of others cause. Nothing of that is needed here.
func (a *app) writeNote(w http.ResponseWriter, r *http.Request) {
	p, _ := gatehouse.FromContext(r.Context())
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 2*maxNote))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		problem(w, http.StatusRequestEntityTooLarge, "invalid_request", "The note is too long.")
		return
	}
	if err != nil {
		problem(w, http.StatusBadRequest, "invalid_request", "The request is cut off.")
		return
	}
	text := string(body)
	switch kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind {
	case "application/json":
		var message struct {
			Note *string `json:"note"`
		}
		if err := json.Unmarshal(body, &message); err != nil || message.Note == nil {
			problem(w, http.StatusBadRequest, "invalid_request", `The body is not a JSON object with a text "note".`)
			return
		}
		text = *message.Note
	case "text/plain":
	default:
		problem(w, http.StatusUnsupportedMediaType, "invalid_request", "A note is JSON or plain text.")
		return
	}
	switch {
	case len(text) > maxNote:
		problem(w, http.StatusRequestEntityTooLarge, "invalid_request", "The note is too long.")
	case !utf8.ValidString(text):
		problem(w, http.StatusBadRequest, "invalid_request", "The note is not UTF-8.")
	case !a.notes.put(person{p.Issuer, p.Subject}, text):
		problem(w, http.StatusInsufficientStorage, "temporarily_unavailable", "There is no room for another note.")
	default:
		writeJSON(w, http.StatusOK, map[string]string{"note": text})
	}
}
