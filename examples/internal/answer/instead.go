// SPDX-License-Identifier: Apache-2.0

package answer

import "net/http"

// Instead is a writer that answers in another way where a handler of the library
// answers with one status: with a page of the app, say.
type Instead struct {
	http.ResponseWriter
	Of     int // the status
	Answer func(w http.ResponseWriter)

	answered bool
}

// WriteHeader implements [http.ResponseWriter].
func (i *Instead) WriteHeader(status int) {
	if status != i.Of || i.answered {
		i.ResponseWriter.WriteHeader(status)
		return
	}
	i.answered = true
	i.Header().Del("Content-Type")
	i.Answer(i.ResponseWriter)
}

// Write implements [io.Writer].
func (i *Instead) Write(b []byte) (int, error) {
	if i.answered {
		return len(b), nil // of the answer that is not given
	}
	return i.ResponseWriter.Write(b)
}
