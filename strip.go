// SPDX-License-Identifier: Apache-2.0

package gatehouse

import (
	"maps"
	"net/http"
	"net/textproto"
	"strings"
)

// CookieReader is implemented by an [Authenticator] that reads cookies. The
// [Gate] takes those cookies, and the parts that a large one was split into
// (name.1, name.2, …), off every request that it lets in.
type CookieReader interface {
	CookieNames() []string
}

// strip returns the header without credentials, so that nothing behind the
// gate is tempted to read, log or forward them. The values of what remains are
// shared with the original.
func (g *Gate) strip(header http.Header, proof Proof) http.Header {
	stripped := maps.Clone(header) // which is quicker than a copy entry by entry
	if stripped == nil {
		stripped = make(http.Header)
	}
	for _, name := range [...]string{headerAuthorization, headerAPIKey, headerDPoP} {
		if len(stripped[name]) > 0 { // to look is quicker than to delete what is not there
			delete(stripped, name)
		}
	}
	if proof.Source == SourceHeader && proof.Name != headerAuthorization && proof.Name != headerAPIKey {
		delete(stripped, http.CanonicalHeaderKey(proof.Name))
	}
	if lines, ok := stripped["Cookie"]; ok {
		if lines = g.stripCookies(lines, proof); len(lines) > 0 {
			stripped["Cookie"] = lines
		} else {
			delete(stripped, "Cookie")
		}
	}
	return stripped
}

func (g *Gate) stripCookies(lines []string, proof Proof) []string {
	if proof.Source != SourceCookie && len(g.cookies) == 0 {
		return lines
	}
	var kept []string
	for _, line := range lines {
		var pairs []string
		for pair := range strings.SplitSeq(line, ";") {
			pair = textproto.TrimString(pair) // as net/http does, and no more
			name, _, _ := strings.Cut(pair, "=")
			if pair != "" && !g.isCredentialCookie(strings.TrimSpace(name), proof) {
				pairs = append(pairs, pair)
			}
		}
		if len(pairs) > 0 {
			kept = append(kept, strings.Join(pairs, "; "))
		}
	}
	return kept
}

func (g *Gate) isCredentialCookie(name string, proof Proof) bool {
	if proof.Source == SourceCookie && isPartOf(name, proof.Name) {
		return true
	}
	for _, cookie := range g.cookies {
		if isPartOf(name, cookie) {
			return true
		}
	}
	return false
}

// isPartOf reports whether name is cookie or cookie with a dot and digits
// behind it.
func isPartOf(name, cookie string) bool {
	rest, ok := strings.CutPrefix(name, cookie)
	if !ok || rest == "" {
		return ok
	}
	return rest[0] == '.' && len(rest) > 1 && strings.Trim(rest[1:], "0123456789") == ""
}
