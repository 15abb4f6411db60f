// SPDX-License-Identifier: Apache-2.0

package mtls_test

import (
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/mtls"
)

func TestNewRoots(t *testing.T) {
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	good := string(pemOf(root))
	for _, test := range []struct{ name, content, want string }{
		{"one", good, ""},
		{"two with comments", "# ours\n" + good + "# theirs\n" + string(pemOf(authority(nil))), ""},
		{"empty", "", "no certificate"},
		{"no PEM", "junk", "no certificate"},
		{"a leaf", good + string(pemOf(client)) + good, "block 2: is not the certificate of a CA"},
		{"a key", good + block("EC PRIVATE KEY", []byte("0")) + good, `block 2: is a "EC PRIVATE KEY", want only certificates`},
		{"no certificate inside", block("CERTIFICATE", []byte("junk")) + good, "block 1: x509"},
		{"malformed alone", "-----BEGIN CERTIFICATE-----\n", "no certificate"},
		{"cut off", good + good[:len(good)/2], "1 of 2 blocks are malformed"},
		{"malformed in the middle", good[:60] + "\n" + good, "1 of 2 blocks are malformed"},
		{"malformed key", good + "-----BEGIN EC PRIVATE KEY-----\n", "1 of 2 blocks are malformed"},
		{"largest", good + strings.Repeat("#", 4<<20-len(good)), ""},
		{"oversized", good + strings.Repeat("#", 4<<20-len(good)+1), "more than 4194304 bytes"},
	} {
		file := filepath.Join(t.TempDir(), "roots.pem")
		write(t, file, []byte(test.content))
		_, err := mtls.NewRoots(mtls.RootsConfig{File: file})
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: NewRoots error = %v, want %q", test.name, err, test.want)
		}
	}
	if _, err := mtls.NewRoots(mtls.RootsConfig{File: filepath.Join(t.TempDir(), "none")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("NewRoots without a file: error = %v, want %v", err, os.ErrNotExist)
	}
	if _, err := mtls.NewRoots(mtls.RootsConfig{File: t.TempDir()}); err == nil || strings.Contains(err.Error(), "no certificate") {
		t.Errorf("NewRoots of a directory: error = %v, want that of reading it", err)
	}
	var none *recorder
	if _, err := mtls.NewRoots(mtls.RootsConfig{Observer: none}); err == nil || !strings.Contains(err.Error(), "Observer: is a nil") {
		t.Errorf("NewRoots with a nil observer: error = %v", err)
	}
}

// The roots follow the file within 10 s, and stay in use if it is damaged.
func TestRootsFollowTheirFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := authority(nil)
		caller, next := issue(now, named(billing)), authority(nil)
		file := filepath.Join(t.TempDir(), "roots.pem")
		write(t, file, pemOf(now))
		var seen recorder
		a := must(mtls.New(mtls.Config{Subjects: subjects, Proxies: loopback, Roots: must(mtls.NewRoots(mtls.RootsConfig{File: file, Observer: &seen}))}))
		check := func(when string, want gatehouse.Reason, events ...string) {
			t.Helper()
			for _, r := range []*http.Request{overTLS(caller), forwarded(proxy, caller.header())} {
				_, err := a.Authenticate(r)
				equal(t, when+": reason from "+r.RemoteAddr, reasonOf(err), want)
			}
			equal(t, when+": events", fmt.Sprint(seen.all), fmt.Sprint(events))
			seen.all = nil
		}
		failed, changed := fmt.Sprint(mtls.EventRootsFailed, slog.LevelError, true), fmt.Sprint(mtls.EventRootsChanged, slog.LevelWarn, false)
		write(t, file, []byte("junk"))
		check("at start", "")
		write(t, file, pemOf(now))
		time.Sleep(11 * time.Second)
		check("unchanged", "")
		write(t, file, []byte("junk"))
		time.Sleep(10*time.Second - 1)
		check("before it is read again", "")
		time.Sleep(time.Nanosecond)
		check("damaged", "", failed)
		check("damaged, soon after", "")
		time.Sleep(11 * time.Second)
		check("still damaged", "", failed)
		write(t, file, pemOf(next))
		time.Sleep(11 * time.Second)
		check("another root", mtls.ReasonUntrusted, changed)
		write(t, file, pemOf(next, now))
		time.Sleep(11 * time.Second)
		check("both roots", "", changed)
	})
}
