// SPDX-License-Identifier: Apache-2.0

//go:build unix

package gatehouse_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gatehouse-go/gatehouse"
)

func TestLoadSecretFromFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, content []byte, mode fs.FileMode) string {
		path := filepath.Join(dir, name)
		noError(t, os.WriteFile(path, content, 0o600))
		noError(t, os.Chmod(path, mode))
		return path
	}

	for _, mode := range []fs.FileMode{0o400, 0o440, 0o600, 0o640, 0o700, 0o750} {
		path := write(fmt.Sprintf("good%o", mode), []byte(secretText+"\n"), mode)
		if s, err := gatehouse.LoadSecret("file:"+path, len(secretText)); err != nil || string(s.Reveal()) != secretText {
			t.Errorf("LoadSecret, mode %v = %q, %v", mode, s.Reveal(), err)
		}
	}
	for _, mode := range []fs.FileMode{0o644, 0o604, 0o602, 0o601, 0o660, 0o620, 0o444, 0o666, 0o777} {
		path := write(fmt.Sprintf("open%o", mode), []byte(secretText), mode)
		want := fmt.Sprintf("gatehouse: secret file:%s: mode %04o gives other users access: at most 0640 is allowed", path, mode)
		if s, err := gatehouse.LoadSecret("file:"+path, 0); err == nil || err.Error() != want || s.Len() != 0 {
			t.Errorf("LoadSecret, mode %v: error = %v, want %s", mode, err, want)
		}
	}

	binary := []byte("0123456789abcdef\x00\xff\r")
	if s, err := gatehouse.LoadSecret("file:"+write("binary", binary, 0o600), 0); err != nil || !bytes.Equal(s.Reveal(), binary) {
		t.Errorf("LoadSecret = %q, %v", s.Reveal(), err)
	}
	most := bytes.Repeat([]byte("x"), 64<<10)
	if s, err := gatehouse.LoadSecret("file:"+write("most", most, 0o600), 0); err != nil || s.Len() != len(most) {
		t.Errorf("LoadSecret = %d bytes, %v", s.Len(), err)
	}

	link := filepath.Join(dir, "link") // Kubernetes mounts secrets as links
	noError(t, os.Symlink(write("target", []byte(secretText), 0o400), link))
	if s, err := gatehouse.LoadSecret("file:"+link, 0); err != nil || string(s.Reveal()) != secretText {
		t.Errorf("LoadSecret = %q, %v", s.Reveal(), err)
	}

	fifo := filepath.Join(dir, "fifo")
	noError(t, syscall.Mkfifo(fifo, 0o600))
	for path, want := range map[string]string{
		write("more", append(most, 'x'), 0o600):    "has more than 65536 bytes",
		write("empty", nil, 0o600):                 "got 0 bytes, at least 8 are required",
		write("line", []byte("\n"), 0o600):         "got 0 bytes, at least 8 are required",
		write("short", []byte("1234567\n"), 0o600): "got 7 bytes, at least 8 are required",
		dir:                                  "not a regular file",
		fifo:                                 "not a regular file",
		filepath.Join(dir, "absent"):         "no such file or directory",
		filepath.Join(dir, "short", "below"): "not a directory",
		filepath.Join(dir, strings.Repeat("x", 1000)): "file name too long",
	} {
		s, err := gatehouse.LoadSecret("file:"+path, 8)
		if want := "gatehouse: secret file:" + path + ": " + want; err == nil || err.Error() != want || s.Len() != 0 {
			t.Errorf("LoadSecret error = %v, want %s", err, want)
		}
	}
	if _, err := gatehouse.LoadSecret("file:"+filepath.Join(dir, "absent"), 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("LoadSecret error = %v", err)
	}

	// A file of mode 0600 that opens and cannot be read.
	if _, err := os.Stat("/proc/self/mem"); err == nil {
		if _, err := gatehouse.LoadSecret("file:/proc/self/mem", 0); err == nil || err.Error() != "gatehouse: secret file:/proc/self/mem: input/output error" {
			t.Errorf("LoadSecret error = %v", err)
		}
	}
}
