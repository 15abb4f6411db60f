// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/audit"
)

// trail returns the paths of the log and of its key.
func (w *world) trail() (path, key string) {
	return w.settings()["audit"].(object)["path"].(string), filepath.Join(w.dir, "audit.key")
}

// works makes some records.
func (n *node) works(t *testing.T) {
	t.Helper()
	own := n.own(t, n.client, "helper-1")
	for range 3 {
		n.callTool(t, n.client, own, "read_public", reading)
	}
	n.want(t, "for the trail", own, "run_code", code, "approval_required")
}

func verified(path, key string) (string, error) {
	var out bytes.Buffer
	err := verifyTrail(path, key, &out)
	return out.String(), err
}

// A clean stop signs the last record, and -verify names the first record that is not
// as it was written.
func TestVerify(t *testing.T) {
	w := newWorld(t)
	n := w.start(t, nil)
	n.works(t)
	if err := n.end(syscall.SIGTERM); err != nil {
		t.Fatalf("the server ended with %v\n%s", err, n.log)
	}
	path, key := w.trail()
	count := len(w.records(t, path))
	text, err := verified(path, key)
	if err != nil || text != strconv.Itoa(count)+" records\n" {
		t.Fatalf("-verify: %q, %v, want the number of records", text, err)
	}
	if text, err := verified(path, publicHalf(t, key)); err != nil || text == "" {
		t.Errorf("-verify with the public half: %q, %v", text, err)
	}
	whole := map[string][]byte{}
	for _, suffix := range []string{"", ".hashes", ".checkpoints"} {
		whole[suffix] = value(os.ReadFile(path + suffix))
	}
	lines := bytes.SplitAfter(bytes.TrimSuffix(whole[""], []byte("\n")), []byte("\n"))
	lines[len(lines)-1] = append(lines[len(lines)-1], '\n')
	join := func(lines ...[]byte) []byte { return bytes.Join(lines, nil) }
	for name, test := range map[string]struct {
		suffix string
		data   []byte
		want   string
	}{
		"a bit":            {"", flip(whole[""], len(lines[0])+20), "record 2"},
		"the first":        {"", flip(whole[""], 3), "record 1"},
		"removed":          {"", join(append(lines[:2:2], lines[3:]...)...), "record 3"},
		"inserted":         {"", join(append(append(lines[:2:2], []byte("{\"seq\":2}\n")), lines[2:]...)...), "record 3"},
		"copied":           {"", join(append(append(lines[:2:2], lines[1]), lines[2:]...)...), "record 3"},
		"swapped":          {"", join(append(append(lines[:1:1], lines[2], lines[1]), lines[3:]...)...), "record 2"},
		"the end removed":  {"", join(lines[:count-1]...), "record " + strconv.Itoa(count)},
		"more":             {"", append(bytes.Clone(whole[""]), []byte("{}\n")...), "record " + strconv.Itoa(count+1)},
		"more, incomplete": {"", append(bytes.Clone(whole[""]), []byte("{}")...), "record " + strconv.Itoa(count+1)},
		"empty":            {"", nil, "record 1"},
		"checkpoints":      {".checkpoints", flip(whole[".checkpoints"], 12), "record 1"},
		"no checkpoints":   {".checkpoints", nil, "record 1"},
	} {
		must(t, os.WriteFile(path+test.suffix, test.data, 0o600))
		if text, err := verified(path, key); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: -verify: %q, %v, want %s", name, text, err, test.want)
		}
		must(t, os.WriteFile(path+test.suffix, whole[test.suffix], 0o600))
	}
	for name, files := range map[string][2]string{
		"another key": {path, filepath.Join(w.dir, "stranger.key")}, "a file that is no key": {path, path}, "a missing log": {"/missing", key},
	} {
		if _, err := verified(files[0], files[1]); err == nil {
			t.Errorf("-verify with %s error = nil, want one", name)
		}
	}
}

// A server that was killed leaves a log that is not whole until the next one has
// checked and signed its end. A torn line is cut off; a change keeps the next server
// from starting.
func TestKilledServer(t *testing.T) {
	w := newWorld(t)
	n := w.start(t, nil)
	n.works(t)
	_ = n.end(syscall.SIGKILL)
	path, key := w.trail()
	if _, err := verified(path, key); err == nil || !strings.Contains(err.Error(), "record ") {
		t.Errorf("-verify after a kill error = %v, want a record without checkpoint", err)
	}
	whole := value(os.ReadFile(path))
	must(t, os.WriteFile(path, flip(whole, len(whole)-30), 0o600))
	if err := refusal(t, w.write(t, nil)); err == nil || !strings.Contains(err.Error(), "was changed") {
		t.Errorf("start with a changed record error = %v, want one", err)
	}
	must(t, os.WriteFile(path, append(whole, []byte(`{"seq":99,"ti`)...), 0o600))
	must(t, w.start(t, nil).end(syscall.SIGTERM))
	if text, err := verified(path, key); err != nil {
		t.Errorf("-verify after the next server: %q, %v, want nil", text, err)
	}
}

// The log has a record for each thing that happens, no credential and no arguments.
func TestTrailContents(t *testing.T) {
	w := newWorld(t)
	n := w.start(t, nil)
	path, _ := w.trail()
	alice, carol := n.person("alice", "acme"), n.person("carol", "acme", "admin")
	own := n.own(t, n.client, "helper-1")
	delegated := n.delegated(t, n.client, "helper-1", alice)
	secret := object{"language": "echo", "source": "the-source-is-secret"}
	id := n.callTool(t, n.client, own, "run_code", secret).approval()
	n.decide(t, carol, id, "approve")
	n.callTool(t, n.client, own, "run_code", secret)
	if r := n.decommission(t, carol); r.status != 204 {
		t.Errorf("decommission: %d %s, want 204", r.status, r.text)
	}
	n.callTool(t, n.client, own, "read_public", reading)
	for _, want := range []object{
		{"type": "agent_token_minted"},
		{"type": "agent_token_exchanged"},
		{"type": "approval_requested", "approval": id},
		{"type": "approval_decided", "approval": id, "subject": "carol"},
		{"type": "tool_call", "decision": "allowed", "tool": "run_code", "approval": id},
		{"type": "agent_decommissioned"},
		{"type": "decision", "decision": "rejected", "reason": "agent_decommissioned"},
	} {
		w.wantRecord(t, path, want)
	}
	text := value(os.ReadFile(path))
	for name, secret := range map[string]string{
		"own token": own[30:], "delegated token": delegated[30:], "token of a person": alice, "API key": n.keys["reader"], "source": "the-source-is-secret",
	} {
		if strings.Contains(string(text), secret) {
			t.Errorf("the audit log has the %s", name)
		}
	}
}

// Refusals of anonymous callers beyond a rate become one record with their number.
func TestFloodIsCounted(t *testing.T) {
	w := newWorld(t)
	n := w.start(t, object{"tls": nil, "public_origin": "http://127.0.0.1:1"})
	n.world.origin = "http://" + n.addr
	client := &http.Client{}
	start, sent := time.Now(), 0
	// A slow machine sends few each second, so it sends until most must be counted.
	allowed := func() int { return 50 * (int(time.Since(start).Seconds()) + 2) }
	for sent < 400 || sent < 2*allowed() && sent < 1000 {
		_ = value(client.Do(n.request(http.MethodPost, "/mcp", ""))).Body.Close()
		sent++
	}
	most := allowed()
	client.CloseIdleConnections()
	must(t, n.end(syscall.SIGTERM))
	path, _ := w.trail()
	alone, counted := 0, 0
	for _, record := range w.records(t, path) {
		switch record["type"] {
		case "audit_refusals":
			number, _ := record["attrs"].(object)["refusals"].(float64)
			counted += int(number)
		case "decision":
			alone++
		}
	}
	if alone > most || alone+counted != sent {
		t.Errorf("%d refusals: %d records and %d counted, want at most %d records and the number of the others", sent, alone, counted, most)
	}
}

// run_code does not run if its record cannot be written.
func TestUnwritableTrail(t *testing.T) {
	w := newWorld(t)
	n := w.start(t, nil)
	own := n.own(t, n.client, "helper-1")
	id := n.callTool(t, n.client, own, "run_code", code).approval()
	n.decide(t, n.person("carol", "acme", "admin"), id, "approve")
	path, _ := w.trail()
	must(t, os.Remove(path))
	if r := n.callTool(t, n.client, own, "run_code", code); r.status != 503 || strings.Contains(r.text, "1+1") {
		t.Errorf("run_code without a log: %d %s, want 503", r.status, r.text)
	}
}

func flip(data []byte, at int) []byte {
	changed := bytes.Clone(data)
	changed[at] ^= 1
	return changed
}

// publicHalf writes the public half of a key and returns its path.
func publicHalf(t *testing.T, path string) string {
	t.Helper()
	der := value(x509.MarshalPKIXPublicKey(value(audit.ReadPublicKey(path))))
	public := filepath.Join(t.TempDir(), "audit.pub")
	must(t, os.WriteFile(public, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600))
	return public
}
