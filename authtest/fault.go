// SPDX-License-Identifier: Apache-2.0

package authtest

import (
	"bytes"
	"fmt"
	"net/http"
	"time"
)

// Fault responds in place of an endpoint of an [Issuer]. document is the document of the
// endpoint. The context of the request ends when the client disconnects or the issuer is
// closed.
type Fault func(w http.ResponseWriter, r *http.Request, document []byte)

// Break makes the key set endpoint respond with fault until the next call; nil repairs
// the endpoint.
func (i *Issuer) Break(fault Fault) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keyFault = fault
}

// BreakMetadata is like [Issuer.Break] for the metadata documents.
func (i *Issuer) BreakMetadata(fault Fault) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.metadataFault = fault
}

// Down closes the connection without an answer.
func Down(http.ResponseWriter, *http.Request, []byte) { panic(http.ErrAbortHandler) }

// Status answers with a status and no document.
func Status(code int) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ []byte) {
		http.Error(w, http.StatusText(code), code)
	}
}

// Hanging never answers.
func Hanging(_ http.ResponseWriter, r *http.Request, _ []byte) {
	<-r.Context().Done()
	panic(http.ErrAbortHandler)
}

// Trickling sends the document byte by byte with a pause before each, so that a
// timeout for single reads does not end the transfer.
func Trickling(pause time.Duration) Fault {
	return func(w http.ResponseWriter, r *http.Request, document []byte) {
		w.Header().Set("Content-Type", "application/json")
		ticker := time.NewTicker(pause)
		defer ticker.Stop()
		for n := range document {
			select {
			case <-r.Context().Done():
				panic(http.ErrAbortHandler)
			case <-ticker.C:
			}
			_, _ = w.Write(document[n : n+1])
			_ = http.NewResponseController(w).Flush()
		}
	}
}

// Delayed sends the document after a pause.
func Delayed(pause time.Duration) Fault {
	return func(w http.ResponseWriter, r *http.Request, document []byte) {
		timer := time.NewTimer(pause)
		defer timer.Stop()
		select {
		case <-r.Context().Done():
			panic(http.ErrAbortHandler)
		case <-timer.C:
		}
		writeJSON(w, document)
	}
}

// HTML answers 200 with a web page, like captive portals and proxies.
func HTML(w http.ResponseWriter, _ *http.Request, _ []byte) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte("<!DOCTYPE html><title>Back soon</title><p>Down for maintenance.\n"))
}

// HTMLType sends the document as text/html.
func HTMLType(w http.ResponseWriter, _ *http.Request, document []byte) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(document)
}

// Truncated sends half of the document as a complete response.
func Truncated(w http.ResponseWriter, _ *http.Request, document []byte) {
	writeJSON(w, document[:len(document)/2])
}

// Cut sends the length of the document and half of it, and closes the connection.
func Cut(w http.ResponseWriter, _ *http.Request, document []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", fmt.Sprint(len(document)))
	_, _ = w.Write(document[:len(document)/2])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// Document sends another document with status 200, such as {} or null.
func Document(text string) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ []byte) { writeJSON(w, []byte(text)) }
}

// Huge sends 64 MiB of white space before the document, which is valid JSON.
func Huge(w http.ResponseWriter, r *http.Request, document []byte) {
	w.Header().Set("Content-Type", "application/json")
	block := bytes.Repeat([]byte(" "), 64<<10)
	for range 1 << 10 {
		if _, err := w.Write(block); err != nil || r.Context().Err() != nil {
			panic(http.ErrAbortHandler)
		}
	}
	_, _ = w.Write(document)
}

// ManyKeys sends the document with 100,000 well-formed keys before its own.
func ManyKeys(w http.ResponseWriter, _ *http.Request, document []byte) {
	const opening = `{"keys":[`
	point := encode(bytes.Repeat([]byte("k"), 32))
	b := bytes.NewBufferString(opening)
	for n := range 100_000 {
		fmt.Fprintf(b, `{"kty":"OKP","crv":"Ed25519","x":%q,"kid":"many-%d"},`, point, n)
	}
	b.Write(bytes.TrimPrefix(document, []byte(opening)))
	writeJSON(w, b.Bytes())
}

// Redirected answers with a redirect to another URL.
func Redirected(to string) Fault {
	return func(w http.ResponseWriter, r *http.Request, _ []byte) {
		http.Redirect(w, r, to, http.StatusFound)
	}
}
