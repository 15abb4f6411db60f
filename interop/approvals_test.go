// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/approval"
	"github.com/gatehouse-go/gatehouse/interop/browser"
	"github.com/gatehouse-go/gatehouse/interop/provider"
	"github.com/gatehouse-go/gatehouse/oauth"
	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/signin"
)

// approvalPages is a server with the pages of package approval, behind a gate. People
// sign in at a provider on another site. The application knows their roles.
type approvalPages struct {
	*approval.Approvals
	issuer string
	origin string
	url    string
}

func newApprovalPages(t *testing.T) *approvalPages {
	t.Helper()
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p := &approvalPages{origin: server.URL, url: server.URL + "/approvals"}
	peer := ownProvider(t, provider.Options{Host: "localhost", Scopes: []string{"email"}, Clients: []provider.Client{
		{ID: "approvals", Secret: clientSecret, RedirectURIs: []string{p.origin + "/callback"}},
	}})
	p.issuer = peer.Issuer
	p.Approvals = must(approval.New(approval.Config{Store: approval.NewMemory(0), URL: p.url, MaxArguments: 16 << 20}))
	login := must(signin.New(signin.Config{
		Client:      oauth.Config{Issuer: p.issuer, ClientID: "approvals", Secret: gatehouse.NewSecret([]byte(clientSecret))},
		RedirectURI: p.origin + "/callback", Scopes: []string{"openid", "email"}, Home: "/approvals",
		CookieSecrets: cookieSecrets,
		Session:       session.Config{Store: session.NewMemory(0), Name: "approvals"},
		Complete: func(_ *http.Request, l *session.Login) error {
			l.Principal.Tenant, l.Principal.Roles = "acme", roles("admin", "operator")
			return nil
		},
	}))
	t.Cleanup(func() { _ = login.Close() })
	gate := must(gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{login.Sessions}, LoginURL: login.LoginURL, Realm: "approvals"}))
	mux.Handle("/approvals", gate.Handler(p))
	mux.Handle("/approvals/", gate.Handler(p))
	mux.Handle("/", login)
	return p
}

// signIn signs in a person, who wants to see an approval.
func (p *approvalPages) signIn(t *testing.T, page *browser.Page, name, address string) {
	t.Helper()
	lands(t, "signed out, the page", page.Visit(t, address), 0, p.issuer+"…")
	at := enter(t, page, name)
	if strings.HasPrefix(at.URL, p.issuer) { // the provider asks for consent
		at = page.Submit(t, "button[type=submit]")
	}
	if at.URL != address || at.Status != http.StatusOK {
		t.Fatalf("the login ends at %+v, want %s", at, address)
	}
}

func roles(names ...string) gatehouse.Roles { return must(gatehouse.NewRoles(names...)) }

// ask requests an approval of a call of an agent, for a person unless subject is "".
func (p *approvalPages) ask(t *testing.T, subject, tool, arguments string, rule approval.Rule) approval.Approval {
	t.Helper()
	agent := gatehouse.Key{Issuer: "https://tools.example.com", Subject: "helper-1"}
	call := approval.Call{Tenant: "acme", Subject: agent, Actor: agent, Tool: tool, Arguments: must(approval.Canonical([]byte(arguments)))}
	if subject != "" {
		call.Subject = gatehouse.Key{Issuer: p.issuer, Subject: subject}
	}
	return must(p.Request(t.Context(), call, rule))
}

// TestApprovalsInBrowser decides on approvals in Chromium, on a phone, a tablet and a
// desktop, light and dark, with hostile arguments. It is slow. With -artifacts it keeps
// pictures of the pages.
func TestApprovalsInBrowser(t *testing.T) {
	chromium := browser.Start(t)
	admins := approval.Rule{Roles: roles("admin"), Count: 2}
	operators := approval.Rule{Roles: roles("operator", "admin")}

	t.Run("decide", func(t *testing.T) {
		p, page := newApprovalPages(t), chromium.Person(t)
		if p.signIn(t, page, "ada", p.url); !strings.Contains(page.Text(t, "main"), "Nothing waits for you") {
			t.Errorf("the empty list says %q", page.Text(t, "main"))
		}
		if got := page.Text(t, ".who"); !strings.Contains(got, "ada") || !strings.Contains(got, "acme") {
			t.Errorf("the page says that %q is signed in, want ada of acme", got)
		}
		asked := p.ask(t, "", "call_partner", `{"url":"https://partner.example/pay","amount":100}`, operators)
		page.Visit(t, p.url)
		lands(t, "the entry of the list", page.Submit(t, ".list a"), http.StatusOK, p.URL(asked.ID))
		page.Fill(t, "textarea", "agreed \u202eby mail <b>")
		lands(t, "Approve", page.Submit(t, "button.yes"), http.StatusOK, p.URL(asked.ID))
		if got := page.Text(t, "main"); !strings.Contains(got, "approved") || !strings.Contains(got, `agreed \u202eby mail <b>`) {
			t.Errorf("after Approve the page says %q", got)
		}
		yields(t, page, "document.querySelector('form')", "null")
		denied := p.ask(t, "ada", "update_profile", `{"display_name":"Ada"}`, approval.Rule{Consent: true})
		page.Visit(t, p.URL(denied.ID))
		if page.Submit(t, "button.no"); !strings.Contains(page.Text(t, ".pill"), "denied") {
			t.Errorf("after Deny the page says %q", page.Text(t, "main"))
		}

		// A page of another site can neither decide nor show the page in a frame.
		asked = p.ask(t, "", "call_partner", `{"amount":200}`, operators)
		evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprintf(w, `<!DOCTYPE html><form method="post" action="%s"><button name="decision" value="approve">Win</button></form><iframe src="%[1]s"></iframe>`, p.URL(asked.ID))
		}))
		defer evil.Close()
		page.Visit(t, strings.Replace(evil.URL, "127.0.0.1", "localhost", 1))
		for _, frame := range page.Frames(t) {
			if strings.Contains(frame.Text, "helper-1") {
				t.Errorf("a page of another site shows the approval in a frame: %+v", frame)
			}
		}
		// The browser sends no cookie along, or the server refuses the request.
		if at := page.Submit(t, "button"); at.Status != http.StatusForbidden && at.Status != http.StatusUnauthorized {
			t.Errorf("the form of another site leads to %+v, want 401 or 403", at)
		}
		if found, err := p.Find(t.Context(), "acme", asked.ID); err != nil || found.Status() != approval.Pending {
			t.Errorf("after the form of another site the approval is %s, %v, want pending", found.Status(), err)
		}
	})

	t.Run("pictures", func(t *testing.T) {
		p, page := newApprovalPages(t), chromium.Person(t)
		p.ask(t, "", "read_archive", `{"year":2019}`, operators)
		p.ask(t, "ada", "update_profile", `{"display_name":"Ada Lovelace"}`, approval.Rule{Consent: true})
		p.ask(t, "", "call_partner", `{"url":"https://partner.example/v1/payments","amount":4200}`, operators)
		code := p.ask(t, "", "run_code", `{"language":"python","source":"import csv\n\nwith open('orders.csv') as f:\n    rows = list(csv.DictReader(f))\n\nprint(len(rows), 'orders')\nprint(sum(int(r['amount']) for r in rows))\n"}`, admins)
		other := gatehouse.Principal{
			Kind: gatehouse.KindUser, Issuer: p.issuer, Subject: "grace", Tenant: "acme", Roles: roles("admin"), Method: session.Method,
		}
		must(p.Decide(t.Context(), other, code.ID, true, "Reads one file and prints two numbers."))
		hostile := p.ask(t, "", "run_code", `{"language":"py\u202enoht","source":"</pre><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">\u2066\u200b\n\u2028rm -rf /`+
			strings.Repeat("W", 4000)+strings.Repeat(" ☂\u0301\u0301\u0301\u0301\u0301", 200)+`"}`, operators)
		long := p.ask(t, "", "import", `{"rows":"`+strings.Repeat("0123456789 <\u202e>", 10<<20/16)+`"}`, operators)
		p.signIn(t, page, "ada", p.URL(code.ID))
		for name, address := range map[string]string{
			"list": p.url, "code": p.URL(code.ID), "hostile": p.URL(hostile.ID), "long": p.URL(long.ID), "refused": p.url + "/apr_unknown",
		} {
			page.Visit(t, address)
			forms := map[bool]int{true: 1}[strings.Contains("code hostile long", name)]
			pictures(t, page, filepath.Join(t.ArtifactDir(), "approvals-"+name),
				"[...document.querySelectorAll('button')].every((b) => b.getBoundingClientRect().height >= 44)", // for a finger
				fmt.Sprintf("!document.title.includes('owned') && !document.scripts.length && !document.images.length && document.forms.length === %d", forms))
		}
	})
}
