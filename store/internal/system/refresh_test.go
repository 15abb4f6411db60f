// SPDX-License-Identifier: Apache-2.0

package system_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

// refreshPost asks a node for a refresh token. The status is 0 if there was no
// answer.
func (n *node) refreshPost(path, token string) (view refreshView, status int) {
	response, err := n.client.PostForm(n.url+"/refresh/"+path, url.Values{"refresh_token": {token}, "client_id": {"client"}})
	if err != nil {
		return refreshView{}, 0
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusOK {
		if err := json.NewDecoder(response.Body).Decode(&view); err != nil {
			return refreshView{}, 0 // an answer that was cut is none
		}
	}
	return view, response.StatusCode
}

func (n *node) login(t *testing.T) refreshView {
	t.Helper()
	view, status := n.refreshPost("login", "")
	if status != http.StatusOK {
		t.Fatalf("no login: %d\n%s", status, n.log)
	}
	return view
}

func (n *node) refresh(token string) (refreshView, int) { return n.refreshPost("token", token) }

// addRefresh adds all pieces of the secrets in a refresh token.
func (p pieces) addRefresh(t *testing.T, token string) {
	t.Helper()
	const public = 22 // characters of the body in which there is a part of the id
	body := strings.TrimPrefix(token, "gatehouse_refresh_")
	secrets, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{body[public:], string(secrets[16:])} {
		for i := 0; i+pieceChars <= len(text); i++ {
			p[text[i:i+pieceChars]] = body[:public-1]
			p[hex.EncodeToString([]byte(text[i:i+pieceChars]))] = body[:public-1]
		}
	}
}

// TestRefreshRace has 64 requests present one refresh token to two processes at
// once: it has one successor, and all of them get it. What comes after that
// successor was used is refused by both processes, and is one alarm. In the end
// no secret is found in what the engine keeps and the processes log.
func TestRefreshRace(t *testing.T) {
	for _, name := range []string{"sqlite", "postgres", "redis"} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, name)
			config := nodeConfig{Engine: name, Store: e.store, Timeout: 20 * time.Second}
			nodes := []*node{startNode(t, config), startNode(t, config)}
			secrets := pieces{}
			var families []string
			const rounds, requests = 6, 64
			for round := range rounds {
				first := nodes[round%2].login(t)
				families = append(families, first.Family)
				token := first.Token
				var second refreshView
				for step := range 2 {
					answers := make([]refreshView, requests)
					var all sync.WaitGroup
					start := make(chan struct{})
					for i := range requests {
						all.Go(func() {
							<-start
							var status int
							if answers[i], status = nodes[i%2].refresh(token); status != http.StatusOK {
								t.Errorf("answer %d\n%.2000s", status, nodes[i%2].log)
							}
						})
					}
					close(start)
					all.Wait()
					for _, answer := range answers {
						if answer != answers[0] || answer.Generation != int64(step+2) {
							t.Fatalf("a token has two successors: generations %d and %d", answer.Generation, answers[0].Generation)
						}
					}
					secrets.addRefresh(t, token)
					second, token = answers[0], answers[0].Token
				}
				secrets.addRefresh(t, token)
				// The first one again: two steps behind by now.
				for i, stolen := range []string{first.Token, second.Token, first.Token} {
					if _, status := nodes[(round+i)%2].refresh(stolen); status != http.StatusBadRequest {
						t.Errorf("answer %d to number %d of a family that is over", status, i)
					}
				}
			}
			logs := nodes[0].log.String() + nodes[1].log.String()
			if n := strings.Count(logs, `"refresh_reused"`); n != rounds {
				t.Errorf("%d alarms, want %d", n, rounds)
			}
			for place, text := range map[string]string{"dump": e.dump(), "logs": logs} {
				if family, at, found := secrets.search(text); found {
					t.Errorf("%s: a piece of a secret of %s stands in\n%q", place, family, text[max(0, at-200):min(len(text), at+200)])
				}
				for _, family := range families {
					if !strings.Contains(text, family) {
						t.Errorf("%s: the family %s is not in it, so the search shows nothing", place, family)
					}
				}
			}
		})
	}
}

// TestRefreshCrash kills a process in the middle of a refresh. Whatever it had
// done, the token has one successor, and who got no answer gets it from the
// other process.
func TestRefreshCrash(t *testing.T) {
	for _, name := range []string{"sqlite", "postgres", "redis"} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, name)
			config := nodeConfig{Engine: name, Store: e.store, Timeout: 20 * time.Second}
			stays := startNode(t, config)
			for range 4 {
				dies := startNode(t, config)
				first := stays.login(t)
				var mu sync.Mutex
				got := make(map[refreshView]int)
				var all sync.WaitGroup
				for range 16 {
					all.Go(func() {
						view, status := dies.refresh(first.Token)
						mu.Lock()
						defer mu.Unlock()
						switch status {
						case http.StatusOK:
							got[view]++
						case 0:
						default:
							t.Errorf("answer %d", status)
						}
					})
				}
				delay, start := time.Duration(rand.IntN(25_000))*time.Microsecond, time.Now()
				enginetest.Eventually(t, time.Minute, "it is under way", func() bool { return time.Since(start) >= delay })
				dies.kill()
				all.Wait()
				again, status := stays.refresh(first.Token)
				if status != http.StatusOK || again.Generation != 2 {
					t.Fatalf("answer %d, generation %d\n%.2000s", status, again.Generation, stays.log)
				}
				got[again]++
				t.Logf("killed after %v: %d of 16 were answered", delay, got[again]-1)
				if len(got) != 1 {
					t.Errorf("a token has %d successors", len(got))
				}
				next, status := stays.refresh(again.Token)
				if status != http.StatusOK || next.Generation != 3 {
					t.Errorf("answer %d to the successor", status)
				}
			}
		})
	}
}
