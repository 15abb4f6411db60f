// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"path/filepath"
	"testing"

	"github.com/gatehouse-go/gatehouse/interop/browser"
)

// pictures writes what the pages look like, with go test -artifacts.
func (f *front) pictures(t *testing.T) {
	page, phone := f.chromium.Person(t), f.chromium.Person(t)
	phone.Size(t, 390, 844)
	take := func(page *browser.Page, name string) {
		t.Helper()
		for suffix, dark := range map[string]bool{"light": false, "dark": true} {
			page.Dark(t, dark)
			page.Screenshot(t, filepath.Join(t.ArtifactDir(), name+"-"+suffix+".png"))
		}
	}
	for name, p := range map[string]*browser.Page{"": page, "-phone": phone} {
		f.show(t, p, "signed-out")
		take(p, "signed-out"+name)
		p.Visit(t, f.origin+"/callback?state=x")
		take(p, "failed"+name)
		f.login(t, p, "lovelace")
		p.Fill(t, "#note", "Milk, bread and the small book about gates.")
		p.Click(t, "#save")
		p.Click(t, "#upstream")
		p.Until(t, "document.getElementById('saved').textContent && !document.getElementById('upstream-result').hidden")
		p.Run(t, "document.activeElement.blur()")
		take(p, "signed-in"+name)
		if wide := p.Run(t, "document.documentElement.scrollWidth > innerWidth"); wide != "false" {
			t.Errorf("signed in%s: the page is wider than the window", name)
		}
	}
}
