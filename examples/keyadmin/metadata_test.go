// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Roles and caps are in the metadata of the key, which servers see as the Claims of
// the caller; the output of create stays as it is.
func TestRolesAndMetadata(t *testing.T) {
	dir := t.TempDir()
	store := "sqlite:" + filepath.Join(dir, "keys.db")
	file := filepath.Join(dir, "caps.json")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	stored := func(args ...string) string {
		t.Helper()
		made := output[map[string]any](t, "", append([]string{"-store", store, "create", "-owner", "ci"}, args...)...)
		for _, name := range []string{"roles", "metadata"} {
			if _, ok := made[name]; ok {
				t.Errorf("create %q prints %s", args, name)
			}
		}
		s := must(openStore(store, false))
		defer func() { _ = s.close() }()
		id, _ := made["id"].(string)
		return must(s.keys.Find(t.Context(), id)).Metadata.String()
	}
	write(` {"max_tokens_per_request": 2000, "max_tokens_per_day": 20000, "team": {"a": 1.0}} `)
	const caps = `"max_tokens_per_day":20000,"max_tokens_per_request":2000,`
	for want, args := range map[string][]string{
		`{}`:                                  nil,
		`{"roles":["developer","team lead"]}`: {"-role", "developer", "-role", "team lead"},
		`{` + caps + `"team":{"a":1.0}}`:      {"-metadata", file},
		`{` + caps + `"roles":["developer"],"team":{"a":1.0}}`: {"-scope", "model:standard", "-metadata", file, "-role", "developer"},
	} {
		if got := stored(args...); got != want {
			t.Errorf("metadata of create %q = %s, want %s", args, got, want)
		}
	}

	rejects := func(want string, args ...string) {
		t.Helper()
		out, complaint, status := keyadmin(t, "", nil, append([]string{"-store", store, "create", "-json", "-owner", "ci"}, args...)...)
		if status != 1 || out != "" || !strings.Contains(complaint, want) {
			t.Errorf("create %q = %d %q %q, want 1 and %q", args, status, out, complaint, want)
		}
	}
	for text, want := range map[string]string{
		``: "not a JSON object", `[]`: "not a JSON object", `{"a":1`: "not a JSON object", `{"a"}`: "not a JSON object", `{} {}`: "something behind",
		`{"a":1,"a":2}`: `"a" is there twice`, `{"roles":"developer"}`: "-metadata", `{"roles":[""]}`: "roles",
		`{"max_tokens_per_request":-1}`: "max_tokens_per_request", `{"max_tokens_per_day":"5"}`: "max_tokens_per_day",
		`{"max_tokens_per_day":1.5}`: "max_tokens_per_day", `{"token_budget":9007199254740992}`: "token_budget", `{"max_tokens_per_day":null}`: "max_tokens_per_day",
		`{"a":"` + strings.Repeat("x", 4096) + `"}`: "4096", `{"a":"` + strings.Repeat("x", 70_000) + `"}`: "not a JSON object",
	} {
		write(text)
		t.Logf("metadata %.60s", text)
		rejects(want, "-metadata", file)
	}
	write(`{"roles":["developer"]}`)
	rejects("-role: the file", "-metadata", file, "-role", "other")
	rejects("malformed role", "-role", "a\tb")
	rejects("-metadata", "-metadata", file+".absent")
}
