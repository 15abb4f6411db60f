// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"strings"
	"testing"
)

// twoPeople: a tab still shows one person after another one has signed in. It writes
// nothing into the account of the other one, and shows who is signed in.
func (a *app) twoPeople(t *testing.T) {
	old := a.signedIn(t, "ada")
	// The tab does not notice that it is visible again.
	old.Run(t, "addEventListener('visibilitychange', (event) => event.stopImmediatePropagation(), true)")
	other := old.Tab(t)
	a.show(t, other, "signed-in")
	a.logout(t, other)
	a.login(t, other, "grace")
	old.Fill(t, "#note", "a secret of ada")
	old.Click(t, "#save")
	old.Until(t, "document.getElementById('problem').textContent.includes('Another user')")
	old.Until(t, "document.getElementById('who').textContent.startsWith('grace')")
	yields(t, old, "document.getElementById('note').value", `""`)
	a.show(t, other, "signed-in")
	other.Until(t, "document.getElementById('who').textContent.startsWith('grace')")
	if got := other.Run(t, "document.getElementById('note').value"); strings.Contains(got, "ada") {
		t.Errorf("the account of grace has the note %s", got)
	}
}

// typedTextStays: text that is not saved stays on the page when the session has ended,
// until the same person signs in again in another tab.
func (a *app) typedTextStays(t *testing.T) {
	page := a.signedIn(t, "ada")
	other := page.Tab(t)
	a.show(t, other, "signed-in")
	page.Fill(t, "#note", "typed and not saved")
	a.logout(t, other)
	page.Click(t, "#save")
	page.Until(t, "document.getElementById('problem').textContent.includes('Your session has ended')")
	yields(t, page, "[document.getElementById('note').value, document.getElementById('who').textContent]", `["typed and not saved",""]`)
	a.login(t, other, "ada")
	page.Run(t, "document.dispatchEvent(new Event('visibilitychange'))")
	page.Until(t, "!document.getElementById('account').hidden && document.getElementById('problem').hidden")
	page.Click(t, "#save")
	page.Until(t, "document.getElementById('saved').textContent === 'Saved'")
	a.show(t, other, "signed-in")
	other.Until(t, "document.getElementById('note').value === 'typed and not saved'")
}

// typedTextSurvivesLogin: text that is not saved waits in the tab while its user signs in
// there, and is not shown to another user. It is in no address.
func (a *app) typedTextSurvivesLogin(t *testing.T) {
	const typed = "typed before the login"
	for _, name := range []string{"ada", "grace"} {
		page := a.signedIn(t, "ada")
		other := page.Tab(t)
		a.show(t, other, "signed-in")
		page.Fill(t, "#note", typed)
		a.logout(t, other)
		page.Click(t, "#save")
		page.Until(t, "document.getElementById('problem').textContent.includes('Your session has ended')")
		page.Submit(t, "#problem a")
		if at := a.consent(t, page, name); strings.TrimSuffix(at.URL, "/") != a.page {
			t.Fatalf("the login of %s ends at %+v, want %s", name, at, a.page)
		}
		page.Until(t, "document.getElementById('who').textContent.startsWith('"+name+"') && !document.getElementById('account').hidden")
		want := "document.getElementById('note').value === '" + typed + "' && document.getElementById('saved').textContent.includes('not saved')"
		if name != "ada" {
			want = "document.getElementById('note').value === ''"
		}
		page.Until(t, want)
		if name == "ada" {
			page.Click(t, "#save")
			page.Until(t, "document.getElementById('saved').textContent === 'Saved'")
			save(t, page, "")
		}
		for _, e := range page.Exchanges(t) {
			if strings.Contains(e.URL, "typed") {
				t.Errorf("the address %s has the text", e.URL)
			}
		}
	}
}
