// SPDX-License-Identifier: Apache-2.0

package dpoppeer

import (
	"testing"

	"github.com/gatehouse-go/gatehouse/interop/node"
)

// The client libraries.
const (
	OAuth4webapi = "oauth4webapi"
	OpenIDClient = "openid-client"
)

// Peer is a process with DPoP clients.
type Peer struct{ process *node.Process }

// Start starts a process, which ends with the test.
func Start(t testing.TB) *Peer {
	t.Helper()
	return &Peer{process: node.Start(t, "dpoppeer/dpop.mjs")}
}

// Login describes a machine client at an authorization server.
type Login struct {
	Library   string `json:"library"`
	Algorithm string `json:"algorithm"` // of its key
	Issuer    string `json:"issuer"`
	Client    string `json:"client"`
	Secret    string `json:"secret"`
	Resource  string `json:"resource"`
	Scope     string `json:"scope"`
}

// Session is a client with a key and a token that is bound to it.
type Session struct {
	peer  *Peer
	id    int
	Token string
	Type  string // token_type
}

// Login gets a token with the client credentials grant.
func (p *Peer) Login(t testing.TB, l Login) Session {
	t.Helper()
	var answer struct {
		ID          int
		Token, Type string
	}
	p.call(t, struct {
		Do string `json:"do"`
		Login
	}{"login", l}, &answer)
	return Session{p, answer.ID, answer.Token, answer.Type}
}

// Get sends a request with the token and a proof, and again if the server asks for a
// nonce. It returns the status and the body.
func (s Session) Get(t testing.TB, url string) (status int, body string) {
	t.Helper()
	var answer struct {
		Status int
		Body   string
	}
	s.peer.call(t, map[string]any{"do": "get", "id": s.id, "url": url}, &answer)
	return answer.Status, answer.Body
}

// Verify reports whether jose and the checks of RFC 9449 section 4.3, without a memory
// of jti, accept a proof for a GET of url.
func (p *Peer) Verify(t testing.TB, proof, url, token string, algorithms []string) (accepted bool, why string) {
	t.Helper()
	var answer struct{ Refused string }
	p.call(t, map[string]any{"do": "verify", "proof": proof, "url": url, "token": token, "algorithms": algorithms}, &answer)
	return answer.Refused == "", answer.Refused
}

func (p *Peer) call(t testing.TB, request, answer any) {
	t.Helper()
	if err := p.process.Call(request, answer); err != nil {
		t.Fatalf("dpoppeer: %v", err)
	}
}
