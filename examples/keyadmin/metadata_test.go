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
		s, err := openStore(store, false)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.close() }()
		id, _ := made["id"].(string)
		record, err := s.keys.Find(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return record.Metadata.String()
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

	create := func(args ...string) string {
		out, complaint, status := keyadmin(t, "", nil, append([]string{"-store", store, "create", "-json", "-owner", "ci"}, args...)...)
		if status != 1 || out != "" {
			t.Errorf("create %q = %d %q, want 1", args, status, out)
		}
		return complaint
	}
	for text, want := range map[string]string{
		``: "not a JSON object", `[]`: "not a JSON object", `{"a":1`: "not a JSON object", `{"a"}`: "not a JSON object", `{} {}`: "something behind",
		`{"a":1,"a":2}`: `"a" is there twice`, `{"roles":"developer"}`: "-metadata", `{"roles":[""]}`: "roles",
		`{"max_tokens_per_request":-1}`: "max_tokens_per_request", `{"max_tokens_per_day":"5"}`: "max_tokens_per_day",
		`{"max_tokens_per_day":1.5}`: "max_tokens_per_day", `{"token_budget":9007199254740992}`: "token_budget", `{"max_tokens_per_day":null}`: "max_tokens_per_day",
		`{"a":"` + strings.Repeat("x", 4096) + `"}`: "4096", `{"a":"` + strings.Repeat("x", 70_000) + `"}`: "not a JSON object",
	} {
		write(text)
		if complaint := create("-metadata", file); !strings.Contains(complaint, want) {
			t.Errorf("create with the metadata %.60s = %q, want %q", text, complaint, want)
		}
	}
	write(`{"roles":["developer"]}`)
	for want, args := range map[string][]string{
		"-role: the file": {"-metadata", file, "-role", "other"}, "malformed role": {"-role", "a\tb"}, "-metadata": {"-metadata", file + ".absent"},
	} {
		if complaint := create(args...); !strings.Contains(complaint, want) {
			t.Errorf("create %q = %q, want %q", args, complaint, want)
		}
	}
}
