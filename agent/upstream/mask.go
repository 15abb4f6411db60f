// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
)

// maskBytes is the size of one read of a body.
const maskBytes = 32 << 10

// mask replaces the credential in a response with as many asterisks, and in an error
// response also the host of the upstream. It removes cookies and challenges. It calls
// release when the body ends.
func (t *Transport) mask(response *http.Response, c Credential, release func()) {
	words := forms(c.Secret.Reveal())
	if response.StatusCode >= http.StatusMultipleChoices {
		words = append(words, []byte(t.host))
		if name, _, err := net.SplitHostPort(t.host); err == nil {
			words = append(words, []byte(name))
		}
	}
	for _, name := range responseCredentials {
		delete(response.Header, name)
	}
	maskHeader(response.Header, words)
	response.Body = &body{
		name: t.name, response: response, from: response.Body, words: words,
		release: sync.OnceFunc(release),
	}
}

// forms returns a secret, and its forms in JSON strings.
func forms(secret []byte) [][]byte {
	all := [][]byte{secret}
	text, _ := json.Marshal(string(secret)) // a string has no error
	if len(text) > len(secret)+2 {
		all = append(all, text[1:len(text)-1])
	}
	if bytes.Contains(secret, []byte("/")) {
		all = append(all, bytes.ReplaceAll(secret, []byte("/"), []byte(`\/`)))
	}
	return all
}

func maskHeader(header http.Header, words [][]byte) {
	for name, values := range header {
		for _, word := range words {
			if strings.Contains(strings.ToLower(name), strings.ToLower(string(word))) {
				delete(header, name)
			}
		}
		for i := range values {
			masked := []byte(values[i])
			hide(masked, words)
			values[i] = string(masked)
		}
	}
}

// hide overwrites each word in b.
func hide(b []byte, words [][]byte) {
	for _, word := range words {
		for rest := b; ; {
			at := bytes.Index(rest, word)
			if at < 0 {
				break
			}
			for i := range word {
				rest[at+i] = '*'
			}
			rest = rest[at+len(word):]
		}
	}
}

// body is the body of a response with masked words. It returns bytes without delay,
// except those at the end that may begin a word.
type body struct {
	name     string
	response *http.Response
	from     io.ReadCloser
	words    [][]byte
	release  func()

	buffer []byte // of from, made on the first read
	ready  []byte // masked, within buffer
	held   int    // bytes behind ready that may begin a word
	err    error
}

// Read implements [io.Reader].
func (b *body) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(b.ready) == 0 {
		if b.err != nil {
			return 0, b.err
		}
		b.fill()
	}
	n := copy(p, b.ready)
	b.ready = b.ready[n:]
	return n, nil
}

// fill reads once, behind the bytes that are held back. It is called when ready is empty.
func (b *body) fill() {
	if b.buffer == nil {
		b.buffer = make([]byte, maskBytes)
	}
	if b.held > 0 { // they are behind ready
		copy(b.buffer, b.ready[:b.held])
	}
	n, err := b.from.Read(b.buffer[b.held:])
	n += b.held
	text := b.buffer[:n]
	hide(text, b.words)
	b.held = 0
	if err == nil {
		for _, word := range b.words {
			b.held = max(b.held, begins(text, word))
		}
	} else {
		b.end(err)
	}
	b.ready = text[:n-b.held]
}

// begins returns the length of the longest suffix of text that is a prefix of word.
func begins(text, word []byte) int {
	for n := min(len(text), len(word)-1); n > 0; n-- {
		if bytes.HasPrefix(word, text[len(text)-n:]) {
			return n
		}
	}
	return 0
}

// end records the error of the body, without an address, and ends the call.
func (b *body) end(err error) {
	switch {
	case errors.Is(err, io.EOF):
		b.err = io.EOF
		maskHeader(b.response.Trailer, b.words)
	case errors.Is(err, context.Canceled):
		b.err = context.Canceled // unwrapped, because ReverseProxy compares it with ==
	default:
		b.err = newFailure(b.name, err)
	}
	b.release()
}

// Close implements [io.Closer].
func (b *body) Close() error {
	err := b.from.Close()
	b.release()
	if err != nil {
		return newFailure(b.name, err)
	}
	return nil
}
